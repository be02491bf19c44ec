package flow

import "flowscope/ingest"

// advance sets the clock and lets everything happen that is due by then.
func (t *Table) advance(now ingest.Timestamp) {
	now = min(now, latest)
	if !t.begun {
		t.begun = true
		t.clock = now
		t.timers.restart(now)
		return
	}
	if now < t.clock {
		return
	}
	if len(t.fragments.order) > 0 {
		t.fragments.expire(now)
	}
	if now >= t.timers.next {
		for n := t.timers.expired(now); n != noSlot; n = t.timers.expired(now) {
			t.due(n)
		}
	}
	t.clock = now
}

// due handles a flow whose deadline has come and that has no timer entry.
func (t *Table) due(n slot) {
	f := t.store.at(n)
	if at := f.idleAt(); at < t.store.alarm(f) {
		t.end(n, f.endReason(), at)
		return
	}
	t.sound(n, f)
	t.timers.arm(n, t.store.deadline(f))
}

// sound lets happen what a flow's alarm was set for.
func (t *Table) sound(n slot, f *Flow) {
	hole, tick := t.store.holeAt(f), t.store.tickAt(f)
	switch {
	case hole <= min(f.wake, tick) && hole != noDeadline:
		g := segment{n: n, f: f, c: t.store.conns.at(f.conn), now: hole, time: hole}
		t.giveUpDue(&g, hole)
		t.schedule(&g)
	case tick < f.wake:
		t.tickNow(n, f, tick)
	default:
		t.wakeUp(n, f)
	}
}

func (t *Table) wakeUp(n slot, f *Flow) {
	at := f.wake
	f.wake = noDeadline
	t.begin(n, f, Woken, at)
	t.send()
}

// endReason is the reason with which a flow ends whose idle time is over.
func (f *Flow) endReason() Reason {
	if f.state&closing != 0 {
		return f.reason()
	}
	return Idle
}
