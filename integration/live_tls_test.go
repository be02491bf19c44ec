package integration

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"flowscope/flow"
	"flowscope/parsers/tls"
)

// liveTLSCase is one server of OpenSSL and the clients that talk to it in turn.
type liveTLSCase struct {
	name    string
	server  []string
	clients []liveTLSClient
	port    string
}

type liveTLSClient struct {
	options []string
	// sni and alpn are what the client asks for, retried and early what must be
	// seen of it.
	sni            string
	retried, early bool
	// fails says that the handshake does not succeed, by an alert of this side.
	fails flow.Side
	alert bool

	printed string // by client and server
}

// liveTLSCases are versions, resumptions, keys and failures; @SECLEVEL=0 allows
// what is too old for today.
func liveTLSCases() []*liveTLSCase {
	old := []string{"-cipher", "ALL@SECLEVEL=0"}
	name := func(options ...string) liveTLSClient {
		return liveTLSClient{sni: "live.example.test", options: append([]string{"-servername", "live.example.test"}, options...)}
	}
	fails := func(side flow.Side, options ...string) liveTLSClient {
		c := name(options...)
		c.fails, c.alert = side, true
		return c
	}
	retried, early := name("-groups", "X25519:P-384"), name("-sess_in", "SESSION", "-early_data", "EARLY")
	retried.retried, early.early = true, true
	session := func(version string, more ...string) []liveTLSClient {
		return []liveTLSClient{
			name(append([]string{version, "-sess_out", "SESSION"}, more...)...), name(append([]string{version, "-sess_in", "SESSION"}, more...)...),
		}
	}
	return []*liveTLSCase{
		{name: "1.3", server: []string{"-alpn", "h2,http/1.1"}, clients: []liveTLSClient{name("-alpn", "http/1.1,h2")}},
		{name: "1.3 resumed", clients: session("-tls1_3")},
		{name: "1.3 with another group", server: []string{"-groups", "P-384"}, clients: []liveTLSClient{retried}},
		{name: "1.3 with ChaCha20", clients: []liveTLSClient{name("-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256")}},
		{name: "1.3 with CCM", server: []string{"-ciphersuites", "TLS_AES_128_CCM_8_SHA256"}, clients: []liveTLSClient{name("-ciphersuites", "TLS_AES_128_CCM_8_SHA256")}},
		{name: "1.3 with early data", server: []string{"-early_data"}, clients: []liveTLSClient{session("-tls1_3")[0], early}},
		{name: "1.3 with a client certificate", server: []string{"-Verify", "1"}, clients: []liveTLSClient{name("-cert", "CERT", "-key", "KEY")}},
		{name: "1.2", server: []string{"-alpn", "h2,http/1.1"}, clients: []liveTLSClient{name("-tls1_2", "-alpn", "http/1.1")}},
		{name: "1.2 without a name", clients: []liveTLSClient{{options: []string{"-tls1_2", "-noservername"}}}},
		{name: "1.2 resumed by a ticket", clients: session("-tls1_2")},
		{name: "1.2 resumed by an id", server: []string{"-no_ticket"}, clients: session("-tls1_2", "-no_ticket")},
		{name: "1.2 with a client certificate", server: []string{"-Verify", "1"}, clients: []liveTLSClient{name("-tls1_2", "-cert", "CERT", "-key", "KEY")}},
		{name: "1.2 with a key of both", server: []string{"-psk", "0102"}, clients: []liveTLSClient{name("-tls1_2", "-psk", "0102", "-cipher", "PSK")}},
		{name: "1.1", server: old, clients: []liveTLSClient{name(append(old, "-tls1_1")...)}},
		{name: "1.0", server: old, clients: []liveTLSClient{name(append(old, "-tls1")...)}},
		{name: "1.0 resumed", server: old, clients: session("-tls1", old...)},
		{name: "no common version", server: []string{"-tls1_3"}, clients: []liveTLSClient{fails(flow.Responder, "-tls1_2")}},
		{name: "no common suite", server: []string{"-cipher", "AES128-SHA"}, clients: []liveTLSClient{fails(flow.Responder, "-tls1_2", "-cipher", "AES256-SHA")}},
		{name: "an unknown issuer", clients: []liveTLSClient{fails(flow.Initiator, "-tls1_2", "-verify_return_error", "-CAfile", "OTHER")}},
		{name: "no certificate of the client", server: []string{"-Verify", "1"}, clients: []liveTLSClient{fails(flow.Responder, "-tls1_2")}},
	}
}

// TestLiveTLS lets OpenSSL's client and server talk over the loopback interface,
// captures it with tcpdump, and compares what we read with what they say.
func TestLiveTLS(t *testing.T) {
	for _, program := range []string{"openssl", "tcpdump"} {
		if _, err := exec.LookPath(program); err != nil {
			missingHere(t, err.Error())
		}
	}
	if os.Getuid() != 0 {
		missingHere(t, "capturing needs root")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	dir := t.TempDir()
	l := &liveTLS{ctx: ctx, dir: dir}
	l.certificate(t, "server", "/C=DE/O=Example, Inc./CN=live.example.test", "-addext", "subjectAltName=DNS:live.example.test,IP:127.0.0.1")
	l.certificate(t, "client", "/CN=client")
	l.certificate(t, "other", "/CN=other")
	if err := os.WriteFile(filepath.Join(dir, "early"), []byte("early data"), 0o600); err != nil {
		t.Fatal(err)
	}
	cases := liveTLSCases()
	ports := freePorts(t, len(cases))
	var filter []string
	for i, c := range cases {
		c.port = strconv.Itoa(ports[i])
		filter = append(filter, "tcp port "+c.port)
	}
	capture := filepath.Join(dir, "live.pcap")
	stop := startCapture(t, ctx, capture, strings.Join(filter, " or "))
	for _, c := range cases {
		l.run(t, c)
	}
	stop()
	records := tlsRecords(record(t, capture, 1))
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var mine []*tlsRecord
			for _, r := range records {
				if fmt.Sprint(r.flow.info.Dst.Port()) == c.port {
					mine = append(mine, r)
				}
			}
			if len(mine) != len(c.clients) {
				t.Fatalf("%d connections, want %d", len(mine), len(c.clients))
			}
			for i := range mine {
				l.compare(t, mine[i], &c.clients[i])
			}
		})
	}
}

// missingHere skips a test that lacks something, or fails it where nothing may be
// missing.
func missingHere(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// startCapture runs tcpdump on the loopback interface until stop is called.
func startCapture(t *testing.T, ctx context.Context, file, filter string) (stop func()) {
	t.Helper()
	cmd := exec.CommandContext(ctx, "tcpdump", "-i", "lo", "-n", "-U", "--immediate-mode", "-w", file, filter)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = 10 * time.Second
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(said)
	for lines.Scan() && !strings.Contains(lines.Text(), "listening on") {
	}
	if lines.Err() != nil || !strings.Contains(lines.Text(), "listening on") {
		_ = cmd.Wait()
		t.Fatalf("tcpdump says %q (%v)", lines.Text(), lines.Err())
	}
	return func() {
		settled(t, file, cmd.Process)
		_ = cmd.Process.Signal(syscall.SIGINT)
		_, _ = io.Copy(io.Discard, said)
		if err := cmd.Wait(); err != nil {
			t.Fatalf("tcpdump: %v", err)
		}
	}
}

// liveTLS is the folder of keys and sessions.
type liveTLS struct {
	ctx context.Context
	dir string
}

func (l *liveTLS) path(name string) string { return filepath.Join(l.dir, name) }

func (l *liveTLS) openssl(t *testing.T, options ...string) string {
	t.Helper()
	printed, err := exec.CommandContext(l.ctx, "openssl", options...).CombinedOutput()
	if err != nil {
		t.Fatalf("openssl %s: %v\n%s", strings.Join(options, " "), err, printed)
	}
	return string(printed)
}

func (l *liveTLS) certificate(t *testing.T, name, subject string, more ...string) {
	t.Helper()
	l.openssl(t, append([]string{
		"req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", subject, "-keyout", l.path(name + ".key"), "-out", l.path(name + ".pem"),
	}, more...)...)
}

// said is what a process prints, to be read while it runs.
type said struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{}
}

func newSaid() *said { return &said{more: make(chan struct{}, 1)} }

// Write implements io.Writer.
func (s *said) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text.Write(b)
	select {
	case s.more <- struct{}{}:
	default:
	}
	return len(b), nil
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// waitFor waits until the words were printed so many times together, or the process
// has ended.
func (s *said) waitFor(ctx context.Context, ended <-chan struct{}, times int, words ...string) bool {
	for {
		n := 0
		for _, w := range words {
			n += strings.Count(s.String(), w)
		}
		if n >= times {
			return true
		}
		select {
		case <-s.more:
		case <-ended:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// process starts a program whose standard input stays open, in the background.
func (l *liveTLS) process(t *testing.T, options ...string) (out *said, in io.WriteCloser, ended chan struct{}, end func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(l.ctx, 30*time.Second)
	cmd := exec.CommandContext(ctx, "openssl", options...)
	out = newSaid()
	cmd.Stdout, cmd.Stderr = out, out
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended = make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	return out, in, ended, func() {
		cancel()
		<-ended
	}
}

// run plays one case.
func (l *liveTLS) run(t *testing.T, c *liveTLSCase) {
	t.Helper()
	options := append([]string{"s_server", "-accept", "127.0.0.1:" + c.port, "-cert", l.path("server.pem"), "-key", l.path("server.key")}, c.server...)
	server, _, serverEnded, stop := l.process(t, options...)
	defer stop()
	if !server.waitFor(l.ctx, serverEnded, 1, "ACCEPT") {
		t.Fatalf("%s: the server says %s", c.name, server)
	}
	_ = os.Remove(l.path("session"))
	for i := range c.clients {
		before := len(server.String())
		client := &c.clients[i]
		options := []string{"s_client", "-connect", "127.0.0.1:" + c.port}
		for _, o := range client.options {
			if file := map[string]string{"SESSION": "session", "EARLY": "early", "CERT": "client.pem", "KEY": "client.key", "OTHER": "other.pem"}[o]; file != "" {
				o = l.path(file)
			}
			options = append(options, o)
		}
		out, in, ended, end := l.process(t, options...)
		// The client prints its summary after the handshake, unless it fails. Of a
		// session of TLS 1.3, which comes later, only the file tells.
		out.waitFor(l.ctx, ended, 1, "Verify return code", "SSL handshake has read")
		if slices.Contains(client.options, "-tls1_3") {
			l.waitForFile(ended, "session")
		}
		_ = in.Close() // makes the client leave
		<-ended
		end()
		if !server.waitFor(l.ctx, serverEnded, i+1, "\nDONE\n", "\nERROR\n") {
			t.Fatalf("%s: the server says %s, the client %s", c.name, server, out)
		}
		client.printed = out.String() + server.String()[before:]
	}
}

// waitForFile waits until a file has something in it, or the process has ended.
func (l *liveTLS) waitForFile(ended <-chan struct{}, name string) {
	for {
		if info, err := os.Stat(l.path(name)); err == nil && info.Size() > 0 {
			return
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ended:
			return
		case <-l.ctx.Done():
			return
		}
	}
}

var (
	newSession = regexp.MustCompile(`(?m)^(New|Reused), [^,]+, Cipher is (\S+)`)
	protocolIs = regexp.MustCompile(`(?m)^\s+Protocol\s+: (\S+)`)
	alpnIs     = regexp.MustCompile(`(?m)^ALPN protocol: (\S+)`)
	tempKey    = regexp.MustCompile(`(?m)^Server Temp Key: (?:ECDH, )?([^,\n]+)`)
	alertIs    = regexp.MustCompile(`alert ([a-z ]+):`)
	opensslV   = map[string]string{"TLSv1.3": "TLS 1.3", "TLSv1.2": "TLS 1.2", "TLSv1.1": "TLS 1.1", "TLSv1": "TLS 1.0"}
)

// one returns what an expression finds in a text.
func one(e *regexp.Regexp, text string, group int) string {
	if m := e.FindStringSubmatch(text); m != nil {
		return m[group]
	}
	return ""
}

func (l *liveTLS) compare(t *testing.T, r *tlsRecord, c *liveTLSClient) {
	t.Helper()
	h := r.handshake
	if r.client == nil || r.client.SNI != c.sni || h.SNI != c.sni {
		t.Errorf("server name in %+v and %+v, want %q", r.client, h, c.sni)
	}
	if c.alert {
		want := strings.ReplaceAll(one(alertIs, c.printed, 1), " ", "_")
		if h.Outcome != tls.OutcomeFailed || h.Alert != want || h.AlertSide != c.fails.String() {
			t.Errorf("summary %+v, want the alert %s of the %v; OpenSSL says\n%s", h, want, c.fails, c.printed)
		}
		return
	}
	var d differences
	d.check("outcome", h.Outcome, tls.OutcomeEstablished)
	version := one(protocolIs, c.printed, 1)
	if version == "" && strings.Contains(c.printed, ", TLSv1.3,") {
		version = "TLSv1.3"
	}
	d.check("version", h.Version, opensslV[version])
	d.check("cipher_suite", h.CipherSuite, l.standardName(t, one(newSession, c.printed, 2)))
	d.check("session_resumed", fmt.Sprint(h.SessionResumed), fmt.Sprint(one(newSession, c.printed, 1) == "Reused"))
	d.check("retried", h.Retried, c.retried)
	d.check("early_data", h.EarlyData, c.early)
	if h.Version != "TLS 1.3" {
		d.check("alpn", h.ALPN, one(alpnIs, c.printed, 1))
	} else if group := one(tempKey, c.printed, 1); group != "" {
		d.check("key_share_group", h.KeyShareGroup, map[string]string{"X25519": "x25519", "secp384r1": "secp384r1"}[group])
	}
	if list := r.certificates[flow.Responder]; h.Version != "TLS 1.3" && !h.SessionResumed && !strings.Contains(h.CipherSuite, "PSK") {
		d = append(d, l.compareCertificate(t, list, "server.pem")...)
	}
	asked := strings.Contains(strings.Join(c.options, " "), "-cert")
	if h.Version != "TLS 1.3" {
		d.check("client_certificate", h.ClientCertificate, asked)
		if asked {
			d = append(d, l.compareCertificate(t, r.certificates[flow.Initiator], "client.pem")...)
		}
	}
	if len(d) > 0 {
		t.Errorf("%s\nOpenSSL says\n%s", strings.Join(d, "\n"), c.printed)
	}
}

// compareCertificate compares a certificate with what OpenSSL prints of it.
func (l *liveTLS) compareCertificate(t *testing.T, list []tls.Certificate, file string) (d differences) {
	t.Helper()
	if len(list) != 1 {
		return differences{fmt.Sprintf("%d certificates", len(list))}
	}
	m := &list[0]
	printed := l.openssl(t, "x509", "-in", l.path(file), "-noout", "-subject", "-issuer", "-serial", "-dates", "-fingerprint", "-sha256", "-nameopt", "RFC2253")
	values := map[string]string{}
	for line := range strings.Lines(printed) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		values[strings.ToLower(key)] = value
	}
	d.check("subject", m.Subject, values["subject"])
	d.check("issuer", m.Issuer, values["issuer"])
	d.check("serial", strings.ToUpper(m.Serial), values["serial"])
	d.check("sha256", m.SHA256, strings.ToLower(strings.ReplaceAll(values["sha256 fingerprint"], ":", "")))
	for key, at := range map[string]*time.Time{"notbefore": m.NotBefore, "notafter": m.NotAfter} {
		d.check(key, at.UTC().Format("Jan _2 15:04:05 2006 GMT"), values[key])
	}
	d.check("key", fmt.Sprint(m.KeyType, " ", m.KeySize), "rsa 2048")
	return d
}

// standardName is IANA's name of a suite that OpenSSL has a name of its own for.
func (l *liveTLS) standardName(t *testing.T, name string) string {
	t.Helper()
	for line := range strings.Lines(l.openssl(t, "ciphers", "-stdname", "ALL:COMPLEMENTOFALL:PSK:@SECLEVEL=0")) {
		if f := strings.Fields(line); len(f) > 2 && f[2] == name {
			return f[0]
		}
	}
	return name
}
