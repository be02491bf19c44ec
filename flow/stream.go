package flow

import "flowscope/ingest"

// stream is what the reassembly keeps of the bytes that one side of a TCP flow
// sends. Positions are sequence numbers (RFC 9293 section 3.4), ordered as
// int32(a-b), so that they mean the same before and after the wrap.
type stream struct {
	// next is the first byte that was neither handed up nor given up; once the
	// stream has finished, the number after its FIN.
	next uint32
	// start is its first byte, or a later one that lies far behind.
	start uint32
	// acked is the highest acknowledgement that was believed.
	acked uint32
	// fin is the sequence number of FIN, with finKnown.
	fin uint32
	// lost and lostEnd bound what was given up last.
	lost, lostEnd uint32
	// far is where something was said to be that lies further ahead than is
	// believed of one packet, with farNoted.
	far uint32
	// lag is the longest time, in microseconds, after which bytes still came that
	// had been acknowledged before they came: on some taps one direction runs
	// ahead of the other.
	lag     uint32
	held    holdRef
	history historyRef
	state   streamState
}

// streamState is a set of bits.
type streamState uint8

const (
	anchored   streamState = 1 << iota // next is valid
	fromSYN                            // the anchor is that of a SYN, so certain
	finKnown                           // fin is valid
	finished                           // everything up to FIN is done
	aborted                            // the connection was reset
	farNoted                           // far is valid
	seenSender                         // a packet of this side was seen
	farAcked                           // far was acknowledged; without it, a segment is held there
)

// startDistance is how far behind next the stream's start stays recorded.
const startDistance = 1 << 29

// farAhead is how far beyond next something may stand to be believed alone: the
// largest window without the scale option (RFC 9293 section 3.1). What lies further
// ahead, and with that option may well be right, needs something else near it.
const farAhead = 65535

// before says that a stands before b.
func before(a, b uint32) bool { return int32(a-b) < 0 }

// Discard says why payload was counted and neither handed up nor a duplicate.
type Discard uint8

// The reasons.
const (
	DiscardReset    Discard = iota // on a reset, or after one
	DiscardAfterFin                // beyond the sender's FIN
	DiscardEarly                   // before the first segment that was seen
	DiscardLate                    // came after it was given up
	DiscardFar                     // far ahead of the stream, and nothing bore it out
	numDiscards
)

var discardNames = [numDiscards]string{"reset", "after_fin", "early", "late", "far_ahead"}

// String returns the reason as it stands in the ledger.
func (d Discard) String() string {
	if d < numDiscards {
		return discardNames[d]
	}
	return "unknown"
}

// segment is the part of a TCP packet that the reassembly looks at.
type segment struct {
	n    slot
	f    *Flow
	c    *conn
	side Side
	// now is the input's clock, time the packet's own; both are a deadline's
	// where one caused what happens.
	now, time ingest.Timestamp
	conflict  bool // an anomaly was raised
}

func (g *segment) stream() *stream { return &g.c.sides[g.side] }

// of returns the same for the stream of the other side.
func (g *segment) opposite() *segment {
	o := *g
	o.side ^= 1
	return &o
}

// stream takes one TCP packet through the reassembly: what it acknowledges of the
// other side's stream, then what it adds to its own.
func (t *Table) stream(w *waiting, f *Flow) {
	c := t.store.conns.at(f.conn)
	d := w.d
	s, o := &c.sides[w.side], &c.sides[w.side^1]
	g := segment{n: w.n, f: f, c: c, side: w.side, now: min(w.packet.Clock, latest), time: w.packet.Time}
	slow := s.held|o.held != 0
	if slow {
		t.giveUpDue(&g, g.now)
	}
	s.state |= seenSender
	if d.tcpFlags&(tcpACK|tcpRST) == tcpACK && (d.ack != o.acked || o.state&anchored == 0) {
		slow = t.acknowledge(&g, d) || slow
	}
	// The common case: the next bytes in order, and nothing else.
	if d.seq == s.next && s.state&(anchored|finKnown|aborted) == anchored && !slow &&
		d.tcpFlags&(tcpSYN|tcpFIN|tcpRST) == 0 && len(d.payload) == d.payloadLength {
		if len(d.payload) > 0 {
			t.deliver(&g, s, d.payload)
			if t.kept() > t.cfg.Reassembly.TotalBytes {
				t.enforce(&g)
			}
		}
		return
	}
	t.irregular(&g, w)
	t.enforce(&g)
	t.schedule(&g)
}

// irregular takes in what is not simply the next bytes in order.
func (t *Table) irregular(g *segment, w *waiting) {
	s, d := g.stream(), w.d
	if d.tcpFlags&tcpRST != 0 || s.state&aborted != 0 {
		t.counters.PayloadDiscarded[DiscardReset] += uint64(len(d.payload))
		if w.aborts {
			t.abort(g)
		}
		return
	}
	seq, data, length := d.seq, d.payload, uint32(d.payloadLength)
	if d.tcpFlags&tcpSYN != 0 {
		seq++
		if o := g.opposite().stream(); d.tcpFlags&tcpACK != 0 && s.state&anchored != 0 && o.state&fromSYN != 0 && d.ack != o.start {
			t.counters.PayloadDiscarded[DiscardFar] += uint64(len(data)) // the answer to another SYN
			return
		}
	}
	s.anchor(seq, d.tcpFlags&tcpSYN != 0, length > 0)
	fin := seq + length
	if length > 0 {
		t.payload(g, s, seq, data, length)
	}
	if d.tcpFlags&tcpFIN != 0 {
		t.fin(g, s, fin)
	}
	t.finish(g, s)
}

// anchor fixes where a stream begins: after its SYN, else at the first segment
// seen. What was fixed is moved only as long as nothing depends on it: by a SYN,
// or past the byte that a keep-alive repeats (RFC 9293 section 3.8.4).
func (s *stream) anchor(seq uint32, syn, data bool) {
	if s.state&anchored != 0 {
		untouched := s.next == s.start && s.acked == s.start && s.held == 0 && s.state&(finKnown|aborted) == 0
		keptAlive := data && s.state&fromSYN == 0 && seq == s.next+1
		if !untouched || seq == s.next || !syn && !keptAlive {
			return
		}
	}
	s.next, s.start, s.acked = seq, seq, seq
	s.state |= anchored
	if syn {
		s.state |= fromSYN
	}
}

// payload takes in bytes that may be old, next or ahead.
func (t *Table) payload(g *segment, s *stream, seq uint32, data []byte, length uint32) {
	if s.state&finKnown != 0 && before(s.fin, seq+length) {
		keep := uint32(max(0, int32(s.fin-seq)))
		kept := data[:min(len(data), int(keep))]
		t.counters.PayloadDiscarded[DiscardAfterFin] += uint64(len(data) - len(kept))
		data, length = kept, keep
		if length == 0 {
			return
		}
	}
	t.countOrder(g, s, seq, length)
	if old := s.next - seq; before(seq, s.next) {
		old = min(old, length)
		n := min(int(old), len(data))
		t.old(g, s, seq, data[:n], length)
		seq, data, length = seq+old, data[n:], length-old
	}
	if length == 0 {
		return
	}
	t.learnLag(g, s, seq)
	if seq == s.next {
		n := length
		if s.held != 0 {
			n = t.holds.room(s, n)
		}
		if known := min(int(n), len(data)); known > 0 {
			t.deliver(g, s, data[:known])
			data = data[known:]
			n, length = n-uint32(known), length-uint32(known)
		}
		if n > 0 {
			t.gap(g, s, n, GapTruncated)
			length -= n
		}
		seq = s.next
	}
	if length > 0 {
		t.hold(g, s, seq, data, length)
	}
	t.release(g, s)
}

// countOrder counts a segment that comes after a later one: as sent again if some
// of it was seen before, else as out of order.
func (t *Table) countOrder(g *segment, s *stream, seq, length uint32) {
	if s.held == 0 && !before(seq, s.next) {
		return
	}
	if !before(seq, t.holds.end(s)) || s.isKeepAlive(seq, length) {
		return
	}
	k := &g.c.stats.Sides[g.side]
	if t.holds.knows(s, seq, length) {
		k.Retransmitted++
	} else {
		k.OutOfOrder++
	}
}

// isKeepAlive says that a segment repeats one old byte to be answered; the byte
// may be anything (RFC 9293 section 3.8.4).
func (s *stream) isKeepAlive(seq, length uint32) bool { return length == 1 && seq == s.next-1 }

// old accounts for the bytes of a segment that stand before next.
func (t *Table) old(g *segment, s *stream, seq uint32, data []byte, length uint32) {
	if len(data) == 0 {
		return
	}
	if g.f.reads(g.side) && !s.isKeepAlive(seq, length) && t.histories.differs(s, seq, data) {
		t.conflict(g)
	}
	end := seq + uint32(len(data))
	early := span(seq, end, s.start-1<<30, s.start)
	late := span(seq, end, s.lost, s.lostEnd)
	t.counters.PayloadDiscarded[DiscardEarly] += uint64(early)
	t.counters.PayloadDiscarded[DiscardLate] += uint64(late)
	t.counters.PayloadDuplicate += uint64(len(data)) - uint64(early) - uint64(late)
}

// span returns how many numbers [a, b) and [lo, hi) share.
func span(a, b, lo, hi uint32) uint32 {
	if before(a, lo) {
		a = lo
	}
	if before(hi, b) {
		b = hi
	}
	return uint32(max(0, int32(b-a)))
}

// fin notes where a stream ends, unless that contradicts what it holds.
func (t *Table) fin(g *segment, s *stream, at uint32) {
	if end := t.holds.end(s); s.state&finKnown != 0 || before(at, end) || int32(at-end) > farAhead {
		return
	}
	s.fin = at
	s.state |= finKnown
	if s.held != 0 {
		if r := t.holds.records.at(s.held); r.first[0] == 0 {
			r.since = g.now
		}
	}
}

// finish ends a stream whose bytes up to FIN are all there.
func (t *Table) finish(g *segment, s *stream) {
	if s.state&(finKnown|finished) != finKnown || s.next != s.fin {
		return
	}
	s.state |= finished
	s.next++
	if s.held != 0 {
		t.settle(g, s, t.holds.records.at(s.held), false)
	}
	if g.f.state&ignored == 0 {
		t.begin(g.n, g.f, Finished, g.time).Side = g.side
		t.send()
	}
}

// abort ends both streams of a connection that was reset.
func (t *Table) abort(g *segment) {
	t.flush(g, g.time)
	for i := range g.c.sides {
		g.c.sides[i].state |= aborted
	}
	if g.f.state&ignored == 0 {
		t.begin(g.n, g.f, Aborted, g.time).Side = g.side
		t.send()
	}
}

// deliver hands up the next bytes of a stream.
func (t *Table) deliver(g *segment, s *stream, data []byte) {
	s.next += uint32(len(data))
	if s.next-s.start > 2*startDistance {
		s.start = s.next - startDistance
	}
	if !g.f.reads(g.side) {
		t.counters.PayloadNoParser += uint64(len(data))
		if s.history != 0 {
			t.histories.drop(s)
		}
		return
	}
	t.counters.PayloadUp += uint64(len(data))
	if t.histories.limit > 0 {
		t.histories.add(g, s, data)
	}
	e := t.begin(g.n, g.f, Data, g.time)
	e.Side, e.Data, e.Length = g.side, data, len(data)
	t.send()
}

// gap gives up the next n bytes of a stream.
func (t *Table) gap(g *segment, s *stream, n uint32, why GapReason) {
	k := &g.c.stats.Sides[g.side]
	k.Gaps++
	k.GapBytes += uint64(n)
	if why != GapTruncated {
		t.counters.GapBytes += uint64(n)
		k.AckedUnseenBytes += uint64(min(uint32(max(0, int32(s.acked-s.next))), n))
		s.lost, s.lostEnd = s.next, s.next+n
	}
	s.next += n
	t.histories.drop(s)
	if !g.f.reads(g.side) {
		return
	}
	e := t.begin(g.n, g.f, Gap, g.time)
	e.Side, e.Gap, e.Length = g.side, why, int(n)
	t.send()
}

// conflict counts and raises it, once per segment.
func (t *Table) conflict(g *segment) {
	if g.conflict {
		return
	}
	g.conflict = true
	g.c.stats.Sides[g.side].OverlapConflicts++
	e := t.begin(g.n, g.f, Anomalous, g.time)
	e.Side, e.Anomaly = g.side, &anomalyTypes[overlapConflict]
	t.send()
}
