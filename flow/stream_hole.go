package flow

import (
	"math"

	"flowscope/ingest"
)

// acknowledge notes what a packet acknowledges of the other side's stream; it
// returns whether that opens a hole there.
func (t *Table) acknowledge(g *segment, d *decoded) bool {
	o := g.opposite()
	s, ack := o.stream(), d.ack
	switch {
	case s.state&anchored == 0:
		if d.tcpFlags&tcpSYN != 0 { // the SYN was not seen: here is its number
			s.anchor(ack, true, false)
		}
		return false
	case s.state&(finished|aborted) != 0 || !before(s.acked, ack):
		return false
	}
	ahead := int32(ack - s.next)
	if ahead <= 0 {
		s.acked = ack
		if s.history != 0 {
			t.histories.acked(s)
		}
		return false
	}
	if ahead == 1 && (s.held == 0 || t.holds.end(s) == s.next) {
		return false // most likely a FIN that was not seen
	}
	if s.state&finKnown != 0 && before(s.fin+1, ack) || int32(ack-t.reach(s)) > farAhead && !t.bornOut(s, ack) {
		return false
	}
	s.acked = ack
	var r *hold
	if s.held == 0 {
		r = t.holds.begin(o, s)
	} else {
		r = t.holds.records.at(s.held)
	}
	if r.ackedAt == noDeadline {
		r.ackedAt, r.ackedTo = g.now, ack
	}
	return true
}

// reach returns the end of what is believed to have been sent.
func (t *Table) reach(s *stream) uint32 {
	if s.state&(farNoted|farAcked) == farNoted {
		return s.next // what is held may be what was noted
	}
	return t.holds.end(s)
}

// comeNear forgets that something was far ahead once the stream has come near it.
func (t *Table) comeNear(s *stream) {
	if s.state&farNoted != 0 && int32(s.far-t.reach(s)) <= farAhead {
		s.state &^= farNoted
	}
}

// isFar says that what is held at seq is too far ahead to be believed alone.
func (t *Table) isFar(s *stream, seq uint32) bool {
	t.comeNear(s)
	return s.state&farNoted != 0 && !before(seq, s.far)
}

// corroborated says whether something that lies far ahead is to be believed:
// because something else was seen near it. Otherwise it is noted, in place of
// what was noted before.
func (t *Table) corroborated(s *stream, seq uint32) bool {
	if t.comeNear(s); s.state&farNoted != 0 {
		if d := int32(seq - s.far); d <= farAhead && d >= -farAhead {
			s.state &^= farNoted
			return true
		}
		t.dropFar(s)
	}
	s.far = seq
	s.state = s.state&^farAcked | farNoted
	return false
}

// bornOut says whether an acknowledgement that lies far ahead is to be believed:
// because a segment was seen near it. Otherwise it is noted, to bear out a segment.
// Another acknowledgement does not: where two connections share their ends, each
// would bear out itself.
func (t *Table) bornOut(s *stream, ack uint32) bool {
	if t.comeNear(s); s.state&(farNoted|farAcked) == farNoted {
		if d := int32(ack - s.far); d > farAhead || d < -farAhead {
			return false
		}
		s.state &^= farNoted
		return true
	}
	s.far = ack
	s.state |= farNoted | farAcked
	return false
}

// dropFar forgets what lies too far ahead and was not borne out.
func (t *Table) dropFar(s *stream) {
	s.state &^= farNoted
	if s.held == 0 {
		return
	}
	h := &t.holds
	r := h.records.at(s.held)
	c := h.find(r, s.far)
	for ref := c.chunk(); ref != 0; {
		p := h.chunks.at(ref)
		next := p.next[0]
		if p.page != 0 {
			t.counters.PayloadBuffered -= uint64(p.n)
			t.counters.PayloadDiscarded[DiscardFar] += uint64(p.n)
		}
		h.free(r, ref)
		ref = next
	}
	for i, l := range c.links {
		l[i] = 0
	}
	r.last = c.prev
}

// learnLag notes how long after their acknowledgement new bytes have come.
func (t *Table) learnLag(g *segment, s *stream, seq uint32) {
	if s.held == 0 {
		return
	}
	r := t.holds.records.at(s.held)
	if r.ackedAt != noDeadline && before(seq, r.ackedTo) {
		s.lag = max(s.lag, uint32(min(max(g.now-r.ackedAt, 0)/1000, math.MaxUint32)))
	}
}

// lagFactor is how many times the longest lag seen so far is waited for.
const lagFactor = 4

// giveUpAt returns when the hole at next is given up, and why. Nothing is given up
// that nothing waits behind.
func (t *Table) giveUpAt(c *conn, side Side, r *hold) (ingest.Timestamp, GapReason) {
	cfg := &t.cfg.Reassembly
	s := &c.sides[side]
	wait := cfg.UnackedAfter
	if c.sides[side^1].state&seenSender == 0 {
		wait = cfg.OneWayAfter
	}
	at := noDeadline
	if r.first[0] != 0 {
		at = r.since + ingest.Timestamp(wait)
	}
	if r.ackedAt != noDeadline && (r.first[0] != 0 || s.state&finKnown != 0) {
		grace := max(ingest.Timestamp(cfg.AckedAfter), lagFactor*1000*ingest.Timestamp(s.lag))
		if acked := max(r.ackedAt+grace, r.since); acked <= at {
			return acked, GapAcked
		}
	}
	return at, GapTimeout
}

// giveUpDue gives up the holes of a flow whose time is over by now, in the order
// of their deadlines, which is what happens has as its time.
func (t *Table) giveUpDue(g *segment, now ingest.Timestamp) {
	for {
		due, at, why := *g, noDeadline, GapReason(0)
		for side := range g.c.sides {
			s := &g.c.sides[side]
			if s.held == 0 {
				continue
			}
			if d, reason := t.giveUpAt(g.c, Side(side), t.holds.records.at(s.held)); d < at {
				due.side, at, why = Side(side), d, reason
			}
		}
		if at > now {
			return
		}
		due.now, due.time = at, at
		t.giveUp(&due, why)
	}
}

// giveUp gives up the hole at next, as far as there is a reason to, and hands up
// what follows.
func (t *Table) giveUp(g *segment, why GapReason) {
	s := g.stream()
	r := t.holds.records.at(s.held)
	first := r.first[0]
	if first != 0 && why != GapAcked && t.isFar(s, t.holds.chunks.at(first).seq) {
		t.dropFar(s)
		t.settle(g, s, r, true)
		return
	}
	end := s.acked
	if s.state&finKnown != 0 && before(s.fin, end) {
		end = s.fin
	}
	if first != 0 {
		seq := t.holds.chunks.at(first).seq
		if why != GapAcked || before(seq, end) {
			end = seq
		}
	}
	if before(s.next, end) {
		t.gap(g, s, end-s.next, why)
	} else {
		s.acked = s.next // only FIN is acknowledged and missing
	}
	t.release(g, s)
	t.finish(g, s)
}

// flush gives up all holes of a flow that is over.
func (t *Table) flush(g *segment, at ingest.Timestamp) {
	for side := range g.c.sides {
		f := *g
		f.side, f.time = Side(side), at
		for s := f.stream(); s.held != 0; {
			t.giveUp(&f, GapClosed)
		}
	}
}

// endStreams ends what is kept of a TCP flow's streams.
func (t *Table) endStreams(n slot, f *Flow, at ingest.Timestamp) {
	c := t.store.conns.at(f.conn)
	g := segment{n: n, f: f, c: c, now: at, time: at}
	t.giveUpDue(&g, at)
	t.flush(&g, at)
	for i := range c.sides {
		t.histories.drop(&c.sides[i])
	}
	t.schedule(&g)
}

// schedule sets when the flow's next hole is given up. Where nobody reads and no end
// is to be told of, that can wait for the next packet.
func (t *Table) schedule(g *segment) {
	at := noDeadline
	for side := range g.c.sides {
		s := &g.c.sides[side]
		if s.held != 0 && (g.f.reads(Side(side)) || s.state&finKnown != 0 && g.f.state&ignored == 0) {
			d, _ := t.giveUpAt(g.c, Side(side), t.holds.records.at(s.held))
			at = min(at, d)
		}
	}
	g.c.deadline = at
	if at == noDeadline {
		g.f.state &^= holed
	} else {
		g.f.state |= holed
	}
}

// kept returns what all that is kept of streams counts as.
func (t *Table) kept() int { return t.holds.cost + t.histories.cost }

// enforce keeps to the caps: of this side, then of all of them together. What is
// kept to compare with goes before what is kept to hand up.
func (t *Table) enforce(g *segment) {
	for s := g.stream(); s.held != 0 && t.holds.records.at(s.held).cost > t.cfg.Reassembly.SideBytes; {
		t.giveUp(g, GapCap)
	}
	for t.kept() > t.cfg.Reassembly.TotalBytes {
		if t.histories.dropOldest() {
			continue
		}
		r := t.holds.records.at(t.holds.oldest)
		f := t.store.at(r.slot)
		o := segment{n: r.slot, f: f, c: t.store.conns.at(f.conn), side: r.side, now: g.now, time: g.now}
		t.giveUp(&o, GapCap)
		t.schedule(&o)
		t.timers.advance(o.n)
	}
}
