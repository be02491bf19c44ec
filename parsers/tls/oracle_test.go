package tls

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	stdtls "crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"flowscope/session"
	"flowscope/session/sessiontest"
)

// tap records what both ends of a connection write, in order.
type tap struct {
	mu       sync.Mutex
	segments []sessiontest.Segment
}

// tapped is one end.
type tapped struct {
	net.Conn
	side session.Side
	tap  *tap
}

func (c tapped) Write(b []byte) (int, error) {
	c.tap.mu.Lock()
	c.tap.segments = append(c.tap.segments, sessiontest.Segment{Side: c.side, Data: append([]byte(nil), b...)})
	c.tap.mu.Unlock()
	return c.Conn.Write(b)
}

// connected returns both ends of a connection on the loopback interface.
func connected(t *testing.T) (a, b net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if a, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if b, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return a, b
}

// converse lets the standard library's client and server shake hands and say a
// word each, and returns what went over the wire and what they made of it.
func converse(t *testing.T, client, server *stdtls.Config) (s sessiontest.Stream, cs, ss stdtls.ConnectionState, err error) {
	t.Helper()
	a, b := connected(t)
	defer a.Close()
	defer b.Close()
	deadline := time.Now().Add(20 * time.Second)
	_, _ = a.SetDeadline(deadline), b.SetDeadline(deadline)
	tap := &tap{}
	c := stdtls.Client(tapped{a, session.Initiator, tap}, client)
	d := stdtls.Server(tapped{b, session.Responder, tap}, server)
	done := make(chan error, 1)
	go func() {
		err := d.Handshake()
		if err == nil {
			_, err = d.Write([]byte("hello, client"))
		} else {
			b.Close()
		}
		done <- err
	}()
	err = c.Handshake()
	if err == nil {
		buf := make([]byte, 64)
		if _, err = c.Read(buf); err == nil {
			cs = c.ConnectionState()
		}
	} else {
		a.Close()
	}
	if serverErr := <-done; err == nil {
		err = serverErr
	}
	ss = d.ConnectionState()
	s = sessiontest.Stream{Name: t.Name(), SrcPort: 40000, DstPort: 443, Segments: tap.segments}
	return s, cs, ss, err
}

// newCertificate makes a certificate with names of all kinds.
func newCertificate(tb testing.TB, key crypto.Signer) stdtls.Certificate {
	tb.Helper()
	serial, _ := new(big.Int).SetString("f00102030405060708090a0b0c0d0e0f", 16)
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject: pkix.Name{
			Country: []string{"FR"}, Province: []string{"Île-de-France"}, Organization: []string{"Émile, Sons & \"Co\""},
			CommonName: "#host.example.test ", SerialNumber: "7",
			ExtraNames: []pkix.AttributeTypeAndValue{{Type: []int{2, 5, 4, 99}, Value: "else"}},
		},
		NotBefore: time.Date(2024, 2, 29, 23, 59, 58, 0, time.UTC), NotAfter: time.Date(2051, 1, 2, 3, 4, 5, 0, time.UTC),
		DNSNames: []string{"host.example.test", "*.example.test"}, EmailAddresses: []string{"root@example.test"},
		IPAddresses: []net.IP{net.IPv4(192, 0, 2, 1), net.ParseIP("2001:db8::1")},
		URIs:        []*url.URL{{Scheme: "spiffe", Host: "example.test", Path: "/x"}},
		IsCA:        true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		tb.Fatal(err)
	}
	return stdtls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func testKeys(tb testing.TB) map[string]crypto.Signer {
	tb.Helper()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		tb.Fatal(err)
	}
	keys := map[string]crypto.Signer{"rsa": rsaKey}
	_, keys["ed25519"], _ = ed25519.GenerateKey(rand.Reader)
	for name, curve := range map[string]elliptic.Curve{"p224": elliptic.P224(), "p256": elliptic.P256(), "p384": elliptic.P384(), "p521": elliptic.P521()} {
		if keys[name], err = ecdsa.GenerateKey(curve, rand.Reader); err != nil {
			tb.Fatal(err)
		}
	}
	return keys
}

// TestOracle compares what we read off connections of the standard library with
// what its ends say of them.
func TestOracle(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	certificate := newCertificate(t, key)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	base := func() (client, server *stdtls.Config) {
		client = &stdtls.Config{
			ServerName: "host.example.test", InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"},
			MinVersion: stdtls.VersionTLS10,
		}
		server = &stdtls.Config{
			Certificates: []stdtls.Certificate{certificate, newCertificate(t, rsaKey)}, NextProtos: []string{"http/1.1"}, MinVersion: stdtls.VersionTLS10,
		}
		return client, server
	}
	tests := []struct {
		name     string
		change   func(client, server *stdtls.Config)
		resume   bool // a second connection is looked at
		contract bool // the stream is held against the contract, which takes seconds
	}{
		{"TLS 1.3", func(*stdtls.Config, *stdtls.Config) {}, false, false},
		{"TLS 1.3 resumed", func(c, _ *stdtls.Config) { c.ClientSessionCache = stdtls.NewLRUClientSessionCache(4) }, true, true},
		{"TLS 1.3 with another group", func(c, s *stdtls.Config) {
			c.CurvePreferences = []stdtls.CurveID{stdtls.X25519, stdtls.CurveP384}
			s.CurvePreferences = []stdtls.CurveID{stdtls.CurveP384}
		}, false, false},
		{"TLS 1.3 with a client certificate", func(c, s *stdtls.Config) {
			c.Certificates, s.ClientAuth = []stdtls.Certificate{certificate}, stdtls.RequireAnyClientCert
		}, false, false},
		{"TLS 1.2", func(c, _ *stdtls.Config) { c.MaxVersion = stdtls.VersionTLS12 }, false, false},
		{"TLS 1.2 resumed", func(c, _ *stdtls.Config) {
			c.MaxVersion, c.ClientSessionCache = stdtls.VersionTLS12, stdtls.NewLRUClientSessionCache(4)
		}, true, true},
		{"TLS 1.2 with a client certificate", func(c, s *stdtls.Config) {
			c.MaxVersion, c.Certificates, s.ClientAuth = stdtls.VersionTLS12, []stdtls.Certificate{certificate}, stdtls.RequireAnyClientCert
		}, false, true},
		{"TLS 1.2 without the client certificate asked for", func(c, s *stdtls.Config) {
			c.MaxVersion, s.ClientAuth = stdtls.VersionTLS12, stdtls.RequestClientCert
		}, false, false},
		{"TLS 1.1", func(c, _ *stdtls.Config) { c.MaxVersion = stdtls.VersionTLS11 }, false, false},
		{"TLS 1.0 without names", func(c, _ *stdtls.Config) {
			c.MaxVersion, c.ServerName, c.NextProtos = stdtls.VersionTLS10, "", nil
		}, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client, server := base()
			tt.change(client, server)
			if tt.resume {
				if _, _, _, err := converse(t, client, server); err != nil {
					t.Fatal(err)
				}
			}
			stream, cs, ss, err := converse(t, client, server)
			if err != nil {
				t.Fatal(err)
			}
			checkAgainst(t, stream, client, cs, ss)
			if tt.contract && !t.Failed() {
				sessiontest.TestSessionParser(t, New(), 0, stream)
			}
		})
	}
}

func checkAgainst(t *testing.T, stream sessiontest.Stream, client *stdtls.Config, cs, ss stdtls.ConnectionState) {
	t.Helper()
	r := sessiontest.NewStreamRun(New())
	if err := r.Play(stream); err != session.ErrDone {
		t.Fatalf("the parser ends with %v", err)
	}
	if len(r.Anomalies) > 0 {
		t.Errorf("anomalies %v", r.Anomalies)
	}
	chains := map[session.Side]*CertificateMessage{}
	var hello *ClientHello
	var summary *Handshake
	for i, m := range decoded(t, r) {
		switch m := m.(type) {
		case *ClientHello:
			if hello == nil {
				hello = m
			}
		case *CertificateMessage:
			chains[r.Emissions[i].Side] = m
		case *Handshake:
			summary = m
		case *Alert:
			t.Errorf("alert %+v", m)
		}
	}
	if hello == nil || summary == nil {
		t.Fatal("no hello or no summary")
	}
	version := stdtls.VersionName(cs.Version)
	if summary.Outcome != OutcomeEstablished || summary.Version != version || summary.CipherSuite != stdtls.CipherSuiteName(cs.CipherSuite) {
		t.Errorf("summary %+v, want %s with %s", summary, version, stdtls.CipherSuiteName(cs.CipherSuite))
	}
	if summary.SNI != client.ServerName || hello.SNI != client.ServerName {
		t.Errorf("name %q and %q", summary.SNI, hello.SNI)
	}
	if summary.SessionResumed != cs.DidResume {
		t.Errorf("resumed is %v", summary.SessionResumed)
	}
	if cs.Version >= stdtls.VersionTLS13 {
		if want := cs.CurveID.String(); summary.KeyShareGroup != map[string]string{"CurveP384": "secp384r1", "X25519": "x25519"}[want] && summary.KeyShareGroup != want {
			t.Errorf("group %q, want %s", summary.KeyShareGroup, want)
		}
		if summary.Retried != cs.HelloRetryRequest {
			t.Errorf("retried is %v", summary.Retried)
		}
		if len(chains) > 0 {
			t.Error("certificates of TLS 1.3 can be read")
		}
		return
	}
	if summary.ALPN != cs.NegotiatedProtocol {
		t.Errorf("protocol %q, want %q", summary.ALPN, cs.NegotiatedProtocol)
	}
	if summary.ClientCertificate != (len(ss.PeerCertificates) > 0) {
		t.Errorf("client certificate is %v", summary.ClientCertificate)
	}
	if !cs.DidResume {
		compareChain(t, chains[session.Responder], cs.PeerCertificates)
	}
	if len(ss.PeerCertificates) > 0 {
		compareChain(t, chains[session.Initiator], ss.PeerCertificates)
	}
}

// TestOracleFailure lets a handshake fail by an alert of either side.
func TestOracleFailure(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	certificate := newCertificate(t, key)
	tests := []struct {
		name        string
		client      *stdtls.Config
		server      *stdtls.Config
		alert, side string
	}{
		{
			"no common version", &stdtls.Config{ServerName: "x", MaxVersion: stdtls.VersionTLS12},
			&stdtls.Config{Certificates: []stdtls.Certificate{certificate}, MinVersion: stdtls.VersionTLS13}, "protocol_version", "responder",
		},
		{
			"no common suite", &stdtls.Config{ServerName: "x", MaxVersion: stdtls.VersionTLS12, CipherSuites: []uint16{stdtls.TLS_RSA_WITH_AES_128_CBC_SHA}},
			&stdtls.Config{Certificates: []stdtls.Certificate{certificate}}, "handshake_failure", "responder",
		},
		{
			"an unknown issuer", &stdtls.Config{ServerName: "host.example.test", MaxVersion: stdtls.VersionTLS12, RootCAs: x509.NewCertPool()},
			&stdtls.Config{Certificates: []stdtls.Certificate{certificate}}, "bad_certificate", "initiator",
		},
		{
			"no common protocol", &stdtls.Config{ServerName: "x", InsecureSkipVerify: true, NextProtos: []string{"a"}},
			&stdtls.Config{Certificates: []stdtls.Certificate{certificate}, NextProtos: []string{"b"}}, "no_application_protocol", "responder",
		},
		{
			"an unknown issuer in TLS 1.3", &stdtls.Config{ServerName: "host.example.test", MinVersion: stdtls.VersionTLS13, RootCAs: x509.NewCertPool()},
			&stdtls.Config{Certificates: []stdtls.Certificate{certificate}}, "", "initiator",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			stream, _, _, err := converse(t, tt.client, tt.server)
			if err == nil {
				t.Fatal("the handshake succeeds")
			}
			r := sessiontest.NewStreamRun(New())
			_ = r.Play(stream)
			r.Close(session.EndOfInput)
			list := decoded(t, r)
			summary, ok := list[len(list)-1].(*Handshake)
			if !ok || summary.Outcome != OutcomeFailed || summary.Alert != tt.alert || summary.AlertSide != tt.side {
				t.Errorf("last is %+v; the ends say %v", list[len(list)-1], err)
			}
			if a, ok := list[len(list)-2].(*Alert); !ok || a.Description != tt.alert || a.Encrypted != (tt.alert == "") {
				t.Errorf("before it %+v", list[len(list)-2])
			}
		})
	}
}
