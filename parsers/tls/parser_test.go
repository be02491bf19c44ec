package tls

import (
	"strings"
	"testing"
	"time"

	"flowscope/session"
	"flowscope/session/sessiontest"

	"github.com/google/go-cmp/cmp"
)

const (
	client = session.Initiator
	server = session.Responder
)

// extension and hello build messages; vector is one with a length of so many octets.
func vector(size int, b ...byte) []byte {
	n := len(b)
	return append([]byte{byte(n >> 16), byte(n >> 8), byte(n)}[3-size:], b...)
}

func extension(kind uint16, body ...byte) []byte {
	return append([]byte{byte(kind >> 8), byte(kind)}, vector(2, body...)...)
}

func join(parts ...[]byte) []byte {
	var b []byte
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

func handshakeMessage(kind byte, body ...byte) []byte {
	return append([]byte{kind}, vector(3, body...)...)
}

var random = []byte(strings.Repeat("r", 32))

// helloOf builds a ClientHello with a session id and extensions.
func helloOf(version uint16, id string, extensions ...[]byte) []byte {
	return handshakeMessage(messageClientHello, join(
		[]byte{byte(version >> 8), byte(version)}, random, vector(1, []byte(id)...), vector(2, 0x13, 0x01, 0xc0, 0x2f), vector(1, 0),
		vector(2, join(extensions...)...))...)
}

// answerOf builds a ServerHello.
func answerOf(version, suite uint16, id string, extensions ...[]byte) []byte {
	return handshakeMessage(messageServerHello, join(
		[]byte{byte(version >> 8), byte(version)}, random, vector(1, []byte(id)...), []byte{byte(suite >> 8), byte(suite), 0},
		vector(2, join(extensions...)...))...)
}

var (
	hello12   = record(typeHandshake, tls10, helloOf(tls12, "")...)
	hello13   = record(typeHandshake, tls10, helloOf(tls12, "id", extension(extSupportedVersions, 2, 3, 4))...)
	reply     = record(typeHandshake, tls12, answerOf(tls12, 0xc02f, "new")...)
	reply3    = record(typeHandshake, tls12, answerOf(tls12, 0x1301, "id", extension(extSupportedVersions, 3, 4), extension(extKeyShare, 0, 29, 0, 0))...)
	helloDone = record(typeHandshake, tls12, handshakeMessage(messageServerHelloDone)...)
	ccs       = record(typeChangeCipherSpec, tls12, 1)
	sealed    = record(typeHandshake, tls12, make([]byte, 40)...)
)

// app is a record of application data, alert one with an alert.
func app(n int) []byte { return record(typeApplicationData, tls12, make([]byte, n)...) }

func alertOf(level, description byte) []byte { return record(typeAlert, tls12, level, description) }

type end struct {
	gap      int
	fin, rst bool
}

// step is a segment of a script.
type step struct {
	side session.Side
	data []byte
	end
}

// runScript plays steps a millisecond apart, then closes the flow.
func runScript(t *testing.T, reason session.Reason, steps ...step) *sessiontest.StreamRun {
	t.Helper()
	r := sessiontest.NewStreamRun(New())
	for _, s := range steps {
		_ = r.Feed(sessiontest.Segment{Side: s.side, Data: s.data, Gap: s.gap, Fin: s.fin, Rst: s.rst})
	}
	r.Close(reason)
	return r
}

// TestOutcomes plays handshakes to all kinds of ends. The last message is the
// summary, and the only one.
func TestOutcomes(t *testing.T) {
	c := func(parts ...[]byte) step { return step{side: client, data: join(parts...)} }
	s := func(parts ...[]byte) step { return step{side: server, data: join(parts...)} }
	end := func(side session.Side, e end) step { return step{side: side, end: e} }
	earlyHello := record(typeHandshake, tls10, helloOf(tls12, "id", extension(extSupportedVersions, 2, 3, 4), extension(extEarlyData), extension(extPreSharedKey, 0))...)
	resumedAnswer := record(typeHandshake, tls12, answerOf(tls12, 0x1301, "id", extension(extSupportedVersions, 3, 4), extension(extPreSharedKey, 0, 0))...)
	tests := []struct {
		name    string
		reason  session.Reason
		steps   []step
		kinds   string
		want    Handshake
		elapsed time.Duration
	}{
		{"1.2 in full", session.Fin, []step{c(hello12), s(reply, helloDone), c(ccs, sealed), s(ccs, sealed)}, "C S H", Handshake{Outcome: "established"}, 3 * time.Millisecond},
		{"1.2 resumed by a ticket without an id", session.Fin, []step{c(hello12), s(reply, ccs, sealed), c(ccs, sealed)}, "C S H", Handshake{Outcome: "established", SessionResumed: true}, 2 * time.Millisecond},
		{"1.2 resumed by an id", session.Fin, []step{
			c(record(typeHandshake, tls10, helloOf(tls12, "old")...)), s(record(typeHandshake, tls12, answerOf(tls12, 0xc02f, "old")...), ccs, sealed), c(ccs, sealed),
		}, "C S H", Handshake{Outcome: "established", SessionResumed: true}, 2 * time.Millisecond},
		{"1.2 with the client's end first", session.Fin, []step{c(hello12), c(ccs, sealed), s(reply, helloDone, ccs, sealed)}, "C S H", Handshake{Outcome: "established"}, 2 * time.Millisecond},
		{"1.2 cut off after the client's Finished", session.EndOfInput, []step{c(hello12), s(reply, helloDone), c(ccs, sealed)}, "C S H", Handshake{Outcome: "cut_off"}, 2 * time.Millisecond},
		{"1.2 false start, then silence", session.Idle, []step{c(hello12), s(reply, helloDone), c(ccs, sealed, app(50))}, "C S H", Handshake{Outcome: "timeout"}, 2 * time.Millisecond},
		{"1.2 encrypted alert for the client's Finished", session.Fin, []step{c(hello12), s(reply, helloDone), c(ccs, sealed), s(ccs, record(typeAlert, tls12, make([]byte, 24)...))}, "C S A H", Handshake{Outcome: "failed", AlertSide: "responder"}, 3 * time.Millisecond},
		{"1.3", session.Fin, []step{c(hello13), s(reply3, ccs, app(700)), c(ccs, app(53)), c(app(100))}, "C S H", Handshake{Outcome: "established"}, 2 * time.Millisecond},
		{"1.3 refused by an alert in clear", session.Fin, []step{c(hello13), s(reply3, app(700)), c(alertOf(2, 48))}, "C S A H", Handshake{Outcome: "failed", Alert: "unknown_ca", AlertSide: "initiator"}, 2 * time.Millisecond},
		{"1.3 refused by a warning", session.Fin, []step{c(hello13), s(reply3, app(700)), c(alertOf(1, 42))}, "C S A H", Handshake{Outcome: "failed", Alert: "bad_certificate", AlertSide: "initiator"}, 2 * time.Millisecond},
		{"1.3 refused by an encrypted alert", session.Fin, []step{c(hello13), s(reply3, app(700)), c(app(19))}, "C S A H", Handshake{Outcome: "failed", AlertSide: "initiator"}, 2 * time.Millisecond},
		{"1.3 with early data", session.Fin, []step{c(earlyHello, app(300)), s(resumedAnswer, app(80)), c(app(200)), c(app(19)), c(app(21), app(53))}, "C S H", Handshake{Outcome: "established", SessionResumed: true, EarlyData: true}, 4 * time.Millisecond},
		{"1.3 with early data and padding", session.EndOfInput, []step{c(earlyHello, app(300)), s(resumedAnswer, app(80)), c(app(256), app(256))}, "C S H", Handshake{Outcome: "established", SessionResumed: true, EarlyData: true}, 2 * time.Millisecond},
		{"1.3 with the server late", session.Fin, []step{c(hello13), c(app(53)), s(reply3)}, "C S H", Handshake{Outcome: "established"}, 2 * time.Millisecond},
		{"a hello alone", session.EndOfInput, []step{c(hello12)}, "C H", Handshake{Outcome: "cut_off"}, 0},
		{"a hello and shutdown", session.Shutdown, []step{c(hello12)}, "C H", Handshake{Outcome: "cut_off"}, 0},
		{"a hello that nobody answers", session.Idle, []step{c(hello12)}, "C H", Handshake{Outcome: "timeout"}, 0},
		{"a hello and a reset", session.Rst, []step{c(hello12), end(server, end2(true))}, "C H", Handshake{Outcome: "reset"}, time.Millisecond},
		{"closed by both", session.Fin, []step{c(hello12), end(client, endFin), end(server, endFin)}, "C H", Handshake{Outcome: "closed"}, 2 * time.Millisecond},
		{"closed by one", session.Fin, []step{c(hello12), end(server, endFin)}, "C H", Handshake{Outcome: "closed"}, time.Millisecond},
		{"a fatal alert", session.Fin, []step{c(hello12), s(alertOf(2, 40))}, "C A H", Handshake{Outcome: "failed", Alert: "handshake_failure", AlertSide: "responder"}, time.Millisecond},
		{"an alert that has no name", session.Fin, []step{c(hello12), s(alertOf(2, 200))}, "C A H", Handshake{Outcome: "failed", Alert: "200", AlertSide: "responder"}, time.Millisecond},
		{"a warning that changes nothing", session.Fin, []step{c(hello12), s(alertOf(1, 112), reply, helloDone), c(ccs, sealed), s(ccs, sealed)}, "C A S H", Handshake{Outcome: "established"}, 3 * time.Millisecond},
		{"no TLS after the hello", session.Fin, []step{c(hello12), s([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))}, "C H", Handshake{Outcome: "malformed"}, time.Millisecond},
		{"a record that is too long", session.Fin, []step{c(hello12), s([]byte{22, 3, 3, 0xff, 0xff})}, "C H", Handshake{Outcome: "malformed"}, time.Millisecond},
		{"a server that was not seen", session.Fin, []step{c(hello12), c(ccs, sealed, app(50))}, "C H", Handshake{Outcome: "closed"}, time.Millisecond},
		{"a gap in the certificate", session.Fin, []step{
			c(hello12), s(reply, record(typeHandshake, tls12, handshakeMessage(messageCertificate, make([]byte, 996)...)...)[:400]),
			{side: server, data: join(make([]byte, 5), helloDone), end: endGap(600)},
			c(ccs, sealed), s(ccs, sealed),
		}, "C S H", Handshake{Outcome: "established"}, 4 * time.Millisecond},
		{"a gap over several records", session.Fin, []step{
			c(hello12), s(reply), {side: server, data: join(helloDone), end: endGap(5000)}, c(ccs, sealed), s(ccs, sealed),
		}, "C S H", Handshake{Outcome: "established"}, 4 * time.Millisecond},
		{"a gap after which nothing begins", session.Fin, []step{
			c(hello12), s(reply), {side: server, data: []byte("what is this"), end: endGap(5000)}, c(ccs, sealed, app(9)),
		}, "C S H", Handshake{Outcome: "established"}, 3 * time.Millisecond},
		{"gaps on both sides", session.Fin, []step{
			c(hello12), s(reply), {side: server, data: []byte("what is this"), end: endGap(5000)}, {side: client, data: []byte("what is this"), end: endGap(5000)},
		}, "C S H", Handshake{Outcome: "gap"}, 3 * time.Millisecond},
		{"a hello after a gap", session.EndOfInput, []step{{side: client, data: hello12, end: endGap(-1)}}, "C H", Handshake{Outcome: "cut_off"}, 0},
		{"a server that is not the responder", session.Fin, []step{s(hello13), c(reply3, app(700)), s(app(53))}, "C S H", Handshake{Outcome: "established"}, 2 * time.Millisecond},
		{"hellos without end", session.EndOfInput, []step{c(hello12, hello12, hello12, hello12), s(reply, reply, reply)}, "C S H", Handshake{Outcome: "cut_off"}, time.Millisecond},
	}
	letters := map[string]string{"client_hello": "C", "server_hello": "S", "alert": "A", "handshake": "H", "certificate": "X", "hello_retry_request": "R"}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := runScript(t, tt.reason, tt.steps...)
			var kinds []string
			for _, e := range r.Emissions {
				kinds = append(kinds, letters[e.Kind])
			}
			if got := strings.Join(kinds, " "); got != tt.kinds {
				t.Fatalf("messages %s, want %s", got, tt.kinds)
			}
			all := decoded(t, r)
			got := all[len(all)-1].(*Handshake)
			want := tt.want
			want.Elapsed = int64(tt.elapsed)
			for _, same := range []struct{ w, g *string }{
				{&want.Version, &got.Version},
				{&want.CipherSuite, &got.CipherSuite},
				{&want.KeyShareGroup, &got.KeyShareGroup},
				{&want.JA3, &got.JA3},
				{&want.JA4, &got.JA4},
				{&want.JA3S, &got.JA3S},
			} {
				*same.w = *same.g
			}
			if diff := cmp.Diff(&want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			last := r.Emissions[len(r.Emissions)-1]
			if wantSide := tt.steps[0].side; last.Side != wantSide || last.Truncated != (want.Outcome == "reset") {
				t.Errorf("side %v, truncated %v", last.Side, last.Truncated)
			}
		})
	}
}

var endFin = end{fin: true}

func end2(rst bool) end { return end{rst: rst} }
func endGap(n int) end  { return end{gap: n} }

// TestSplitMessages cuts handshake messages into records of each size.
func TestSplitMessages(t *testing.T) {
	names := vector(2, vector(1, []byte("h2")...)...)
	hello := helloOf(tls12, "0123456789abcdef0123456789abcdef", extension(extALPN, names...), extension(extKeyShare, vector(2, join([]byte{0x11, 0xec}, vector(2, make([]byte, 1216)...))...)...))
	whole := runScript(t, session.EndOfInput, step{side: client, data: record(typeHandshake, tls10, hello...)})
	for _, size := range []int{1, 2, 3, 4, 5, 7, 100, 1000, len(hello) - 1} {
		var b []byte
		for rest := hello; len(rest) > 0; {
			n := min(size, len(rest))
			b = append(b, record(typeHandshake, tls10, rest[:n]...)...)
			rest = rest[n:]
		}
		r := runScript(t, session.EndOfInput, step{side: client, data: b})
		if diff := cmp.Diff(whole.Emissions, r.Emissions); diff != "" {
			t.Errorf("records of %d octets (-whole +split):\n%s", size, diff)
		}
	}
	if m := decoded(t, whole)[0].(*ClientHello); !cmp.Equal(m.KeyShareGroups, []uint16{4588}) || !cmp.Equal(m.ALPN, []string{"h2"}) {
		t.Errorf("%+v", m)
	}
}

// TestHostile has messages that lie about their lengths.
func TestHostile(t *testing.T) {
	type anomalies []string
	tests := []struct {
		name  string
		steps []step
		kinds []string
		want  anomalies
	}{
		{"a hello of 16 MB", []step{{side: client, data: record(typeHandshake, tls10, join([]byte{1, 0xff, 0xff, 0xff, 3, 3}, make([]byte, 16000))...)}}, []string{"handshake"}, anomalies{"tls_oversized"}},
		{"a certificate list of 16 MB in a small message", []step{
			{side: client, data: hello12},
			{side: server, data: join(reply, record(typeHandshake, tls12, handshakeMessage(messageCertificate, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)...))},
		}, []string{"client_hello", "server_hello", "certificate", "handshake"}, anomalies{"tls_malformed"}},
		{"a certificate that is longer than its list", []step{
			{side: client, data: hello12},
			{side: server, data: join(reply, record(typeHandshake, tls12, handshakeMessage(messageCertificate, 0, 0, 4, 0, 1, 0, 0)...))},
		}, []string{"client_hello", "server_hello", "certificate", "handshake"}, anomalies{"tls_malformed"}},
		{"a session id that is too long", []step{{side: client, data: record(typeHandshake, tls10, handshakeMessage(messageClientHello, join([]byte{3, 3}, random, []byte{255}, make([]byte, 300))...)...)}}, []string{"client_hello", "handshake"}, anomalies{"tls_malformed"}},
		{"an empty hello", []step{{side: client, data: record(typeHandshake, tls10, handshakeMessage(messageClientHello)...)}}, []string{"handshake"}, anomalies{"tls_malformed"}},
		{"extensions that do not fit", []step{{side: client, data: record(typeHandshake, tls10, helloOf(tls12, "", []byte{0, 0, 0xff})...)}}, []string{"client_hello", "handshake"}, anomalies{"tls_malformed"}},
		{"an extension that does not follow its format", []step{{side: client, data: record(typeHandshake, tls10, helloOf(tls12, "", extension(extALPN, 0, 9, 9), extension(extSessionTicket, 1))...)}}, []string{"client_hello", "handshake"}, anomalies{"tls_malformed"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := runScript(t, session.EndOfInput, tt.steps...)
			var kinds []string
			for _, e := range r.Emissions {
				kinds = append(kinds, e.Kind)
			}
			var names anomalies
			for _, a := range r.Anomalies {
				names = append(names, a.Name)
			}
			if diff := cmp.Diff(tt.kinds, kinds); diff != "" {
				t.Errorf("messages (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.want, names); diff != "" {
				t.Errorf("anomalies (-want +got):\n%s", diff)
			}
		})
	}
}

// TestMemoryIsBounded sends messages that never end on many connections: what is
// kept of each is no more than what came, nor than the configured size.
func TestMemoryIsBounded(t *testing.T) {
	f := New()
	out := session.NewOutput(&sessiontest.Discard{})
	out.Begin(1, client, false)
	fragment := record(typeHandshake, tls10, make([]byte, 1<<14)...)
	first := record(typeHandshake, tls10, append([]byte{messageClientHello, 0x01, 0xff, 0xfc, 3, 3}, make([]byte, 100)...)...)
	p := f.NewSessionParser().(*parser)
	for i := range 100 {
		data := fragment
		if i == 0 {
			data = first
		}
		if _, err := p.FeedInitiator(data, out); err != nil {
			return
		}
		if n := cap(p.sides[client].assembled); n > 2*p.config.MaxMessage {
			t.Fatalf("%d octets are kept", n)
		}
	}
}

// TestCertificateLimit publishes no more certificates than configured.
func TestCertificateLimit(t *testing.T) {
	f, err := New().WithConfig(&Config{MaxMessage: 1 << 16, MaxCertificates: 2})
	if err != nil {
		t.Fatal(err)
	}
	der := newCertificate(t, testKeys(t)["p256"]).Certificate[0]
	var list []byte
	for range 5 {
		list = append(list, vector(3, der...)...)
	}
	r := sessiontest.NewStreamRun(f.(*Factory))
	_ = r.Feed(sessiontest.Segment{Side: client, Data: hello12})
	_ = r.Feed(sessiontest.Segment{Side: server, Data: join(reply, record(typeHandshake, tls12, handshakeMessage(messageCertificate, vector(3, list...)...)...))})
	m := decoded(t, r)[2].(*CertificateMessage)
	if len(m.Certificates) != 2 || m.Left != 3 {
		t.Errorf("%d certificates, %d left out", len(m.Certificates), m.Left)
	}
}

// TestSSL2 has hellos of that form, for later versions and for itself.
func TestSSL2(t *testing.T) {
	ssl2 := func(version uint16, suites ...byte) []byte {
		body := join([]byte{1, byte(version >> 8), byte(version), 0, byte(len(suites)), 0, 0, 0, 16}, suites, make([]byte, 16))
		return append([]byte{0x80, byte(len(body))}, body...)
	}
	r := runScript(t, session.EndOfInput, step{side: client, data: ssl2(tls10, 1, 0, 128, 0, 0, 5)}, step{side: server, data: record(typeHandshake, tls10, answerOf(tls10, 5, "x")...)})
	list := decoded(t, r)
	want := &ClientHello{RecordVersion: "SSL 2.0", Version: "TLS 1.0", CipherSuites: []uint32{0x010080, 5}}
	if diff := cmp.Diff(want, list[0]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if m, ok := list[1].(*ServerHello); !ok || m.Version != "TLS 1.0" || m.CipherSuite != "TLS_RSA_WITH_RC4_128_SHA" {
		t.Errorf("%+v", list[1])
	}
	der := newCertificate(t, testKeys(t)["rsa"]).Certificate[0]
	body := join([]byte{4, 0, 1, 0, 2, byte(len(der) >> 8), byte(len(der)), 0, 3, 0, 16}, der, []byte{1, 0, 128}, make([]byte, 16))
	reply := append([]byte{0x80 | byte(len(body)>>8), byte(len(body))}, body...)
	r = runScript(t, session.EndOfInput, step{side: client, data: ssl2(2, 1, 0, 128)}, step{side: server, data: reply})
	list = decoded(t, r)
	if len(list) != 4 {
		t.Fatalf("%d messages", len(list))
	}
	if m, ok := list[1].(*ServerHello); !ok || m.Version != "SSL 2.0" || m.RecordVersion != "SSL 2.0" {
		t.Errorf("%+v", list[1])
	}
	if m, ok := list[2].(*CertificateMessage); !ok || len(m.Certificates) != 1 || m.Certificates[0].KeyType != "rsa" {
		t.Errorf("%+v", list[2])
	}
	if m, ok := list[3].(*Handshake); !ok || m.Outcome != OutcomeUnknown || m.Version != "SSL 2.0" || r.Ended != session.ErrDone {
		t.Errorf("%+v, ended %v", list[3], r.Ended)
	}
}

func TestConfig(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"small messages":        func(c *Config) { c.MaxMessage = 1023 },
		"large messages":        func(c *Config) { c.MaxMessage = 1<<20 + 1 },
		"negative certificates": func(c *Config) { c.MaxCertificates = -1 },
		"too many certificates": func(c *Config) { c.MaxCertificates = 257 },
	} {
		c := New().Config().(*Config)
		if err := c.Validate(); err != nil {
			t.Fatal(err)
		}
		change(c)
		if _, err := New().WithConfig(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := New().WithConfig(1); err == nil {
		t.Error("options of another type: no error")
	}
}
