package embedded

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// certificate is a self-signed one for 127.0.0.1, good for both ends, as PEM files.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "both"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "EC PRIVATE KEY", keyDER)
}

// freePort was free a moment ago.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// hubWith starts a server that takes leaf nodes at a port.
func hubWith(t *testing.T, port int, change func(*server.LeafNodeOpts)) *server.Server {
	t.Helper()
	opts := &server.Options{ServerName: "hub", Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true}
	opts.LeafNode.Host, opts.LeafNode.Port = "127.0.0.1", port
	change(&opts.LeafNode)
	hub, err := server.NewServer(opts)
	if err != nil {
		t.Fatal(err)
	}
	go hub.Start()
	t.Cleanup(func() { hub.Shutdown(); hub.WaitForShutdown() })
	if !hub.ReadyForConnections(10 * time.Second) {
		t.Fatal("the hub is not ready")
	}
	return hub
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for begin := time.Now(); !done(); <-time.After(10 * time.Millisecond) {
		if time.Since(begin) > 20*time.Second {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// A leaf joins a hub in each way that there is to log in, also if the first of the hub's
// addresses has another name and does not answer. Our subjects cross in neither
// direction, others do.
func TestLeaf(t *testing.T) {
	cert, key := certificate(t)
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	withTLS := func(mutual, first bool) func(*server.LeafNodeOpts) {
		return func(o *server.LeafNodeOpts) {
			o.TLSConfig, o.TLSTimeout, o.TLSHandshakeFirst = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, 5, first
			if mutual {
				o.TLSConfig.ClientCAs, o.TLSConfig.ClientAuth = pool, tls.RequireAndVerifyClientCert
			}
		}
	}
	for _, tt := range []struct {
		name string
		hub  func(*server.LeafNodeOpts)
		leaf Leaf
	}{
		{"nothing", func(*server.LeafNodeOpts) {}, Leaf{}},
		{"user", func(o *server.LeafNodeOpts) { o.Username, o.Password = "edge", "a:/b" }, Leaf{User: "edge", Password: "a:/b"}},
		{"TLS", withTLS(false, false), Leaf{CA: cert}},
		{"mutual TLS", withTLS(true, false), Leaf{CA: cert, Certificate: cert, Key: key}},
		{"TLS first", withTLS(false, true), Leaf{CA: cert, TLSFirst: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			port := freePort(t)
			hub := hubWith(t, port, tt.hub)
			tt.leaf.Subjects = []string{"flowscope.>"}
			tt.leaf.URLs = []string{fmt.Sprintf("nats://localhost:%d", freePort(t)), fmt.Sprintf("nats://127.0.0.1:%d", port)}
			edge := started(t, Config{Store: t.TempDir(), Domain: "edge", Leaf: &tt.leaf})
			eventually(t, "the leaf", func() bool {
				list, err := hub.Leafz(nil)
				return err == nil && list.NumLeafs == 1
			})
			checkCrossing(t, edge, hub)
		})
	}
}

// checkCrossing publishes at either end, and looks for it at the other.
func checkCrossing(t *testing.T, edge *Server, hub *server.Server) {
	t.Helper()
	here, err := edge.Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	there, err := nats.Connect("", nats.InProcessServer(hub))
	if err != nil {
		t.Fatal(err)
	}
	defer there.Close()
	for _, way := range []struct {
		name     string
		from, to *nats.Conn
	}{{"to the hub", here, there}, {"from the hub", there, here}} {
		sub, err := way.to.SubscribeSync(">")
		if err != nil {
			t.Fatal(err)
		}
		// The other end hears of the subscription by and by.
		var heard *nats.Msg
		eventually(t, "a message "+way.name, func() bool {
			for _, subject := range []string{"flowscope.dns.query", "other"} {
				if err := way.from.Publish(subject, nil); err != nil {
					t.Fatal(err)
				}
			}
			heard, err = sub.NextMsg(50 * time.Millisecond)
			return err == nil
		})
		for ; err == nil; heard, err = sub.NextMsg(50 * time.Millisecond) {
			if heard.Subject == "flowscope.dns.query" {
				t.Errorf("%s crosses %s", heard.Subject, way.name)
			}
		}
		if err := sub.Unsubscribe(); err != nil {
			t.Error(err)
		}
	}
}
