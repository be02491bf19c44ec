package flow

import (
	"time"

	"flowscope/ingest"
)

// lookAhead is how many packets go through each step together: decoding, finding
// and counting their flows, handing up what they carry. That lets their cache
// misses overlap, and keeps the code of one step in the first level cache.
const lookAhead = 64

// togetherness is the most packet time between packets whose events are handed up
// together. No time-out that a handler may set is shorter.
const togetherness = ingest.Timestamp(time.Millisecond)

// touch reads what handling the batch will read: first all index entries, then
// all records, then what TCP flows have beside, so that the cache misses of each
// kind overlap. The sum only keeps the reads alive.
func (t *Table) touch(n int) {
	var slots [lookAhead]slot
	k, sum := 0, uint64(0)
	for i := range n {
		if d := &t.batch[i]; d.outcome == Handled {
			slots[k] = t.store.guess(d.hash)
			if slots[k] != noSlot {
				k++
			}
		}
	}
	var conns [lookAhead]connRef
	c := 0
	for _, n := range slots[:k] {
		f := t.store.at(n)
		sum += uint64(f.lastClock) + f.stats.Sides[0].Packets + f.stats.Sides[1].Packets + uint64(f.armed)
		if f.conn != noConn {
			conns[c] = f.conn
			c++
		}
	}
	for _, r := range conns[:c] {
		n := t.store.conns.at(r)
		sum += uint64(n.sides[0].next) + uint64(n.sides[1].next) + uint64(n.ends[0].last) + uint64(n.ends[1].last) + uint64(n.isn[0])
	}
	t.touched = sum
}

// waiting is a packet that its flow has counted and the handler not seen.
type waiting struct {
	packet *ingest.Packet
	d      *decoded
	n      slot
	side   Side
	opened bool
	aborts bool // it resets the connection
}

// moveTo brings the clock to a packet's. While packets wait to be handed up only
// their own flows' deadlines are looked at, by find; all others come when
// nothing waits: soon, and with their own times.
func (t *Table) moveTo(now ingest.Timestamp) {
	if len(t.waiting) > 0 && now-t.waiting[0].packet.Clock >= togetherness {
		t.handUp()
	}
	if len(t.waiting) == 0 {
		t.advance(now)
		return
	}
	t.clock = max(t.clock, min(now, latest))
	if len(t.fragments.order) > 0 {
		t.fragments.expire(t.clock)
	}
}

// handUp passes on what waits, in order.
func (t *Table) handUp() {
	for i := range t.waiting {
		t.pass(&t.waiting[i])
	}
	t.waiting = t.waiting[:0]
}

// pass hands one packet's events up.
func (t *Table) pass(w *waiting) {
	f := t.store.at(w.n)
	for clock := min(w.packet.Clock, latest); t.store.alarm(f) <= clock; {
		t.timers.disarm(w.n)
		t.sound(w.n, f)
	}
	if w.opened {
		t.begin(w.n, f, Opened, w.packet.Time)
		t.send()
	}
	d := w.d
	if d.key.Proto == TCP {
		t.stream(w, f)
	} else if d.key.Proto == UDP && f.state&ignored == 0 && len(d.payload) > 0 {
		t.counters.PayloadUp += uint64(len(d.payload))
		e := t.begin(w.n, f, Data, w.packet.Time)
		e.Side, e.Data, e.Length, e.Truncated = w.side, d.payload, d.payloadLength, d.truncated
		t.send()
	} else {
		t.counters.PayloadNoParser += uint64(len(d.payload))
	}
	if f.armed == noDeadline {
		t.timers.arm(w.n, t.store.deadline(f))
	} else {
		t.timers.advance(w.n)
	}
}
