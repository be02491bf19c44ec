package publish

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"flowscope/publish/embedded"
)

// A quiet sensor hands over each event in a batch of its own, which must not have
// room for hundreds: while nothing is acknowledged they add up.
func TestWindowHoldsLittleMemory(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Heartbeat = 0
	tr := newJetStreamFor(t, startServer(t, embedded.Config{}), cfg).(*jetStream)
	tr.put = func(*nats.Msg) error { return nats.ErrReconnectBufExceeded }
	p := runPublisher(t, cfg, Options{Registry: deliveryRegistry(t), Live: true}, tr)
	sink, m := p.Sink(0), newMaker(p.opts.Registry, 1)
	const n = 2000
	for i := range n {
		sink.HandleEvent(m.event(t, "dns", "query"))
		for tr.inFlight() <= i {
			sink.Tick(time.Unix(int64(i), 0))
			<-time.After(50 * time.Microsecond)
		}
	}
	tr.mu.Lock()
	held, payload := tr.held, tr.bytes
	tr.mu.Unlock()
	if most := 2*payload + n*recordSize; held > most {
		t.Errorf("%d events of %d bytes in all hold %d bytes, want at most %d", n, payload, held, most)
	}
	tr.mu.Lock()
	for k := range tr.slots {
		if tr.slots[k].batch != nil {
			tr.acknowledge(int32(k), 1, false)
		}
	}
	held = tr.held
	tr.mu.Unlock()
	if held != 0 {
		t.Errorf("an empty window holds %d bytes", held)
	}
}

// A message that is never acknowledged keeps its batch whole. The batches around
// such messages may take twice what the window may, no more.
func TestWindowBoundsHeldBatches(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Heartbeat, cfg.InFlight.Bytes = 0, 1<<20
	tr := newJetStreamFor(t, startServer(t, embedded.Config{}), cfg).(*jetStream)
	left := uint32(0)
	tr.put = func(m *nats.Msg) error {
		if left++; left%100 != 0 { // one of a hundred is never answered
			tr.answer(&nats.Msg{Subject: m.Reply, Data: []byte(`{"stream":"FLOWSCOPE","seq":1}`)})
		}
		return nil
	}
	reg := deliveryRegistry(t)
	p, err := newPublisher(cfg, Options{Sensor: "test", Run: "run1", Registry: reg, Workers: 1}, tr,
		func() appender { return &trivialEncoder{make([]byte, 500)} })
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- p.Run(ctx) }()
	most := 2*cfg.InFlight.Bytes + maxSpare
	done := make(chan struct{})
	go func() {
		defer close(done)
		sink, e := p.Sink(0), newMaker(reg, 1).event(t, "dns", "query")
		for range 50_000 { // 25 MB
			sink.HandleEvent(e)
		}
		sink.Close()
	}()
	held := func() int {
		tr.mu.Lock()
		defer tr.mu.Unlock()
		return tr.held
	}
	for held() < most-2*batchTarget {
		<-time.After(time.Millisecond)
	}
	if n := held(); n > most {
		t.Errorf("%d bytes are held, want at most %d", n, most)
	}
	cancel()
	<-result
	<-done
	if err := p.Close(ctx); err == nil {
		t.Error("everything seems to be acknowledged")
	}
}
