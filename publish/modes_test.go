package publish

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"flowscope/publish/embedded"
	"flowscope/session"
)

// storedIDs returns how often each event's id is in the stream, however the events
// are put into messages.
func storedIDs(t testing.TB, s *embedded.Server, reg *session.Registry) map[string]int {
	t.Helper()
	ids := map[string]int{}
	for _, d := range collect(t, s, SubscribeConfig{Subjects: []string{"flowscope.>"}, UntilCaughtUp: true}) {
		if strings.Contains(d.Subject, ".sensor.") {
			continue
		}
		n := 0
		for e, err := range DecodeAll(d.Payload, reg) {
			if err != nil {
				t.Fatal(err)
			}
			if want := "flowscope." + e.Protocol + "." + e.Kind; d.Subject != want {
				t.Fatalf("an event of %s on %s", want, d.Subject)
			}
			ids[e.ID()]++
			n++
		}
		if count := d.Header[CountHeader]; n > 1 && (len(count) != 1 || count[0] != fmt.Sprint(n)) || n == 1 && count != nil {
			t.Fatalf("%d events with %s %v", n, CountHeader, count)
		}
	}
	return ids
}

// TestModes publishes the same events in each way that stores them.
func TestModes(t *testing.T) {
	tests := []struct {
		name  string
		mode  string
		batch int
	}{
		{"jetstream", ModeJetStream, 0},
		{"jetstream, batched", ModeJetStream, 16 << 10},
		{"fast", ModeFast, 0},
		{"fast, batched", ModeFast, 16 << 10},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			reg := deliveryRegistry(t)
			srv := startServer(t, embedded.Config{})
			cfg := DefaultConfig()
			cfg.Mode, cfg.BatchBytes = tt.mode, tt.batch
			cfg.AckTimeout = time.Minute // a slow machine is no trouble
			p := runPublisher(t, cfg, Options{Registry: reg}, newJetStreamFor(t, srv, cfg))
			sink, m := p.Sink(0), newMaker(reg, 1)
			const n = 20_000
			for i := range n {
				if i%3 == 0 {
					sink.HandleEvent(m.event(t, "http", "request"))
				} else {
					sink.HandleEvent(m.event(t, "dns", "query"))
				}
			}
			sink.Close()
			if err := p.Close(within(t, 30*time.Second)); err != nil {
				t.Fatal(err)
			}
			l := p.Ledger()
			checkBalance(t, l)
			if e := l.Events; e.Acknowledged != n || e.Resent != 0 {
				t.Errorf("%+v, want %d acknowledged at first", e, n)
			}
			text, err := json.Marshal(l)
			if null := strings.Contains(string(text), `"duplicates":null`); err != nil || null != (tt.mode == ModeFast) {
				t.Errorf("%v: %s", err, text)
			}
			ids := storedIDs(t, srv, reg)
			for id, times := range ids {
				if times != 1 {
					t.Fatalf("%s is stored %d times", id, times)
				}
			}
			if len(ids) != n {
				t.Errorf("%d events stored, want %d", len(ids), n)
			}
			if got := streamMessages(t, srv); tt.batch == 0 && got != n || tt.batch > 0 && got > n/10 {
				t.Errorf("%d messages", got)
			}
		})
	}
}

// An event is acknowledged soon although no more come: the batch does not wait
// until it is full.
func TestFastLingers(t *testing.T) {
	reg := deliveryRegistry(t)
	srv := startServer(t, embedded.Config{})
	cfg := DefaultConfig()
	cfg.Mode, cfg.AckTimeout = ModeFast, time.Minute
	p := runPublisher(t, cfg, Options{Registry: reg, Live: true}, newJetStreamFor(t, srv, cfg))
	sink, m := p.Sink(0), newMaker(reg, 1)
	for n := uint64(1); n <= 3; n++ {
		sink.HandleEvent(m.event(t, "dns", "query"))
		sink.Tick(time.Unix(int64(n), 0))
		for begin := time.Now(); p.Ledger().Events.Acknowledged < n; <-time.After(5 * time.Millisecond) {
			if time.Since(begin) > 20*time.Second {
				t.Fatalf("event %d is not acknowledged", n)
			}
		}
	}
	if e := p.Ledger().Events; e.Resent != 0 {
		t.Errorf("%+v", e)
	}
}

// Fast ingest does not wait for the server to acknowledge what a small window cannot
// hold: the batch is closed when the window is full.
func TestFastWithASmallWindow(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Mode, cfg.InFlight.Messages = ModeFast, 3
	tr := newJetStreamFor(t, startServer(t, embedded.Config{}), cfg).(*jetStream)
	defer tr.close()
	server := &instantServer{t: tr}
	tr.put = server.put
	const n = 10
	p, batch := handedOver(t, cfg, tr, n)
	// Nothing closes batches by and by: the publisher does not run.
	if err := tr.publish(within(t, 10*time.Second), batch); err != nil {
		t.Fatal(err)
	}
	if e := p.Ledger().Events; e.Acknowledged < n-3 || e.Resent != 0 {
		t.Errorf("%+v, want at least %d acknowledged", e, n-3)
	}
}

// A batch that the server has forgotten (error 10208) is sent again one by one,
// and stored once.
func TestFastForgotten(t *testing.T) {
	reg := deliveryRegistry(t)
	srv := startServer(t, embedded.Config{})
	cfg := DefaultConfig()
	cfg.Mode = ModeFast
	tr := newJetStreamFor(t, srv, cfg).(*jetStream)
	p := runPublisher(t, cfg, Options{Registry: reg}, tr)
	sink, m := p.Sink(0), newMaker(reg, 1)
	const n = 1000
	// The batch begins with a number that the server has never seen the likes of.
	tr.mu.Lock()
	tr.fast.open = &fastBatch{id: "nobody-knows", seq: 6, acked: 6, flow: fastFlow, latest: time.Now()}
	tr.mu.Unlock()
	for range n {
		sink.HandleEvent(m.event(t, "dns", "query"))
	}
	sink.Close()
	if err := p.Close(within(t, 30*time.Second)); err != nil {
		t.Fatal(err)
	}
	l := p.Ledger()
	checkBalance(t, l)
	if e := l.Events; e.Acknowledged != n || e.Resent == 0 {
		t.Errorf("%+v, want %d acknowledged, some of them resent", e, n)
	}
	if got := len(storedIDs(t, srv, reg)); got != n {
		t.Errorf("%d events stored, want %d", got, n)
	}
	if got := streamMessages(t, srv); got != n {
		t.Errorf("%d messages stored, want %d", got, n)
	}
}

// TestCore sends one protocol by core NATS, the other through the stream.
func TestCore(t *testing.T) {
	reg := deliveryRegistry(t)
	srv := startServer(t, embedded.Config{})
	nc := connect(t, srv)
	sub, err := nc.SubscribeSync("flowscope.http.>")
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	cfg := DefaultConfig()
	cfg.Core, cfg.Stream.Mode = []string{"http"}, StreamOff
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "DNS", Subjects: []string{"flowscope.dns.>"}}); err != nil {
		t.Fatal(err)
	}
	p := runPublisher(t, cfg, Options{Registry: reg}, newJetStreamFor(t, srv, cfg))
	sink, m := p.Sink(0), newMaker(reg, 1)
	const n = 100
	for range n {
		sink.HandleEvent(m.event(t, "http", "request"))
		sink.HandleEvent(m.event(t, "dns", "query"))
	}
	sink.Close()
	if err := p.Close(within(t, 30*time.Second)); err != nil {
		t.Fatal(err)
	}
	l := p.Ledger()
	checkBalance(t, l)
	if e := l.Events; e.Acknowledged != n || e.Sent != n {
		t.Errorf("%+v, want %d each acknowledged and sent", e, n)
	}
	for i := range n {
		msg, err := sub.NextMsg(5 * time.Second)
		if err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
		if e, err := Decode(msg.Data, reg); err != nil || msg.Header.Get("Nats-Msg-Id") != e.ID() {
			t.Fatalf("message %d: %v, %v", i, err, msg.Header)
		}
	}
}

// What went by core NATS counts as delivered in the end only when the server has read it.
func TestCoreEndsWhenTheServerHasRead(t *testing.T) {
	srv := startServer(t, embedded.Config{Listen: "127.0.0.1:0"})
	dialer := &muteDialer{}
	nc, err := nats.Connect(srv.URL(), append(ConnectionOptions("test", nil), nats.SetCustomDialer(dialer))...)
	if err != nil {
		t.Fatal(err)
	}
	cfg := DefaultConfig()
	cfg.Mode, cfg.AckTimeout = ModeCore, 200*time.Millisecond
	tr, err := NewJetStream(t.Context(), nc, cfg)
	if err != nil {
		t.Fatal(err)
	}
	p := runPublisher(t, cfg, Options{Registry: deliveryRegistry(t)}, tr)
	dialer.mute.Store(true)
	sink, m := p.Sink(0), newMaker(p.opts.Registry, 1)
	sink.HandleEvent(m.event(t, "dns", "query"))
	sink.Close()
	if err := p.Flush(within(t, 100*time.Millisecond)); err == nil {
		t.Error("all is well although the server says nothing")
	}
	dialer.mute.Store(false)
	if err := nc.ForceReconnect(); err != nil { // bytes are missing in this one
		t.Fatal(err)
	}
	if err := p.Close(within(t, 10*time.Second)); err != nil {
		t.Error(err)
	}
	if e := p.Ledger().Events; e.Sent != 1 {
		t.Errorf("%+v, want 1 sent", e)
	}
}

// A sensor begins without a server, is not ready, and delivers everything once
// there is one with the right stream.
func TestDialWithoutServer(t *testing.T) {
	reg := deliveryRegistry(t)
	listen := freePort(t)
	cfg := DefaultConfig()
	cfg.Servers = []string{"nats://" + listen}
	tr, err := DialJetStream(cfg, "test", nil)
	if err != nil {
		t.Fatal(err)
	}
	p := runPublisher(t, cfg, Options{Registry: reg, Live: true}, tr)
	sink, m := p.Sink(0), newMaker(reg, 1)
	const n = 500
	for range n {
		sink.HandleEvent(m.event(t, "dns", "query"))
	}
	sink.Close()
	if err := p.Ready(); err == nil {
		t.Fatal("ready without a server")
	}
	srv := startServer(t, embedded.Config{Listen: listen})
	waitFor(t, "the missing stream to be told", func() bool {
		err := p.Ready()
		return err != nil && strings.Contains(err.Error(), "nats stream add FLOWSCOPE")
	})
	if e := p.Ledger().Events; e.Pending != n {
		t.Errorf("%+v, want %d pending", e, n)
	}
	if _, err := jetStreamOf(t, srv).CreateStream(t.Context(), streamConfig(cfg.Resolved())); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the acknowledgements", func() bool { return p.Ready() == nil && p.Ledger().Events.Acknowledged == n })
	if err := p.Close(within(t, 10*time.Second)); err != nil {
		t.Error(err)
	}
}

// A stop before there ever was a server keeps its deadline and says how much is
// left.
func TestDialStops(t *testing.T) {
	reg := deliveryRegistry(t)
	cfg := DefaultConfig()
	cfg.Servers = []string{"nats://" + freePort(t)}
	tr, err := DialJetStream(cfg, "test", nil)
	if err != nil {
		t.Fatal(err)
	}
	p := runPublisher(t, cfg, Options{Registry: reg, Live: true}, tr)
	sink, m := p.Sink(0), newMaker(reg, 1)
	sink.HandleEvent(m.event(t, "dns", "query"))
	sink.Close()
	begin := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	if err := p.Close(ctx); err == nil || !strings.Contains(err.Error(), "1 event is not acknowledged") {
		t.Errorf("Close: %v", err)
	}
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("the stop took %v", took)
	}
	checkBalance(t, p.Ledger())
}

func waitFor(t testing.TB, what string, done func() bool) {
	t.Helper()
	for begin := time.Now(); !done(); <-time.After(10 * time.Millisecond) {
		if time.Since(begin) > 20*time.Second {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
