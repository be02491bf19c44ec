package publish

import (
	"io"
	"strings"
	"testing"
	"time"
)

// TestReconfigure gives a running publisher other limits.
func TestReconfigure(t *testing.T) {
	reg := deliveryRegistry(t)
	cfg := DefaultConfig()
	cfg.Heartbeat = 0
	r, w := io.Pipe()
	transport, err := NewWriter(w, JSON)
	if err != nil {
		t.Fatal(err)
	}
	beats := make(chan struct{})
	go func() {
		var seen strings.Builder
		buf := make([]byte, 64<<10)
		for told := false; ; {
			n, err := r.Read(buf)
			if err != nil {
				return
			}
			seen.Write(buf[:n])
			if !told && strings.Contains(seen.String(), `"heartbeat"`) {
				told = true
				close(beats)
			}
		}
	}()
	p := runPublisher(t, cfg, Options{Registry: reg, Live: true}, transport)
	sink, m := p.Sink(0), newMaker(reg, 1)
	sink.HandleEvent(m.event(t, "dns", "query"))

	cfg.Heartbeat, cfg.QueueBytes, cfg.Only = time.Millisecond, 1<<20, []string{"http"}
	if err := p.Reconfigure(cfg); err != nil {
		t.Fatal(err)
	}
	sink.Tick(time.Now())
	sink.HandleEvent(m.event(t, "dns", "query"))
	select {
	case <-beats:
	case <-time.After(time.Minute):
		t.Error("no heartbeat")
	}
	if n := p.QueueBytes(); n != 1<<20 {
		t.Errorf("the queue may hold %d bytes", n)
	}
	cfg.Only = []string{"gopher"}
	cfg.QueueBytes = 2 << 20
	if err := p.Reconfigure(cfg); err == nil || p.QueueBytes() != 1<<20 {
		t.Errorf("%v, %d bytes", err, p.QueueBytes())
	}
	sink.Close()
	if err := p.Close(within(t, 10*time.Second)); err != nil {
		t.Fatal(err)
	}
	if l := p.Ledger(); l.Events.Written != 1 || l.Events.Filtered["only"] != 1 {
		t.Errorf("%+v", l.Events)
	}
	_ = w.Close()
}

// TestReconfigureWindow widens the window of a transport while somebody waits.
func TestReconfigureWindow(t *testing.T) {
	cfg := DefaultConfig()
	cfg.InFlight.Bytes = 1 << 16
	j := &jetStream{free: make([]int32, 9), used: 1, bytes: 1 << 16}
	j.changed.L = &j.mu
	j.reconfigure(&cfg)
	entered := make(chan struct{})
	go func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		if err := j.await(t.Context(), func() bool { return j.roomFor(1) }); err != nil {
			t.Error(err)
		}
		close(entered)
	}()
	cfg.InFlight.Bytes, cfg.AckTimeout, cfg.BatchBytes = 1<<20, time.Second, 4096
	j.reconfigure(&cfg)
	<-entered
	if l := j.limits.Load(); l.ack != time.Second || l.batch != 4096 {
		t.Errorf("%+v", l)
	}
}
