package publish

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"flowscope/flow"
	"flowscope/publish/embedded"
	"flowscope/session"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if err := leaks(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// leaks finds goroutines that are left behind, without what the embedded server's
// packages leave behind for the life of the process. On a busy machine those of servers
// and connections take their time to end: they have ten seconds.
func leaks() (err error) {
	for begin := time.Now(); time.Since(begin) < 10*time.Second; {
		if err = goleak.Find(goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server.init.0.func1")); err == nil {
			return nil
		}
	}
	return err
}

func deliveryRegistry(t testing.TB) *session.Registry {
	t.Helper()
	r, err := session.NewRegistry(newFakeFactory("dns", &query{}), newFakeFactory("http", &mode{kind: "request"}))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// maker makes events of one flow.
type maker struct {
	reg  *session.Registry
	info flow.Info
	seq  uint64
}

func newMaker(reg *session.Registry, id byte) *maker {
	m := &maker{reg: reg}
	m.info = flow.Info{Transport: flow.UDP}
	m.info.ID[0] = id
	return m
}

func (m *maker) event(t testing.TB, protocol, kind string) *session.SessionEvent {
	t.Helper()
	topic, ok := m.reg.TopicOf(protocol, kind)
	if !ok {
		t.Fatalf("no topic %s.%s", protocol, kind)
	}
	e := &session.SessionEvent{
		Type: m.reg.Topics()[topic].Type, Topic: topic, Protocol: protocol, Kind: kind,
		Time: 1, Seq: m.seq, Flow: &m.info,
	}
	if e.Type == session.Application {
		e.Message = &query{ID: uint16(m.seq), Name: "example.com"}
	}
	m.seq++
	return e
}

func startServer(t testing.TB, cfg embedded.Config) *embedded.Server {
	t.Helper()
	if cfg.Store == "" {
		cfg.Store = t.TempDir()
	}
	s, err := embedded.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func connect(t testing.TB, s *embedded.Server) *nats.Conn {
	t.Helper()
	nc, err := s.Connect(ConnectionOptions("test", nil)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

func newJetStreamFor(t testing.TB, s *embedded.Server, cfg Config) Transport {
	t.Helper()
	tr, err := NewJetStream(t.Context(), connect(t, s), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// running is a publisher whose Run is under way.
type running struct {
	*Publisher
	result chan error
}

func runPublisher(t testing.TB, cfg Config, opts Options, tr Transport) *running {
	t.Helper()
	if opts.Sensor == "" {
		opts.Sensor = "test"
	}
	if opts.Run == "" {
		opts.Run = "run1"
	}
	if opts.Workers == 0 {
		opts.Workers = 1
	}
	p, err := New(cfg, opts, tr)
	if err != nil {
		t.Fatal(err)
	}
	r := &running{p, make(chan error, 1)}
	go func() { r.result <- p.Run(context.Background()) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = p.Close(ctx)
	})
	return r
}

func within(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

func checkBalance(t testing.TB, l *Ledger) {
	t.Helper()
	if err := l.Balance(); err != nil {
		t.Error(err)
	}
}

func streamMessages(t testing.TB, s *embedded.Server) uint64 {
	t.Helper()
	js, err := jetstream.New(connect(t, s))
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), "FLOWSCOPE")
	if err != nil {
		t.Fatal(err)
	}
	return stream.CachedInfo().State.Msgs
}

func collect(t testing.TB, s *embedded.Server, cfg SubscribeConfig) []*Delivery {
	t.Helper()
	var all []*Delivery
	for d, err := range Subscribe(within(t, 20*time.Second), connect(t, s), cfg) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, d)
	}
	return all
}

func TestPublishAndSubscribe(t *testing.T) {
	reg := deliveryRegistry(t)
	srv := startServer(t, embedded.Config{})
	p := runPublisher(t, DefaultConfig(), Options{Registry: reg, Workers: 2}, newJetStreamFor(t, srv, DefaultConfig()))
	const perWorker = 3000
	done := make(chan struct{})
	for w := range 2 {
		sink, m := p.Sink(w), newMaker(reg, byte(w+1))
		go func() {
			defer func() { done <- struct{}{} }()
			for i := range perWorker {
				sink.HandleEvent(m.event(t, "dns", "query"))
				if i%100 == 0 {
					sink.Tick(time.Unix(0, int64(i)*1e6))
				}
			}
			sink.Close()
		}()
	}
	<-done
	<-done
	if err := p.Flush(within(t, 20*time.Second)); err != nil {
		t.Fatal(err)
	}
	l := p.Ledger()
	checkBalance(t, l)
	if l.Events.Acknowledged != 2*perWorker || l.Events.Made != 2*perWorker || l.Subjects["flowscope.dns.query"] != 2*perWorker {
		t.Errorf("ledger %+v", l)
	}
	if err := p.PublishSensor(l); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(within(t, 20*time.Second)); err != nil {
		t.Fatal(err)
	}
	if err := <-p.result; err != nil {
		t.Errorf("Run: %v", err)
	}

	all := collect(t, srv, SubscribeConfig{Subjects: []string{"flowscope.>"}, UntilCaughtUp: true})
	if len(all) != 2*perWorker+1 {
		t.Fatalf("%d deliveries, want %d", len(all), 2*perWorker+1)
	}
	ids := map[string]bool{}
	for i, d := range all {
		ids[d.ID] = true
		e, err := Decode(d.Payload, reg)
		if err != nil {
			t.Fatal(err)
		}
		if e.ID() != d.ID || d.Header["Content-Type"][0] != ContentType || d.Sequence != uint64(i+1) {
			t.Fatalf("delivery %d: id %s, header %v, event %s", i, d.ID, d.Header, e.ID())
		}
		if i < 2*perWorker && !strings.HasPrefix(d.Header[SeqHeader][0], "run1.") {
			t.Fatalf("delivery %d: %s %v", i, SeqHeader, d.Header[SeqHeader])
		}
	}
	if len(ids) != len(all) {
		t.Errorf("%d different ids in %d messages", len(ids), len(all))
	}
	last := all[len(all)-1]
	if last.Subject != "flowscope.sensor.ledger" || last.ID != "run1-0" || last.Header[SeqHeader][0] != "run1.2.1" {
		t.Errorf("last delivery: %s %s %v", last.Subject, last.ID, last.Header)
	}
}

func TestSameEventsTwice(t *testing.T) {
	reg := deliveryRegistry(t)
	srv := startServer(t, embedded.Config{})
	const n = 500
	for round, run := range []string{"first", "second"} {
		p := runPublisher(t, DefaultConfig(), Options{Registry: reg, Run: run}, newJetStreamFor(t, srv, DefaultConfig()))
		sink, m := p.Sink(0), newMaker(reg, 1)
		for range n {
			sink.HandleEvent(m.event(t, "dns", "query"))
		}
		sink.Close()
		if err := p.Close(within(t, 20*time.Second)); err != nil {
			t.Fatal(err)
		}
		l := p.Ledger()
		checkBalance(t, l)
		if l.Events.Acknowledged != n || l.Events.Duplicates != uint64(round*n) {
			t.Errorf("%s run: %+v", run, l.Events)
		}
		if got := streamMessages(t, srv); got != n {
			t.Errorf("after the %s run the stream holds %d messages, want %d", run, got, n)
		}
	}
}

func TestRestartKeepsEvents(t *testing.T) {
	reg := deliveryRegistry(t)
	dir := t.TempDir()
	srv := startServer(t, embedded.Config{Store: dir})
	p := runPublisher(t, DefaultConfig(), Options{Registry: reg}, newJetStreamFor(t, srv, DefaultConfig()))
	sink, m := p.Sink(0), newMaker(reg, 1)
	for range 100 {
		sink.HandleEvent(m.event(t, "dns", "query"))
	}
	sink.Close()
	if err := p.Close(within(t, 20*time.Second)); err != nil {
		t.Fatal(err)
	}
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := embedded.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = again.Close() })
	all := collect(t, again, SubscribeConfig{Subjects: []string{"flowscope.dns.*"}, UntilCaughtUp: true})
	if len(all) != 100 {
		t.Errorf("%d events after the restart, want 100", len(all))
	}
}

func TestServerGoesAway(t *testing.T) {
	reg := deliveryRegistry(t)
	srv := startServer(t, embedded.Config{})
	cfg := DefaultConfig()
	p := runPublisher(t, cfg, Options{Registry: reg}, newJetStreamFor(t, srv, cfg))
	sink, m := p.Sink(0), newMaker(reg, 1)
	for range 300 {
		sink.HandleEvent(m.event(t, "dns", "query"))
	}
	sink.Tick(time.Unix(1, 0))
	if err := p.Flush(within(t, 20*time.Second)); err == nil {
		// The tick handed over only if the publisher was idle, which it was.
		if got := p.Ledger().Events.Acknowledged; got != 300 {
			t.Fatalf("%d acknowledged before the server went, want 300", got)
		}
	} else {
		t.Fatal(err)
	}
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		sink.HandleEvent(m.event(t, "dns", "query"))
	}
	sink.Close()
	err := p.Close(within(t, 300*time.Millisecond))
	var lost *NotAcknowledgedError
	if !errors.As(err, &lost) || lost.N != 200 {
		t.Fatalf("Close: %v, want 200 not acknowledged", err)
	}
	l := p.Ledger()
	checkBalance(t, l)
	if l.Events.Pending != 200 || l.Events.Acknowledged != 300 {
		t.Errorf("ledger %+v", l.Events)
	}
}

// A server that ends in the middle of a replay and never comes back ends the
// replay too: sinks do not wait for ever.
func TestStall(t *testing.T) {
	reg := deliveryRegistry(t)
	srv := startServer(t, embedded.Config{})
	cfg := DefaultConfig()
	cfg.StallTimeout = 200 * time.Millisecond
	cfg.QueueBytes = 1 << 20
	cfg.InFlight.Messages = 16
	p := runPublisher(t, cfg, Options{Registry: reg}, newJetStreamFor(t, srv, cfg))
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	sink, m := p.Sink(0), newMaker(reg, 1)
	const n = 20000 // several times the queue
	for range n {
		sink.HandleEvent(m.event(t, "dns", "query"))
	}
	sink.Close()
	var lost *NotAcknowledgedError
	if err := <-p.result; !errors.As(err, &lost) {
		t.Errorf("Run: %v", err)
	}
	if err := p.Close(within(t, 20*time.Second)); !errors.As(err, &lost) || lost.N != n || !errors.Is(err, nats.ErrDisconnected) {
		t.Errorf("Close: %v, want %d not acknowledged, disconnected", err, n)
	}
	checkBalance(t, p.Ledger())
}
