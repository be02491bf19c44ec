// Command traffic makes the traffic that tests capture: "traffic serve" answers DNS,
// HTTP and HTTPS until it is killed, "traffic ask ADDRESS N" asks each of them N
// times and fails if one does not answer, and "traffic load ADDRESS RATE" asks each
// of them RATE times a second until it is interrupted, and then says how often it
// did. Each question is a flow of its own.
//
// It is one static binary, so that an image needs nothing else, and a test program:
// nobody should serve with it.
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/miekg/dns"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "traffic:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 1 && args[0] == "serve":
		return serve()
	case len(args) == 3 && args[0] == "ask":
		n, err := strconv.Atoi(args[2])
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		return newClient(args[1]).ask(ctx, n)
	case len(args) == 3 && args[0] == "load":
		rate, err := strconv.Atoi(args[2])
		if err != nil || rate < 1 {
			return fmt.Errorf("rate %q: want 1 or more", args[2])
		}
		return newClient(args[1]).load(rate)
	}
	return errors.New("want serve, ask ADDRESS N, or load ADDRESS RATE")
}

func serve() error {
	packets, err := net.ListenPacket("udp", ":53")
	if err != nil {
		return err
	}
	certificate, err := selfSigned()
	if err != nil {
		return err
	}
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "page %s\n", r.URL.Path) })
	plain := &http.Server{Addr: ":80", Handler: page, ReadHeaderTimeout: time.Minute}
	secure := &http.Server{
		Addr: ":443", Handler: page, ReadHeaderTimeout: time.Minute,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}},
	}
	failed := make(chan error, 3)
	go func() {
		failed <- (&dns.Server{PacketConn: packets, Handler: dns.HandlerFunc(answer)}).ActivateAndServe()
	}()
	go func() { failed <- plain.ListenAndServe() }()
	go func() { failed <- secure.ListenAndServeTLS("", "") }()
	fmt.Println("serving")
	return <-failed
}

// answer knows 192.0.2.1 for every name.
func answer(w dns.ResponseWriter, q *dns.Msg) {
	m := new(dns.Msg)
	m.SetReply(q)
	if q.Question[0].Qtype == dns.TypeA {
		m.Answer = append(m.Answer, &dns.A{
			Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60},
			A:   net.IPv4(192, 0, 2, 1),
		})
	}
	_ = w.WriteMsg(m) // whoever asked will ask again
}

func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"www.example.org"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}, err
}

// client asks the servers at one address.
type client struct {
	address  string
	resolver *net.Resolver
	insecure *tls.Config
}

func newClient(address string) *client {
	return &client{
		address: address,
		resolver: &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "udp", net.JoinHostPort(address, "53"))
		}},
		// The certificate is nobody's; it is the handshake that counts.
		insecure: &tls.Config{ServerName: "www.example.org", InsecureSkipVerify: true},
	}
}

func (c *client) ask(ctx context.Context, n int) error {
	for i := range n {
		if err := c.round(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

// load asks at a rate, late if the servers are, but never faster.
func (c *client) load(rate int) error {
	stopped := make(chan os.Signal, 1)
	signal.Notify(stopped, os.Interrupt, syscall.SIGTERM)
	ticks := time.NewTicker(time.Second / time.Duration(rate))
	defer ticks.Stop()
	fmt.Fprintln(os.Stderr, "asking")
	for n := 0; ; n++ {
		select {
		case <-stopped:
			fmt.Println(n)
			return nil
		case <-ticks.C:
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		err := c.round(ctx, n)
		cancel()
		if err != nil {
			return fmt.Errorf("round %d: %w", n, err)
		}
	}
}

// round asks each server once.
func (c *client) round(ctx context.Context, i int) error {
	if _, err := c.resolver.LookupNetIP(ctx, "ip4", fmt.Sprintf("name%d.example.org.", i)); err != nil {
		return err
	}
	for _, scheme := range []string{"http", "https"} {
		if err := fetch(ctx, fmt.Sprintf("%s://%s/page%d", scheme, c.address, i), c.insecure); err != nil {
			return err
		}
	}
	return nil
}

// fetch gets a page over a connection of its own.
func fetch(ctx context.Context, url string, config *tls.Config) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return errors.Join(err, answer.Body.Close())
}
