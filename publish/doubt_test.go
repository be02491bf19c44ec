package publish

import (
	"testing"
	"time"
	"unsafe"

	"github.com/nats-io/nats.go"

	"flowscope/publish/embedded"
)

// Without a read-back what is sent again after the window is counted as possibly
// doubled, once for each time that it left, also if the first attempt at that failed.
func TestPossiblyDoubledIsCountedWhenItLeaves(t *testing.T) {
	cfg := DefaultConfig()
	tr := newJetStreamFor(t, startServer(t, embedded.Config{}), cfg).(*jetStream)
	defer tr.close()
	p, batch := handedOver(t, cfg, tr, 1)
	var fail error
	tr.put = func(*nats.Msg) error { return fail }
	if err := tr.publish(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	k := int32(0)
	for tr.slots[k].batch == nil {
		k++
	}
	later := time.Now().Add(time.Hour)
	for _, step := range []struct {
		fail            error
		resent, doubled uint64
	}{
		{nats.ErrReconnectBufExceeded, 0, 0},
		{nil, 1, 1},
		{nil, 2, 1}, // in the next window's time
	} {
		fail = step.fail
		tr.sendAgain(k, later, true)
		if e := p.Ledger().Events; e.Resent != step.resent || e.PossiblyDoubled != step.doubled {
			t.Errorf("%+v, want %d resent and %d possibly doubled", e, step.resent, step.doubled)
		}
	}
}

// handedOver returns a publisher that does not run, and a batch of events that a worker
// has handed over.
func handedOver(t *testing.T, cfg Config, tr Transport, events int) (*Publisher, *Batch) {
	t.Helper()
	reg := deliveryRegistry(t)
	p, err := New(cfg, Options{Sensor: "test", Run: "run1", Registry: reg, Workers: 1}, tr)
	if err != nil {
		t.Fatal(err)
	}
	sink, m := p.Sink(0), newMaker(reg, 1)
	for range events {
		sink.HandleEvent(m.event(t, "dns", "query"))
	}
	sink.Close()
	it, ok := p.queue.get()
	if !ok {
		t.Fatal("no batch")
	}
	return p, it.batch
}

// A machine that sleeps stops the clock that only goes forward; the server's goes on.
// One that sets its clock back does not make the server remember for longer.
func TestElapsed(t *testing.T) {
	then := time.Now()
	for _, tt := range []struct {
		name               string
		forward, wall, was time.Duration
	}{
		{"awake", time.Minute, time.Minute, time.Minute},
		{"slept", time.Second, 5 * time.Minute, 5 * time.Minute},
		{"set back", time.Minute, -time.Hour, time.Minute},
	} {
		now := onWall(t, then.Add(tt.forward), tt.wall-tt.forward)
		if got := elapsed(now, then); got != tt.was {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.was)
		}
	}
}

// onWall moves the clock on the wall alone, by whole seconds, which package time offers
// no way to.
func onWall(t *testing.T, now time.Time, by time.Duration) time.Time {
	t.Helper()
	moved := now
	// The seconds stand in 33 bits above 30 for the nanoseconds.
	(*struct{ wall uint64 })(unsafe.Pointer(&moved)).wall += uint64(by/time.Second) << 30
	if moved.Sub(now) != 0 || moved.Round(0).Sub(now.Round(0)) != by {
		t.Fatal("time.Time is laid out in another way by now")
	}
	return moved
}
