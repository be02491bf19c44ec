package publish

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"flowscope/publish/embedded"
	"flowscope/session/pack"
)

func jetStreamOf(t testing.TB, s *embedded.Server) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(connect(t, s))
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// freePort returns an address on loopback at which nobody listens. Its port lies below
// those that systems give to whoever asks for any (from 32768 on under Linux, from
// 49152 on elsewhere): a server that binds it later, or again after its restart, never
// finds it taken by the near end of somebody's connection.
func freePort(t testing.TB) string {
	t.Helper()
	const first, end = 20_000, 32_000
	for range 1000 {
		addr := fmt.Sprintf("127.0.0.1:%d", first+rand.IntN(end-first))
		if l, err := net.Listen("tcp", addr); err == nil {
			l.Close()
			return addr
		}
	}
	t.Fatalf("no free port from %d to %d", first, end-1)
	return ""
}

// The server restarts in the middle: what was not acknowledged is sent again,
// and the stream holds each event once.
func TestServerRestart(t *testing.T) {
	reg := deliveryRegistry(t)
	server := embedded.Config{Store: t.TempDir(), Listen: freePort(t)}
	srv := startServer(t, server)
	cfg := DefaultConfig()
	cfg.Servers, cfg.Stream.Mode = []string{"nats://" + server.Listen}, StreamCreate
	cfg.AckTimeout = time.Second
	nc, err := Connect(t.Context(), cfg, "test", nil)
	if err != nil {
		t.Fatal(err)
	}
	tr, err := NewJetStream(t.Context(), nc, cfg)
	if err != nil {
		t.Fatal(err)
	}
	p := runPublisher(t, cfg, Options{Registry: reg}, tr)
	sink, m := p.Sink(0), newMaker(reg, 1)
	const n = 20000
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range n {
			sink.HandleEvent(m.event(t, "dns", "query"))
		}
		sink.Close()
	}()
	for p.Ledger().Events.Acknowledged < 500 {
		<-time.After(time.Millisecond)
	}
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	srv = startServer(t, server)
	<-done
	if err := p.Close(within(t, 60*time.Second)); err != nil {
		t.Fatal(err)
	}
	l := p.Ledger()
	checkBalance(t, l)
	if l.Events.Acknowledged != n {
		t.Errorf("%+v", l.Events)
	}
	if got := streamMessages(t, srv); got != n {
		t.Errorf("the stream holds %d messages, want %d (%d resent, %d duplicates)", got, n, l.Events.Resent, l.Events.Duplicates)
	}
}

// manyKeys is a message that nothing can shorten.
type manyKeys struct{ n int }

func (*manyKeys) Kind() string { return "query" }

func (m *manyKeys) AppendMsgpack(b []byte) []byte {
	b = pack.MapHeader(b, m.n)
	for i := range m.n {
		b = pack.Uint(pack.String(b, fmt.Sprintf("key number %d", i)), uint64(i))
	}
	return b
}

func TestTooLargeIsADeadLetter(t *testing.T) {
	reg := deliveryRegistry(t)
	srv := startServer(t, embedded.Config{})
	p := runPublisher(t, DefaultConfig(), Options{Registry: reg}, newJetStreamFor(t, srv, DefaultConfig()))
	sink, m := p.Sink(0), newMaker(reg, 1)
	sink.HandleEvent(m.event(t, "dns", "query"))
	big := m.event(t, "dns", "query")
	big.Message = &manyKeys{100_000} // max_payload is 1 MiB, and maps are not shortened
	sink.HandleEvent(big)
	sink.HandleEvent(m.event(t, "dns", "query"))
	sink.Close()
	if err := p.Close(within(t, 20*time.Second)); err != nil {
		t.Fatal(err)
	}
	l := p.Ledger()
	checkBalance(t, l)
	if l.Events.Acknowledged != 2 || l.Events.DeadLetter != 1 {
		t.Errorf("%+v", l.Events)
	}
	letters := collect(t, srv, SubscribeConfig{Subjects: []string{"flowscope.sensor.dead_letter"}, UntilCaughtUp: true})
	if len(letters) != 1 {
		t.Fatalf("%d dead letters, want 1", len(letters))
	}
	line, err := AppendText(nil, letters[0].Payload)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{big.ID(), "flowscope.dns.query", "max_payload"} {
		if !strings.Contains(string(line), want) {
			t.Errorf("dead letter %s does not name %s", line, want)
		}
	}
}

// A stream with a limit of its own refuses for good what cannot be shortened to it.
func TestStreamRefusesForGood(t *testing.T) {
	reg := deliveryRegistry(t)
	srv := startServer(t, embedded.Config{})
	sc := streamConfig(DefaultConfig().Resolved())
	sc.MaxMsgSize = 2000
	if _, err := jetStreamOf(t, srv).CreateStream(t.Context(), sc); err != nil {
		t.Fatal(err)
	}
	p := runPublisher(t, DefaultConfig(), Options{Registry: reg}, newJetStreamFor(t, srv, DefaultConfig()))
	sink, m := p.Sink(0), newMaker(reg, 1)
	big := m.event(t, "dns", "query")
	big.Message = &manyKeys{500}
	sink.HandleEvent(big)
	// With its headers a message may be too large though its payload is not.
	long := uint64(0)
	for n := 1000; n < 3000; n += 20 {
		e := m.event(t, "dns", "query")
		e.Message = &query{Name: strings.Repeat("x", n)}
		sink.HandleEvent(e)
		long++
	}
	sink.Close()
	if err := p.Close(within(t, 20*time.Second)); err != nil {
		t.Fatal(err)
	}
	if l := p.Ledger(); l.Events.DeadLetter != 1 || l.Events.Acknowledged != long {
		t.Errorf("%+v, want %d acknowledged", l.Events, long)
	}
	stored := collect(t, srv, SubscribeConfig{Subjects: []string{"flowscope.dns.query"}, UntilCaughtUp: true})
	if uint64(len(stored)) != long {
		t.Fatalf("%d events stored, want %d", len(stored), long)
	}
	for _, end := range []struct {
		message   *Delivery
		truncated bool
	}{{stored[0], false}, {stored[long-1], true}} {
		if e, err := Decode(end.message.Payload, reg); err != nil || e.Truncated != end.truncated {
			t.Errorf("%v: %+v, want truncated: %v", err, e, end.truncated)
		}
	}
}

// A stream that is gone and comes back gets everything.
func TestStreamComesBack(t *testing.T) {
	reg := deliveryRegistry(t)
	srv := startServer(t, embedded.Config{})
	tr := newJetStreamFor(t, srv, DefaultConfig())
	js := jetStreamOf(t, srv)
	if err := js.DeleteStream(t.Context(), "FLOWSCOPE"); err != nil {
		t.Fatal(err)
	}
	p := runPublisher(t, DefaultConfig(), Options{Registry: reg}, tr)
	sink, m := p.Sink(0), newMaker(reg, 1)
	for range 50 {
		sink.HandleEvent(m.event(t, "dns", "query"))
	}
	sink.Close()
	waitFor(t, "the answer that there is no stream", func() bool {
		var lost *NotAcknowledgedError
		err := p.Flush(within(t, 200*time.Millisecond))
		if !errors.As(err, &lost) || lost.N != 50 {
			t.Fatalf("Flush without a stream: %v, want 50 not acknowledged", err)
		}
		return errors.Is(err, nats.ErrNoResponders)
	})
	if _, err := js.CreateStream(t.Context(), streamConfig(DefaultConfig().Resolved())); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(within(t, 20*time.Second)); err != nil {
		t.Fatal(err)
	}
	if l := p.Ledger(); l.Events.Acknowledged != 50 || l.Events.Resent == 0 {
		t.Errorf("%+v", l.Events)
	}
}

func TestStreamSetUp(t *testing.T) {
	const command = "nats stream add FLOWSCOPE --subjects 'flowscope.>' --storage file --replicas 1 " +
		"--retention limits --discard old --dupe-window 2m --defaults"
	tests := []struct {
		name, mode string
		exists     []string // subjects of a stream that is there before
		command    string   // in the error; "" for none
	}{
		{"verify, missing", StreamVerify, nil, command},
		{"verify, covers", StreamVerify, []string{"flowscope.>"}, ""},
		{"verify, covers more", StreamVerify, []string{"flowscope.>", "x"}, ""},
		{"verify, covers less", StreamVerify, []string{"flowscope.dns.>"}, "nats stream edit FLOWSCOPE --subjects 'flowscope.>'"},
		{"verify, covers another", StreamVerify, []string{"x.>", "flowscope.dns.*", "flow"}, "nats stream edit FLOWSCOPE --subjects 'x.>,flow,flowscope.>'"},
		{"create, missing", StreamCreate, nil, ""},
		{"create, covers less", StreamCreate, []string{"flowscope.dns.>"}, "nats stream edit FLOWSCOPE --subjects 'flowscope.>'"},
		{"off, missing", StreamOff, nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv := startServer(t, embedded.Config{})
			js := jetStreamOf(t, srv)
			if tt.exists != nil {
				if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "FLOWSCOPE", Subjects: tt.exists}); err != nil {
					t.Fatal(err)
				}
			}
			cfg := DefaultConfig()
			cfg.Stream.Mode, cfg.Servers = tt.mode, []string{"nats://192.0.2.1:4222"}
			tr, err := NewJetStream(t.Context(), connect(t, srv), cfg)
			if err == nil {
				defer tr.close()
			}
			var wrong *StreamError
			if (tt.command == "") != (err == nil) || tt.command != "" && (!errors.As(err, &wrong) || wrong.Command != tt.command) {
				t.Errorf("NewJetStream: %v, want %q", err, tt.command)
			}
			if tt.exists == nil {
				return
			}
			stream, err := js.Stream(t.Context(), "FLOWSCOPE")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.exists, stream.CachedInfo().Config.Subjects); diff != "" {
				t.Errorf("the stream was changed:\n%s", diff)
			}
			if tt.command == "" {
				return
			}
			// The server takes what the command says, and it puts things right.
			sc := stream.CachedInfo().Config
			sc.Subjects = strings.Split(strings.Split(wrong.Command, "'")[1], ",")
			if _, err := js.UpdateStream(t.Context(), sc); err != nil {
				t.Fatalf("%s: %v", wrong.Command, err)
			}
			if tr, err = NewJetStream(t.Context(), connect(t, srv), cfg); err != nil {
				t.Fatalf("%s does not help: %v", wrong.Command, err)
			}
			defer tr.close()
		})
	}
}

// A stream that is missing cannot be made beside another one that has its subjects: the
// error names that one, and what it says instead helps.
func TestAnotherStreamHasTheSubjects(t *testing.T) {
	tests := []struct {
		name   string
		others map[string][]string
		says   string
		edit   string // subjects that the advice gives OTHER, "" for none
		use    string // the stream that it says to use, "" for none
	}{
		{"all of them", map[string][]string{"OTHER": {"x", "flowscope.>"}}, "beside stream OTHER, which takes flowscope.>;", "", "OTHER"},
		{"some", map[string][]string{"OTHER": {"x", "flowscope.dns.>"}}, "beside stream OTHER, which takes flowscope.dns.>;", "x,flowscope.>", "OTHER"},
		{
			"several",
			map[string][]string{"B": {"flowscope.dns.>"}, "A": {"flowscope.tls.>"}},
			"beside stream A, which takes flowscope.tls.>, and B, which takes flowscope.dns.>; want another publish.prefix", "", "",
		},
		{"none", map[string][]string{"OTHER": {"x"}}, "", "", ""},
	}
	for _, tt := range tests {
		for _, mode := range []string{StreamVerify, StreamCreate} {
			t.Run(tt.name+", "+mode, func(t *testing.T) {
				srv := startServer(t, embedded.Config{})
				js := jetStreamOf(t, srv)
				for name, subjects := range tt.others {
					if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: name, Subjects: subjects}); err != nil {
						t.Fatal(err)
					}
				}
				cfg := DefaultConfig()
				cfg.Stream.Mode = mode
				tr, err := NewJetStream(t.Context(), connect(t, srv), cfg)
				if tt.says == "" {
					if err == nil {
						tr.close()
					}
					var wrong *StreamError
					if (err == nil) != (mode == StreamCreate) || err != nil && (!errors.As(err, &wrong) || wrong.Command != StreamCommand(cfg)) {
						t.Errorf("NewJetStream: %v", err)
					}
					return
				}
				var wrong *StreamError
				if !errors.As(err, &wrong) || !strings.Contains(strings.Replace(err.Error(), ": "+fmt.Sprint(wrong.Err), "", 1), tt.says) {
					t.Fatalf("NewJetStream: %v, want %q", err, tt.says)
				}
				if (tt.use != "") != strings.Contains(wrong.Command, "publish.stream.name: "+tt.use) || tt.use == "" && wrong.Command != "" {
					t.Fatalf("the advice is %q", wrong.Command)
				}
				if tt.edit != "" {
					c := jetstream.StreamConfig{Name: tt.use, Subjects: strings.Split(strings.Split(wrong.Command, "'")[1], ",")}
					if got := strings.Join(c.Subjects, ","); got != tt.edit {
						t.Errorf("subjects %s, want %s", got, tt.edit)
					}
					if _, err := js.UpdateStream(t.Context(), c); err != nil {
						t.Fatal(err)
					}
				}
				if cfg.Stream.Name = tt.use; tt.use == "" {
					return
				}
				if tr, err = NewJetStream(t.Context(), connect(t, srv), cfg); err != nil {
					t.Fatalf("the advice does not help: %v", err)
				}
				tr.close()
			})
		}
	}
}

// Where a pattern overlaps with ours in part there is no simple command.
func TestStreamThatOverlaps(t *testing.T) {
	srv := startServer(t, embedded.Config{})
	if _, err := jetStreamOf(t, srv).CreateStream(t.Context(), jetstream.StreamConfig{Name: "FLOWSCOPE", Subjects: []string{"acme.edge.>"}}); err != nil {
		t.Fatal(err)
	}
	cfg := DefaultConfig()
	cfg.Prefix = "acme.{sensor}.flows"
	_, err := NewJetStream(t.Context(), connect(t, srv), cfg)
	var wrong *StreamError
	if !errors.As(err, &wrong) || wrong.Command != "" || !strings.Contains(err.Error(), "takes acme.edge.>, but not acme.*.flows.>") {
		t.Errorf("%v, want no command", err)
	}
}

func TestStreamSubject(t *testing.T) {
	for prefix, want := range map[string]string{
		"flowscope": "flowscope.>", "acme.{sensor}.flowscope": "acme.*.flowscope.>", "s_{sensor}": "*.>",
	} {
		if got := StreamSubject(prefix); got != want {
			t.Errorf("StreamSubject(%q) = %q, want %q", prefix, got, want)
		}
	}
}

func TestCovers(t *testing.T) {
	tests := []struct {
		pattern, want string
		covers        bool
	}{
		{">", "a.>", true},
		{"a.>", "a.>", true},
		{"a.*", "a.>", false},
		{"a.*", "a.*", true},
		{"a.b", "a.*", false},
		{"*.b", "a.b", true},
		{"a.>", "a", false},
		{"a", "a.b", false},
		{"a.b", "a", false},
		{"a.b.>", "a.>", false},
	}
	for _, tt := range tests {
		if got := covers([]string{tt.pattern}, tt.want); got != tt.covers {
			t.Errorf("%q covers %q: %v, want %v", tt.pattern, tt.want, got, tt.covers)
		}
	}
}

func TestConnectUnreachable(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Servers, cfg.ConnectTimeout = []string{"nats://" + freePort(t)}, 500*time.Millisecond
	begin := time.Now()
	_, err := Connect(t.Context(), cfg, "test", nil)
	if took := time.Since(begin); err == nil || took > 5*time.Second {
		t.Errorf("Connect: %v after %v", err, took)
	}
	if err != nil && !strings.Contains(err.Error(), cfg.Servers[0]) {
		t.Errorf("error %q does not name the server", err)
	}
}

// A server that accepts and says nothing counts as unreachable too.
func TestConnectSilentServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cfg := DefaultConfig()
	cfg.Servers, cfg.ConnectTimeout = []string{"nats://" + l.Addr().String()}, 300*time.Millisecond
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := Connect(ctx, cfg, "test", nil); err == nil || ctx.Err() != nil {
		t.Errorf("Connect: %v", err)
	}
}

func TestAuth(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	tests := []struct {
		name string
		auth Auth
		want string // in the error, "" for none
	}{
		{"nothing", Auth{}, ""},
		{"user", Auth{UserFile: file("user", "joe:a:b\n", 0o600)}, ""},
		{"token", Auth{TokenFile: file("token", "t", 0o640)}, ""},
		{"two ways", Auth{UserFile: "x", TokenFile: "y"}, "user_file and token_file"},
		{"certificate without key", Auth{Certificate: "x"}, "certificate and key"},
		{"readable by others", Auth{TokenFile: file("open", "secret", 0o604)}, "0604"},
		{"no colon", Auth{UserFile: file("bad", "secret", 0o600)}, "user:password"},
		{"no file", Auth{Credentials: filepath.Join(dir, "none")}, "no such file"},
		{"no token", Auth{TokenFile: file("empty", "\n", 0o600)}, "one line, the token"},
		{"no credentials", Auth{Credentials: file("creds", "secret", 0o600)}, "JWT and seed"},
		{"no seed", Auth{NKeySeed: file("seed", "secret", 0o600)}, "nkey seed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.auth.Validate()
			if err == nil {
				_, err = tt.auth.options(nil)
			}
			if (err != nil) != (tt.want != "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("error %q tells the secret", err)
			}
		})
	}
}

// No server takes a stream of every first token, which the server's own are among. With
// one that is fixed, or without a stream, the sensor's name may be where it is wanted.
func TestPrefixOfSensor(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Prefix = "acme.{sensor}"
	if err := cfg.Validate(); err != nil {
		t.Error(err)
	}
	js := jetStreamOf(t, startServer(t, embedded.Config{}))
	if _, err := js.CreateStream(t.Context(), streamConfig(cfg)); err != nil {
		t.Error(err)
	}
	cfg.Prefix = "{sensor}.fs"
	if _, err := js.CreateStream(t.Context(), streamConfig(cfg)); err == nil || cfg.Validate() == nil {
		t.Errorf("the server says %v to a stream of %s, the check %v", err, StreamSubject(cfg.Prefix), cfg.Validate())
	}
	for _, change := range []func(*Config){func(c *Config) { c.Mode = ModeCore }, func(c *Config) { c.Stream.Mode = StreamOff }} {
		c := cfg
		change(&c)
		if err := c.Validate(); err != nil {
			t.Errorf("without a stream: %v", err)
		}
	}
}

func TestConfigValidate(t *testing.T) {
	if err := DefaultConfig().Validate(); err != nil {
		t.Fatalf("defaults: %v", err)
	}
	if err := DefaultConfig().Resolved().Validate(); err != nil {
		t.Fatalf("resolved defaults: %v", err)
	}
	tests := []struct {
		key    string
		change func(*Config)
	}{
		{"prefix", func(c *Config) { c.Prefix = "a..b" }},
		{"prefix", func(c *Config) { c.Prefix = "a.*" }},
		{"prefix", func(c *Config) { c.Prefix = "{sensor}.fs" }},
		{"prefix", func(c *Config) { c.Prefix = "s_{sensor}" }},
		{"servers", func(c *Config) { c.Servers = []string{"http://x"} }},
		{"servers", func(c *Config) { c.Servers = []string{"nats://joe:secret@x"} }},
		{"events", func(c *Config) { c.Events = "some" }},
		{"queue_bytes", func(c *Config) { c.QueueBytes = 0 }},
		{"in_flight.messages", func(c *Config) { c.InFlight.Messages = 0 }},
		{"in_flight.bytes", func(c *Config) { c.InFlight.Bytes = 1 << 40 }},
		{"connect_timeout", func(c *Config) { c.ConnectTimeout = 0 }},
		{"stall_timeout", func(c *Config) { c.StallTimeout = -1 }},
		{"stream.name", func(c *Config) { c.Stream.Name = "a.b" }},
		{"stream.mode", func(c *Config) { c.Stream.Mode = "maybe" }},
		{"stream.storage", func(c *Config) { c.Stream.Storage = "tape" }},
		{"stream.replicas", func(c *Config) { c.Stream.Replicas = 0 }},
		{"stream.duplicate_window", func(c *Config) { c.Stream.MaxAge, c.Stream.DuplicateWindow = time.Second, time.Minute }},
		{"auth", func(c *Config) { c.Auth.Key = "x" }},
	}
	for _, tt := range tests {
		t.Run(tt.key, func(t *testing.T) {
			c := DefaultConfig()
			tt.change(&c)
			err := c.Validate()
			if err == nil || !strings.HasPrefix(err.Error(), tt.key+":") || strings.Contains(err.Error(), "secret") {
				t.Errorf("Validate: %v, want it to begin with %s and to tell no secret", err, tt.key)
			}
		})
	}
}
