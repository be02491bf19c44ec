package flow

import "flowscope/ingest"

// startTCP notes how a TCP flow began and returns whether its initiator is the
// key's B: the sender of a SYN, the receiver of a SYN+ACK, else the sender.
func (f *Flow) startTCP(d *decoded) (initiatorIsB bool) {
	switch d.tcpFlags & (tcpSYN | tcpACK) {
	case tcpSYN:
		f.stats.InitiatorBy = BySyn
	case tcpSYN | tcpACK:
		f.stats.InitiatorBy = BySynAck
		f.stats.Midstream = true
		return !d.swapped
	default:
		f.stats.Midstream = true
	}
	return d.swapped
}

// reused says that a packet opens a new connection on the five-tuple of one that is
// closing: a SYN with another initial sequence number.
func (t *Table) reused(f *Flow, d *decoded) bool {
	if f.state&closing == 0 || d.key.Proto != TCP || d.tcpFlags&(tcpSYN|tcpACK|tcpRST) != tcpSYN {
		return false
	}
	side := f.side(d.swapped)
	known := f.stats.Sides[side].TCPFlags&tcpSYN != 0 || side == Initiator && f.stats.InitiatorBy == BySynAck
	return !known || t.store.conns.at(f.conn).isn[side] != d.seq
}

// tcp follows the connection's state, and finds its end.
func (t *Table) tcp(f *Flow, d *decoded, side Side, at ingest.Timestamp) {
	c := t.store.conns.at(f.conn)
	valid := d.tcpFlags&tcpRST == 0 || c.resetIsValid(d, side)
	if f.state&closing == 0 {
		t.oddities(f, c, d, side, valid)
	}
	c.follow(d, side, valid, at)
	if d.tcpFlags&tcpSYN != 0 {
		c.isn[side] = d.seq
		if side == Responder && f.stats.InitiatorBy == BySynAck {
			// The SYN was lost or comes late: what it said is acknowledged here.
			c.isn[Initiator] = d.ack - 1
		}
	}
	if f.state&closing != 0 {
		return
	}
	if f.state&established == 0 && f.isEstablished() {
		f.state |= established
		if f.state&idleFixed == 0 {
			f.idle = t.idles.of(f, true)
		}
	}
	if d.tcpFlags&tcpFIN != 0 {
		f.state |= finInitiator << side
	}
	switch {
	case d.tcpFlags&tcpRST != 0 && valid:
		t.startClosing(f, Rst)
	case f.state&(finInitiator|finResponder) == finInitiator|finResponder:
		t.startClosing(f, Fin)
	}
}

// oddities raises what is wrong with a segment of an open connection.
func (t *Table) oddities(f *Flow, c *conn, d *decoded, side Side, valid bool) {
	const syn, fin, rst, ack = tcpSYN, tcpFIN, tcpRST, tcpACK
	switch flags := d.tcpFlags & (syn | fin | rst); {
	case flags == 0 || flags == fin:
	case flags == syn:
		e := &c.ends[side]
		if d.tcpFlags&ack == 0 && e.state == endOpen && c.ends[side.Opposite()].state == endOpen && d.seq != e.start {
			t.raise(tcpSYNInSession)
		}
	case flags == rst:
		switch {
		case valid:
		case c.ends[side].state == endSilent:
			t.raise(tcpResetOfSYN)
		default:
			t.raise(tcpResetOutside)
		}
	default:
		t.raise(tcpFlagsContradict)
	}
}

// isEstablished says that data may flow: a handshake was seen from both sides,
// or its end, or its middle.
func (f *Flow) isEstablished() bool {
	a, b := f.stats.Sides[Initiator].TCPFlags, f.stats.Sides[Responder].TCPFlags
	return a&tcpACK != 0 && a&tcpRST == 0 && (b&tcpACK != 0 || f.stats.Midstream) || f.stats.Midstream && b&tcpACK != 0
}

// startClosing begins the flow's tail: from now on packets are counted and do
// not keep it alive.
func (t *Table) startClosing(f *Flow, why Reason) {
	f.state |= closing
	f.state &^= ticking
	f.unread = f.unread&^reasonMask | unread(why)
	f.lastClock = t.clock
	f.idle = uint32(t.cfg.ClosingTail.Milliseconds())
}
