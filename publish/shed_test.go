package publish

import (
	"bytes"
	"testing"
	"time"

	"flowscope/session"
)

// While the queue fills up, events are given up class by class: ticks first,
// closed last; nothing else is lost, and the numbers show the holes.
func TestShedding(t *testing.T) {
	reg := deliveryRegistry(t)
	cfg := DefaultConfig()
	cfg.QueueBytes, cfg.Heartbeat = 8<<20, 0
	gate := make(chan struct{})
	p := runPublisher(t, cfg, Options{Registry: reg, Live: true}, &blocked{gate: gate})
	sink, m := p.Sink(0), newMaker(reg, 1)
	kinds := []string{"tick", "query", "started", "closed"}
	reasons := []string{"queue_tick", "queue_message", "queue_flow", "queue_full"}
	var order []string // of the first drops
	for i := range 400_000 {
		sink.HandleEvent(m.event(t, "dns", kinds[i%len(kinds)]))
		if i%1000 != 0 {
			continue
		}
		sink.Tick(time.Unix(0, int64(i)))
		dropped := p.Ledger().Events.Dropped
		for _, r := range reasons {
			if dropped[r] > 0 && !contains(order, r) {
				order = append(order, r)
			}
		}
	}
	sink.Close()
	l := p.Ledger()
	checkBalance(t, l)
	if len(order) != len(reasons) {
		t.Fatalf("dropped in the order %v, want %v", order, reasons)
	}
	for i, r := range reasons {
		if order[i] != r {
			t.Fatalf("dropped in the order %v, want %v", order, reasons)
		}
	}
	if d := l.Events.Dropped; d["queue_tick"] <= d["queue_message"] || d["queue_message"] <= d["queue_flow"] {
		t.Errorf("dropped %v: want more of what is given up sooner", d)
	}
	if l.Subjects["flowscope.dns.tick"] != 100_000 {
		t.Errorf("subjects %v: what is dropped is numbered all the same", l.Subjects)
	}
	close(gate)
	if err := p.Close(within(t, 20*time.Second)); err != nil {
		t.Fatal(err)
	}
	checkBalance(t, p.Ledger())
}

func contains(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return false
}

func TestDropBody(t *testing.T) {
	reg := fakeRegistry(t)
	ev := queryEvent(t, reg)
	q := fakeQuery()
	q.Body = make([]byte, 5000)
	ev.Message = q
	b, r := encodedBatch(reg, ev)
	id := bytes.Clone(b.ID(r))
	out, ok := dropBody(b.Buf, int(r.Start))
	if !ok {
		t.Fatal("no body found")
	}
	got, err := Decode(out[r.Start:], reg)
	if err != nil {
		t.Fatal(err)
	}
	m := got.Message.(*query)
	if m.Body != nil || !got.Truncated || m.Name != q.Name || m.ID != q.ID || len(m.Questions) != 1 || !bytes.Equal(out[r.IDStart:r.IDEnd], id) {
		t.Errorf("%+v of %+v", m, got)
	}
	if !bytes.HasPrefix(out, []byte("before")) {
		t.Error("what comes before has changed")
	}
	ev.Message = &mode{N: 7}
	b, r = encodedBatch(reg, ev)
	before := bytes.Clone(b.Buf)
	if out, ok := dropBody(b.Buf, int(r.Start)); ok || !bytes.Equal(out, before) {
		t.Error("a message without a body has changed")
	}
}

// A live sensor tells that it has started, how far its numbers go, its ledger,
// and that it stops.
func TestHeartbeat(t *testing.T) {
	reg := deliveryRegistry(t)
	srv := startServer(t, embeddedConfigForTest())
	cfg := DefaultConfig()
	cfg.Heartbeat = 200 * time.Millisecond
	nc := connect(t, srv)
	beats, err := nc.SubscribeSync("flowscope.sensor.heartbeat")
	if err == nil {
		err = nc.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	p := runPublisher(t, cfg, Options{
		Registry: reg, Live: true, Workers: 2, Ledger: func() *Ledger { return &Ledger{Sensor: "test"} },
	}, newJetStreamFor(t, srv, cfg))
	for w := range 2 {
		sink, m := p.Sink(w), newMaker(reg, byte(w))
		for range 10 * (w + 1) {
			sink.HandleEvent(m.event(t, "dns", "query"))
		}
		sink.Close()
	}
	for range 2 { // behind the first one comes the ledger
		if _, err := beats.NextMsg(20 * time.Second); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Close(within(t, 10*time.Second)); err != nil {
		t.Fatal(err)
	}
	checkBalance(t, p.Ledger())
	kinds := map[string]int{}
	var states []string
	var last Heartbeat
	for _, d := range collect(t, srv, SubscribeConfig{Subjects: []string{"flowscope.sensor.>"}, UntilCaughtUp: true}) {
		ev, err := Decode(d.Payload, reg)
		if err != nil {
			t.Fatal(err)
		}
		kinds[ev.Kind]++
		raw := ev.Message.(*RawMessage)
		switch ev.Kind {
		case "state":
			var s State
			if err := raw.Unmarshal(&s); err != nil {
				t.Fatal(err)
			}
			states = append(states, s.State)
		case "heartbeat":
			last = Heartbeat{}
			if err := raw.Unmarshal(&last); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(states) != 2 || states[0] != StateStarted || states[1] != StateStopping || kinds["heartbeat"] < 2 || kinds["ledger"] < 1 {
		t.Errorf("states %v, kinds %v", states, kinds)
	}
	want := []LastNumber{{"flowscope.dns.query", 0, 10, 0}, {"flowscope.dns.query", 1, 20, 0}}
	if len(last.Last) != 2 || last.Last[0] != want[0] || last.Last[1] != want[1] {
		t.Errorf("last numbers %v, want %v", last.Last, want)
	}
}

// FuzzDropBody takes any message.
func FuzzDropBody(f *testing.F) {
	reg := fakeRegistry(f)
	f.Add(fakeQuery().AppendMsgpack(nil))
	f.Add((&manyKeys{20}).AppendMsgpack(nil))
	f.Fuzz(func(t *testing.T, message []byte) {
		if Check(message) != nil || len(message) > 1<<20 {
			return
		}
		ev := &session.SessionEvent{Type: session.Application, Protocol: "dns", Kind: "query", Message: &RawMessage{Msgpack: message}}
		b, r := encodedBatch(reg, ev)
		if Check(b.Payload(r)) != nil {
			return
		}
		out, _ := dropBody(b.Buf, int(r.Start))
		if err := Check(out[r.Start:]); err != nil {
			t.Fatal(err)
		}
	})
}
