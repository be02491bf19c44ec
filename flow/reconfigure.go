package flow

import (
	"fmt"

	"flowscope/ingest"
)

// Reconfigure gives the table another configuration, which it takes up before its
// next batch or tick; cfg.Reassembly.TotalBytes is this table's own share. MaxFlows
// and VLANsInKey stay as they are: they are part of how the table is made. All else
// holds from then on for all flows, save that a time-out that a handler has set
// stays, and so does the deadline of a hole or a fragment that waits already. Any
// goroutine may call it.
func (t *Table) Reconfigure(cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("flow table: %w", err)
	}
	t.coming.Store(&cfg)
	return nil
}

// TakenUp says that no packet will be handled by an earlier configuration than that
// of the latest Reconfigure. Any goroutine may call it.
func (t *Table) TakenUp() bool { return t.coming.Load() == nil }

// takeUp changes the configuration if another has come. Nothing may wait to be
// handed up.
func (t *Table) takeUp() {
	if t.coming.Load() == nil {
		return
	}
	cfg := *t.coming.Swap(nil)
	before := t.cfg
	cfg.MaxFlows, cfg.VLANsInKey = before.MaxFlows, before.VLANsInKey
	t.cfg = cfg
	t.decoder.configure(&t.cfg)
	t.fragments.configure(&t.cfg)
	t.histories.limit = uint32(cfg.Reassembly.History)
	t.idles = newIdles(&t.cfg)
	t.store.tick = ingest.Timestamp(cfg.TickInterval)
	for n := range slot(t.store.used) {
		if f := t.store.at(n); f.live() {
			t.retime(n, f, cfg.TickInterval != before.TickInterval)
		}
	}
}

// retime gives a flow the present time-outs. One that has been silent for too long
// by these ends at the present time.
func (t *Table) retime(n slot, f *Flow, ticks bool) {
	switch {
	case f.state&closing != 0:
		f.idle = uint32(t.cfg.ClosingTail.Milliseconds())
	case f.state&idleFixed == 0:
		f.idle = t.idles.of(f, f.state&established != 0)
	}
	if over := t.clock - f.idleAt(); over > 0 {
		f.lastClock += over
	}
	if ticks && f.state&closing == 0 {
		f.state &^= ticking
		t.startTicks(f)
	}
	t.timers.advance(n)
}
