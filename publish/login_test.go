package publish

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
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"flowscope/session"
)

// certificates are a new authority, a server's certificate and a client's, as PEM
// files in a directory.
type certificates struct{ ca, server, serverKey, client, clientKey string }

func newCertificates(t *testing.T) certificates {
	t.Helper()
	dir := t.TempDir()
	write := func(name, kind string, der []byte, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	newKey := func() *ecdsa.PrivateKey {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	template := func(serial int64, name string) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
			KeyUsage: x509.KeyUsageDigitalSignature, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		}
	}
	ca, caKey := template(1, "authority"), newKey()
	ca.IsCA, ca.BasicConstraintsValid, ca.KeyUsage = true, true, x509.KeyUsageCertSign
	sign := func(c *x509.Certificate, key *ecdsa.PrivateKey) []byte {
		der, err := x509.CreateCertificate(rand.Reader, c, ca, key.Public(), caKey)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	pair := func(serial int64, name string) (string, string) {
		key := newKey()
		der, err := x509.MarshalECPrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return write(name+".pem", "CERTIFICATE", sign(template(serial, name), key), 0o644), write(name+"-key.pem", "EC PRIVATE KEY", der, 0o600)
	}
	c := certificates{ca: write("ca.pem", "CERTIFICATE", sign(ca, caKey), 0o644)}
	c.server, c.serverKey = pair(2, "server")
	c.client, c.clientKey = pair(3, "client")
	return c
}

func (c certificates) serverTLS(t *testing.T, mutual bool) *tls.Config {
	t.Helper()
	cert, err := tls.LoadX509KeyPair(c.server, c.serverKey)
	if err != nil {
		t.Fatal(err)
	}
	cfg := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	if mutual {
		text, err := os.ReadFile(c.ca)
		if err != nil {
			t.Fatal(err)
		}
		cfg.ClientCAs, cfg.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
		cfg.ClientCAs.AppendCertsFromPEM(text)
	}
	return cfg
}

// serverWith starts a server on loopback with what a configuration file says and
// what change makes of it.
func serverWith(t *testing.T, config string, change func(*server.Options)) *server.Server {
	t.Helper()
	opts := &server.Options{}
	if config != "" {
		var err error
		if opts, err = server.ProcessConfigFile(config); err != nil {
			t.Fatal(err)
		}
	}
	opts.Host, opts.Port, opts.NoLog, opts.NoSigs = "127.0.0.1", server.RANDOM_PORT, true, true
	if change != nil {
		change(opts)
	}
	srv, err := server.NewServer(opts)
	if err != nil {
		t.Fatal(err)
	}
	go srv.Start()
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	if !srv.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server is not ready")
	}
	return srv
}

// secretFile copies or writes a file that only its owner may read.
func secretFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func testdata(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "auth", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestLogin logs in at real servers in every way there is; without the login, or
// with a wrong one, none lets anybody in.
func TestLogin(t *testing.T) {
	c := newCertificates(t)
	withTLS := func(mutual, first bool) func(*server.Options) {
		return func(o *server.Options) {
			o.TLS, o.TLSConfig, o.TLSVerify, o.TLSHandshakeFirst, o.TLSTimeout = true, c.serverTLS(t, mutual), mutual, first, 5
		}
	}
	tests := []struct {
		name   string
		config string
		change func(*server.Options)
		auth   Auth
		wrong  Auth
		scheme string
	}{
		{
			name: "credentials", config: "testdata/auth/operator.conf",
			auth: Auth{Credentials: secretFile(t, testdata(t, "sensor.creds"))},
		},
		{
			name: "nkey", config: "testdata/auth/nkey.conf",
			auth: Auth{NKeySeed: secretFile(t, testdata(t, "sensor.nk"))},
		},
		{
			name: "user", change: func(o *server.Options) { o.Username, o.Password = "sensor", "a:b" },
			auth: Auth{UserFile: secretFile(t, "sensor:a:b\n")}, wrong: Auth{UserFile: secretFile(t, "sensor:b\n")},
		},
		{
			name: "token", change: func(o *server.Options) { o.Authorization = "tok" },
			auth: Auth{TokenFile: secretFile(t, "tok\n")}, wrong: Auth{TokenFile: secretFile(t, "other\n")},
		},
		{name: "TLS", change: withTLS(false, false), auth: Auth{CA: c.ca}},
		{name: "TLS by URL", change: withTLS(false, false), auth: Auth{CA: c.ca}, scheme: "tls"},
		{name: "mutual TLS", change: withTLS(true, false), auth: Auth{CA: c.ca, Certificate: c.client, Key: c.clientKey}, wrong: Auth{CA: c.ca}},
		{name: "TLS first", change: withTLS(false, true), auth: Auth{CA: c.ca, TLSFirst: true}},
		{
			name: "mutual TLS and user", change: func(o *server.Options) {
				withTLS(true, false)(o)
				o.Username, o.Password = "sensor", "pw"
			},
			auth:  Auth{CA: c.ca, Certificate: c.client, Key: c.clientKey, UserFile: secretFile(t, "sensor:pw")},
			wrong: Auth{CA: c.ca, UserFile: secretFile(t, "sensor:pw")},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv := serverWith(t, tt.config, tt.change)
			url := "nats://" + srv.Addr().String()
			if tt.scheme != "" {
				url = tt.scheme + "://" + srv.Addr().String()
			}
			// The first of several is not there.
			cfg := Config{Servers: []string{"nats://" + freePort(t), url}, Auth: tt.auth, ConnectTimeout: 5 * time.Second}
			if err := cfg.Auth.Validate(); err != nil {
				t.Fatal(err)
			}
			nc, err := Connect(t.Context(), cfg, "test", nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := nc.Flush(); err != nil {
				t.Error(err)
			}
			nc.Close()
			cfg.Servers, cfg.Auth, cfg.ConnectTimeout = cfg.Servers[1:], tt.wrong, 300*time.Millisecond
			if nc, err := Connect(t.Context(), cfg, "test", nil); err == nil {
				nc.Close()
				t.Error("connected without the right login")
			}
		})
	}
}

// TestReload changes the password at both ends: a reload reads the file again; a
// file that is not right leaves the connection alone.
func TestReload(t *testing.T) {
	reg := deliveryRegistry(t)
	password := "old"
	store, listen := t.TempDir(), netip.MustParseAddrPort(freePort(t))
	start := func() *server.Server {
		return serverWith(t, "", func(o *server.Options) {
			o.Username, o.Password, o.JetStream, o.StoreDir, o.Port = "sensor", password, true, store, int(listen.Port())
		})
	}
	srv := start()
	file := secretFile(t, "sensor:old")
	cfg := DefaultConfig()
	cfg.Servers, cfg.Auth.UserFile, cfg.Stream.Mode = []string{"nats://" + srv.Addr().String()}, file, StreamCreate
	tr, err := DialJetStream(cfg, "test", nil)
	if err != nil {
		t.Fatal(err)
	}
	p := runPublisher(t, cfg, Options{Registry: reg, Live: true}, tr)
	waitFor(t, "the first connection", func() bool { return p.Ready() == nil })
	if err := p.Reload(); err != nil || !tr.(*jetStream).nc.IsConnected() {
		t.Errorf("Reload with the same file makes the connection anew: %v", err)
	}
	if err := os.Chmod(file, 0o604); err != nil {
		t.Fatal(err)
	}
	if err := p.Reload(); err == nil || !strings.Contains(err.Error(), "0604") {
		t.Errorf("Reload with a file that others may read: %v", err)
	}
	if err := p.Ready(); err != nil {
		t.Errorf("after a reload in vain: %v", err)
	}
	srv.Shutdown()
	srv.WaitForShutdown()
	password = "new"
	start()
	if err := os.WriteFile(file, []byte("sensor:new"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := p.Reload(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the second connection", func() bool { return p.Ready() == nil })
	sink, m := p.Sink(0), newMaker(reg, 1)
	sink.HandleEvent(m.event(t, "dns", "query"))
	sink.Close()
	if err := p.Close(within(t, 10*time.Second)); err != nil {
		t.Error(err)
	}
	if e := p.Ledger().Events; e.Acknowledged != 1 {
		t.Errorf("%+v", e)
	}
}

// Secrets are in no text that is shown.
func TestSecretsAreNotShown(t *testing.T) {
	const secret = "topsecret"
	file := secretFile(t, secret) // no colon
	cfg := Config{Servers: []string{"nats://127.0.0.1:1"}, Auth: Auth{UserFile: file}, ConnectTimeout: 100 * time.Millisecond}
	_, err := Connect(t.Context(), cfg, "test", nil)
	shown := fmt.Sprintf("%v %+v", err, cfg)
	cfg.Auth = Auth{TokenFile: file}
	_, err = Connect(t.Context(), cfg, "test", nil)
	shown += fmt.Sprint(err)
	_, err = nats.NkeyOptionFromSeed(file)
	shown += fmt.Sprint(err)
	if strings.Contains(shown, secret) {
		t.Errorf("a secret is shown: %s", shown)
	}
}

// FuzzSubjects gives Subjects any names for the sensor and the topics: what comes
// out has the tokens of the prefix, the protocol and the kind, and no byte beyond
// a-z, 0-9 and _.
func FuzzSubjects(f *testing.F) {
	f.Add("flowscope", "edge-1", "dns", "query")
	f.Add("a.{sensor}.b", "x.>.*\x00\n é", "dns", "query")
	f.Add("{sensor}", "..", "a.b", ">")
	f.Fuzz(func(t *testing.T, prefix, sensor, protocol, kind string) {
		checkSubjects(t, prefix, sensor, protocol, kind)
	})
}

func checkSubjects(t *testing.T, prefix, sensor, protocol, kind string) {
	t.Helper()
	subjects, err := Subjects(prefix, sensor, []session.Topic{{Protocol: protocol, Kind: kind}})
	if err != nil {
		return
	}
	s := subjects[0]
	if want := strings.Count(prefix, ".") + 3; strings.Count(s, ".")+1 != want {
		t.Errorf("%q has not %d tokens", s, want)
	}
	for _, token := range strings.Split(s, ".") {
		if !isToken(token) {
			t.Errorf("token %q of %q", token, s)
		}
	}
	if !strings.HasSuffix(s, "."+protocol+"."+kind) {
		t.Errorf("%q for %q and %q", s, protocol, kind)
	}
	if !covers([]string{StreamSubject(prefix)}, s) {
		t.Errorf("%q does not take %q", StreamSubject(prefix), s)
	}
}
