package publish

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"flowscope/publish/embedded"
)

// outage publishes events whose acknowledgements are lost for longer than the
// stream's duplicate window. Beforehand some are published in peace; of the
// others, some are taken out of the stream again, as if they had never come.
// With replace the stream is deleted in between, and another takes its place.
func outage(t *testing.T, nc, admin *nats.Conn, lose int, replace bool) (*running, uint64) {
	t.Helper()
	reg := deliveryRegistry(t)
	cfg := DefaultConfig()
	cfg.Stream.Mode, cfg.Stream.DuplicateWindow = StreamVerify, time.Second
	cfg.AckTimeout = time.Minute // the end of the outage is when this test says so
	js, err := jetstream.New(admin)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.CreateStream(t.Context(), streamConfig(cfg))
	if err != nil {
		t.Fatal(err)
	}
	tr, err := newJetStream(nc, cfg.Resolved())
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.setUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	p := runPublisher(t, cfg, Options{Registry: reg}, tr)
	sink, m := p.Sink(0), newMaker(reg, 1)
	const before, during = 50, 100
	for range before {
		sink.HandleEvent(m.event(t, "dns", "query"))
	}
	sink.Tick(time.Unix(1, 0))
	if err := p.Flush(within(t, 10*time.Second)); err != nil {
		t.Fatal(err)
	}
	stored := uint64(before)
	if replace {
		if err := js.DeleteStream(t.Context(), cfg.Stream.Name); err != nil {
			t.Fatal(err)
		}
		if stream, err = js.CreateStream(t.Context(), streamConfig(cfg)); err != nil {
			t.Fatal(err)
		}
		stored = 0
	}
	if err := tr.sub.Unsubscribe(); err != nil {
		t.Fatal(err)
	}
	for range during {
		sink.HandleEvent(m.event(t, "dns", "query"))
	}
	sink.Close()
	for now := uint64(0); now < stored+during; <-time.After(5 * time.Millisecond) {
		info, err := stream.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		now = info.State.Msgs
	}
	for i := range lose {
		if err := stream.DeleteMsg(t.Context(), uint64(before+10+i)); err != nil {
			t.Fatal(err)
		}
	}
	forgetIDs(t, js, stream)
	if tr.sub, err = nc.Subscribe(tr.inbox+">", tr.answer); err != nil {
		t.Fatal(err)
	}
	tr.mu.Lock()
	for k := range tr.slots {
		tr.slots[k].due = time.Now()
	}
	tr.mu.Unlock()
	if err := p.Close(within(t, 30*time.Second)); err != nil {
		t.Fatal(err)
	}
	checkBalance(t, p.Ledger())
	info, err := stream.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return p, info.State.Msgs
}

// forgetIDs waits until the server has forgotten the ids of all that is stored: of a
// message that comes last, too, which is taken out again.
func forgetIDs(t *testing.T, js jetstream.JetStream, stream jetstream.Stream) {
	t.Helper()
	var taken []uint64
	last := func() (duplicate bool) {
		ack, err := js.Publish(t.Context(), "flowscope.test.last", nil, jetstream.WithMsgID("last"))
		if err != nil {
			t.Fatal(err)
		}
		if !ack.Duplicate {
			taken = append(taken, ack.Sequence)
		}
		return ack.Duplicate
	}
	last()
	waitFor(t, "the server to forget ids", func() bool { return !last() })
	for _, seq := range taken {
		if err := stream.DeleteMsg(t.Context(), seq); err != nil {
			t.Fatal(err)
		}
	}
}

// After an outage longer than the duplicate window nothing is stored twice, and
// what was lost is sent again.
func TestReadBack(t *testing.T) {
	srv := startServer(t, embedded.Config{})
	p, stored := outage(t, connect(t, srv), connect(t, srv), 3, false)
	e := p.Ledger().Events
	if stored != 150 || e.Acknowledged != 150 || e.Resent != 3 || e.PossiblyDoubled != 0 {
		t.Errorf("stored %d, want 150; %+v, want 150 acknowledged, 3 resent, none doubled", stored, e)
	}
}

// The sequences of a stream mean nothing in another one of its name.
func TestReadBackOfASuccessor(t *testing.T) {
	srv := startServer(t, embedded.Config{})
	p, stored := outage(t, connect(t, srv), connect(t, srv), 0, true)
	e := p.Ledger().Events
	if stored != 100 || e.Acknowledged != 150 || e.Resent != 0 || e.PossiblyDoubled != 0 {
		t.Errorf("stored %d, want 100; %+v, want 150 acknowledged, none resent or doubled", stored, e)
	}
}

// The stream's window may be another one after an outage. It is looked at again after each
// new connection, before anything is sent again; one that is longer does not bring back
// what was forgotten before.
func TestReadBackAfterAChangeOfTheWindow(t *testing.T) {
	for _, windows := range [][]time.Duration{
		{2 * time.Minute, 100 * time.Millisecond},
		{2 * time.Second, 2 * time.Minute},
	} {
		t.Run(fmt.Sprint(windows), func(t *testing.T) {
			t.Parallel()
			changeWindow(t, windows)
		})
	}
}

func changeWindow(t *testing.T, windows []time.Duration) {
	srv := startServer(t, embedded.Config{Listen: "127.0.0.1:0"})
	nc, err := nats.Connect(srv.URL(), ConnectionOptions("test", nil)...)
	if err != nil {
		t.Fatal(err)
	}
	cfg := DefaultConfig()
	cfg.AckTimeout, cfg.Stream.DuplicateWindow = time.Minute, windows[0]
	tr, err := NewJetStream(t.Context(), nc, cfg)
	if err != nil {
		t.Fatal(err)
	}
	js := tr.(*jetStream)
	if err := js.sub.Unsubscribe(); err != nil { // the answers are lost
		t.Fatal(err)
	}
	p := runPublisher(t, cfg, Options{Registry: deliveryRegistry(t)}, tr)
	sink, m := p.Sink(0), newMaker(p.opts.Registry, 1)
	const n = 100
	for range n {
		sink.HandleEvent(m.event(t, "dns", "query"))
	}
	sink.Close()
	waitFor(t, "the messages", func() bool { return streamMessages(t, srv) == n })
	sc := streamConfig(cfg.Resolved())
	for i, window := range windows {
		if sc.Duplicates = window; i > 0 {
			if _, err := jetStreamOf(t, srv).UpdateStream(t.Context(), sc); err != nil {
				t.Fatal(err)
			}
		}
		if window < time.Minute {
			<-time.After(window + 300*time.Millisecond) // the server forgets the ids
		}
	}
	if js.sub, err = nc.Subscribe(js.inbox+">", js.answer); err != nil {
		t.Fatal(err)
	}
	if err := nc.ForceReconnect(); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(within(t, 30*time.Second)); err != nil {
		t.Fatal(err)
	}
	if e, stored := p.Ledger().Events, streamMessages(t, srv); stored != n || e.Acknowledged != n || e.Resent != 0 {
		t.Errorf("stored %d, want %d; %+v, want none resent", stored, n, e)
	}
}

func TestReadBackSmallRequests(t *testing.T) {
	tr, err := NewJetStream(t.Context(), smallRequests(t), DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	js := tr.(*jetStream)
	api, err := js.jetStreamAPI()
	if err != nil {
		t.Fatal(err)
	}
	const n = 50
	for i := range n {
		if _, err := api.Publish(t.Context(), "flowscope.dns.query", nil, jetstream.WithMsgID(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	stored, last, err := js.storedAmong(within(t, 20*time.Second), map[string]ref{"0": {}, "17": {}, "49": {}, "50": {}}, 0)
	if want := map[string]uint64{"0": 1, "17": 18, "49": 50}; err != nil || last != n || !maps.Equal(stored, want) {
		t.Errorf("%v up to %d, %v; want %v", stored, last, err, want)
	}
}

// Without permission to read, everything is sent again and counted.
func TestReadBackForbidden(t *testing.T) {
	nc, admin := startRestricted(t, &server.Permissions{Publish: &server.SubjectPermission{
		Deny: []string{"$JS.API.CONSUMER.>", "$JS.API.STREAM.MSG.>", "$JS.API.DIRECT.>"},
	}})
	p, stored := outage(t, nc, admin, 0, false)
	e := p.Ledger().Events
	if stored != 250 || e.Acknowledged != 150 || e.Resent != 100 || e.PossiblyDoubled != 100 {
		t.Errorf("stored %d, want 250; %+v, want 150 acknowledged, 100 resent and possibly doubled", stored, e)
	}
}
