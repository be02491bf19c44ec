package flow

import "flowscope/ingest"

// maxTicks is how many ticks a flow may have.
const maxTicks = 1<<24 - 1

func (f *Flow) tickNumber() uint32 {
	return uint32(f.ticks[0]) | uint32(f.ticks[1])<<8 | uint32(f.ticks[2])<<16
}

func (f *Flow) setTickNumber(n uint32) {
	f.ticks = [3]uint8{uint8(n), uint8(n >> 8), uint8(n >> 16)}
}

// startTicks has a new flow tick. Of one whose packet is older than the clock the
// times that are over already are passed.
func (t *Table) startTicks(f *Flow) {
	if t.store.tick == 0 {
		return
	}
	passed := max(0, (t.clock-f.stats.First)/t.store.tick)
	if passed < maxTicks {
		f.setTickNumber(uint32(passed))
		f.state |= ticking
	}
}

// tickNow raises the tick that is due.
func (t *Table) tickNow(n slot, f *Flow, at ingest.Timestamp) {
	if number := f.tickNumber() + 1; number < maxTicks {
		f.setTickNumber(number)
	} else {
		f.state &^= ticking
	}
	t.begin(n, f, Ticked, at)
	t.send()
}
