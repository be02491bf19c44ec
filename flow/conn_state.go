package flow

import "flowscope/ingest"

// track is what is known of a TCP connection beside its streams: the state of its
// ends as Zeek's connection log has it, windows, and the times of the handshake.
// The letters of its packets stand in TCPStats.
//
// The states follow what the ends have sent, not what they must be in: a sensor
// sees neither what was lost on the way nor what an end makes of it.
type track struct {
	ends      [2]end
	mark      ingest.Timestamp // of the handshake's latest packet
	seen      uint16           // letters that stand in the history, see once
	letters   uint8            // how many
	handshake handshake
}

// end is one side of a connection.
type end struct {
	state, before endState
	scale         int8   // window scale; unknownScale, or what its SYN said
	fins          bool   // has sent FIN
	acked         bool   // ack is known
	start         uint32 // sequence number of its SYN, or the one before its first byte
	last          uint32 // one past the highest that it has sent
	ack           uint32 // up to where the other end has acknowledged
	window        uint32 // what it last offered, scaled as far as is known
	next          uint32 // up to where all was seen or given up
	later         span32 // seen beyond that; what lies between several ranges counts as seen
	lastSYN       uint32
	lastFIN       uint32
	lastRST       uint32
	// How often something happened whose letter is written at powers of ten.
	retransmitted, zeroWindows, badChecksums, gaps uint32
}

// span32 is a range of sequence numbers, empty if its ends are equal.
type span32 struct{ from, to uint32 }

// endState is the state of one end.
type endState uint8

const (
	endSilent endState = iota // has sent nothing
	endSYN
	endSYNACK  // the initiator has sent SYN+ACK
	endPartial // has sent something, no SYN
	endOpen
	endFinished
	endReset
)

// unknownScale stands for a window scale that nobody has seen.
const unknownScale = -1

// maxScale is the largest (RFC 7323 section 2.2).
const maxScale = 14

// handshake says how far it was seen.
type handshake uint8

const (
	handshakeNone handshake = iota
	handshakeSYN
	handshakeSYNACK
	handshakeOver // complete, or of no use for measuring
)

// begin prepares for the first packet. flipped says that its sender is not the
// initiator.
func (c *conn) begin(flipped bool) {
	c.ends[0].scale, c.ends[1].scale = unknownScale, unknownScale
	if flipped {
		c.addHistory('^')
	}
}

// follow takes in one segment. valid says that a RST in it is to be believed;
// the states do not follow one that is not.
func (c *conn) follow(d *decoded, side Side, valid bool, at ingest.Timestamp) {
	e, peer := &c.ends[side], &c.ends[side.Opposite()]
	flags := d.tcpFlags
	length := uint32(d.payloadLength)
	if c.ordinary(d, side, e, peer, length) {
		return
	}
	if d.checksums&badTransport != 0 {
		c.scaled(side, 'C', &e.badChecksums)
	}
	e.begin(d)
	c.note(d, side, length)
	if d.window == 0 && flags&tcpRST == 0 && peer.state != endFinished && e.state != endReset {
		c.scaled(side, 'W', &e.zeroWindows)
	}
	e.offer(d)
	c.measure(flags, side, at)
	if flags&tcpFIN != 0 {
		e.fins = true
	}
	if flags&tcpACK != 0 {
		c.acknowledge(d, peer)
	}
	next := d.seq + d.sequenceLength()
	if c.advance(e, next, flags, length) {
		c.scaled(side, 'T', &e.retransmitted)
	}
	e.arrive(d.seq, next)
	if flags&tcpRST != 0 && !valid {
		return
	}
	c.step(e, peer, side, flags, length)
	if flags&(tcpACK|tcpRST) == tcpACK {
		c.miss(peer, side.Opposite(), d.ack)
	}
}

// ordinary takes in what most segments are: the next bytes of an end in session,
// or none, with nothing that is new to the history. It says whether this was one.
func (c *conn) ordinary(d *decoded, side Side, e, peer *end, length uint32) bool {
	bit := uint16(1) << (seenACK + seenKinds*int(side))
	if length > 0 {
		bit = 1 << (seenData + seenKinds*int(side))
	}
	if d.tcpFlags&(tcpSYN|tcpFIN|tcpRST|tcpACK) != tcpACK || e.state != endOpen || peer.state != endOpen ||
		d.seq != e.last || e.next != e.last || before(peer.next, d.ack) || before(d.ack, peer.ack) || !peer.acked ||
		c.seen&bit == 0 || d.window == 0 || d.checksums&badTransport != 0 || c.handshake != handshakeOver {
		return false
	}
	e.window = uint32(d.window)
	e.last += length
	e.next = e.last
	peer.ack = d.ack
	return true
}

// arrive notes that a range was seen.
func (e *end) arrive(from, to uint32) {
	switch {
	case !before(e.next, from):
		if before(e.next, to) {
			e.next = to
		}
		e.join()
	case e.later.from == e.later.to:
		e.later = span32{from, to}
	default:
		if before(from, e.later.from) {
			e.later.from = from
		}
		if before(e.later.to, to) {
			e.later.to = to
		}
	}
}

// join takes in what was seen later once it is reached.
func (e *end) join() {
	if l := e.later; l.from != l.to && !before(e.next, l.from) {
		if before(e.next, l.to) {
			e.next = l.to
		}
		e.later = span32{}
	}
}

// miss writes the letter of a gap when the other end acknowledges what was not
// seen. It counts only between ends that both have been in session: the numbers
// of others are not sure enough. A single byte at the end may be a FIN.
func (c *conn) miss(e *end, side Side, ack uint32) {
	if !before(e.next, ack) || !e.wasOpen() || !c.ends[side.Opposite()].wasOpen() || e.fins && before(e.last, ack) {
		return
	}
	if ack == e.next+1 && e.later.from == e.later.to {
		return
	}
	e.next = ack
	e.join()
	c.scaled(side, 'G', &e.gaps)
}

func (e *end) wasOpen() bool {
	return e.state == endOpen || e.state == endFinished && e.before == endOpen
}

// sequenceLength is what a segment takes of the sequence space (RFC 9293 section
// 3.4); the data of a RST is no part of the stream.
func (d *decoded) sequenceLength() uint32 {
	n := uint32(0)
	if d.tcpFlags&tcpRST == 0 {
		n = uint32(d.payloadLength)
	}
	if d.tcpFlags&tcpSYN != 0 {
		n++
	}
	if d.tcpFlags&tcpFIN != 0 {
		n++
	}
	return n
}

// begin notes where an end's sequence numbers begin: at its SYN, the latest one
// as long as it has got no answer, else before its first byte.
func (e *end) begin(d *decoded) {
	syn := d.tcpFlags&tcpSYN != 0
	next := d.seq + d.sequenceLength()
	switch {
	case e.state == endSilent && syn:
		e.restart(d.seq, next)
	case e.state == endSilent:
		e.restart(d.seq-1, d.seq)
	case !syn || e.state == endFinished || e.state == endOpen || e.state == endReset && e.before != endSilent:
	case e.state == endReset || d.seq != e.start:
		e.restart(d.seq, next)
	}
}

func (e *end) restart(start, last uint32) {
	e.start, e.ack, e.last = start, start, last
	e.next, e.later = last, span32{}
}

// offer notes the window that an end offers and, from its SYN, how windows are
// scaled (RFC 7323 section 2.2): only if both SYNs say so.
func (e *end) offer(d *decoded) {
	if d.tcpFlags&tcpSYN != 0 {
		e.scale = d.windowScale
		e.window = uint32(d.window)
		return
	}
	if d.tcpFlags&tcpRST == 0 {
		e.window = uint32(d.window)
	}
}

// windowOf returns the largest window that an end may mean.
func (c *conn) windowOf(side Side) uint32 {
	e, peer := &c.ends[side], &c.ends[side.Opposite()]
	switch {
	case e.scale == unknownScale || peer.scale == unknownScale:
		// One SYN at least was not seen, or not its options.
		return e.window << maxScale
	case e.scale == scaleNotOffered || peer.scale == scaleNotOffered:
		return e.window
	default:
		return e.window << e.scale
	}
}

// scaleNotOffered stands for a SYN without the option.
const scaleNotOffered = -2

// acknowledge moves the edge up to which the other end has what peer sent. A RST
// is not trusted with it.
func (c *conn) acknowledge(d *decoded, peer *end) {
	if peer.state == endSilent && !peer.acked {
		peer.restart(d.ack-1, d.ack-1)
		peer.acked = d.tcpFlags&tcpRST == 0
	}
	if d.tcpFlags&tcpRST != 0 {
		return
	}
	delta := int32(d.ack - peer.ack)
	if d.ack == 0 && delta > trusted { // broken rather than so far on
		return
	}
	if delta > 0 || !peer.acked {
		peer.ack, peer.acked = d.ack, true
	}
}

// trusted is how far a number may be from the last before it is not trusted.
const trusted = 1 << 20

// advance moves the edge of what an end has sent and says whether the segment
// lies before it, which makes it a retransmission.
func (c *conn) advance(e *end, next uint32, flags uint8, length uint32) bool {
	delta := int32(next - e.last)
	switch {
	case flags&(tcpSYN|tcpRST) != 0 && (delta > trusted || delta < -trusted):
	case flags&tcpFIN != 0 && e.last == e.start+1:
		e.last = next
	case e.state == endReset:
	case delta > 0:
		e.last = next
	default:
		// In the first segment of an end begin has set the edge to its start.
		return length > 0
	}
	return false
}

// step moves the state of the end that has sent a segment.
func (c *conn) step(e, peer *end, side Side, flags uint8, length uint32) {
	switch e.state {
	case endSilent:
		c.stepInactive(e, peer, side, flags, length)
	case endSYN, endSYNACK:
		if flags&tcpFIN != 0 {
			e.become(endFinished)
		}
		if flags&tcpRST != 0 {
			e.become(endReset)
		}
	case endOpen, endPartial:
		if flags&tcpSYN != 0 && flags&tcpACK == 0 && e.state == endPartial && peer.state == endSilent {
			e.become(endSYN)
		}
		if flags&(tcpFIN|tcpRST) == tcpFIN {
			e.become(endFinished)
			if peer.state == endReset && peer.before == endFinished {
				peer.become(endFinished) // it had finished before it reset
			}
		}
		if flags&tcpRST != 0 {
			e.become(endReset)
		}
	case endFinished:
		if flags&tcpRST != 0 && peer.state != endFinished {
			e.become(endReset)
		}
	case endReset:
	}
}

func (c *conn) stepInactive(e, peer *end, side Side, flags uint8, length uint32) {
	if flags&tcpSYN != 0 {
		switch {
		case side == Initiator && flags&tcpACK != 0:
			e.become(endSYNACK)
		case side == Initiator:
			e.become(endSYN)
		default:
			if peer.state == endSYN || peer.state == endSYNACK && flags&tcpACK == 0 {
				peer.become(endOpen)
			}
			e.become(endOpen)
		}
	}
	if flags&tcpFIN != 0 {
		e.become(endFinished)
	}
	if flags&tcpRST != 0 {
		e.become(endReset)
	}
	if e.state != endSilent {
		return
	}
	switch {
	case side == Responder && length == 0 && peer.state == endSYN:
		// It acknowledges the SYN before it sends its own.
	case flags&tcpACK != 0 && peer.state == endOpen:
		e.become(endOpen) // only its SYN was missed
	default:
		e.become(endPartial)
	}
}

func (e *end) become(s endState) {
	if e.state != s {
		e.before, e.state = e.state, s
	}
}

// measure takes the times of the handshake. A SYN or SYN+ACK that came more than
// once tells nothing: it is not known which one was answered (RFC 6298 section 3).
func (c *conn) measure(flags uint8, side Side, at ingest.Timestamp) {
	switch c.handshake {
	case handshakeOver:
	case handshakeNone:
		if flags&(tcpSYN|tcpACK|tcpRST|tcpFIN) == tcpSYN && side == Initiator {
			c.mark, c.handshake = at, handshakeSYN
		} else {
			c.handshake = handshakeOver
		}
	case handshakeSYN:
		if flags&(tcpSYN|tcpACK|tcpRST|tcpFIN) == tcpSYN|tcpACK && side == Responder {
			c.stats.HandshakeRTT[Responder] = max(0, at.Sub(c.mark))
			c.mark, c.handshake = at, handshakeSYNACK
		} else {
			c.handshake = handshakeOver
		}
	case handshakeSYNACK:
		if flags&(tcpSYN|tcpACK) == tcpACK && side == Initiator {
			c.stats.HandshakeRTT[Initiator] = max(0, at.Sub(c.mark))
		}
		c.handshake = handshakeOver
	}
}

// resetIsValid says whether a RST is to be believed: in reply to a SYN if it
// acknowledges it (RFC 9293 section 3.10.7.3), later if its number lies in the
// window of who gets it (section 3.10.7.4). Where the sensor does not know the
// window it believes.
func (c *conn) resetIsValid(d *decoded, side Side) bool {
	e, peer := &c.ends[side], &c.ends[side.Opposite()]
	if e.state == endSilent && peer.state == endSYN {
		return d.tcpFlags&tcpACK != 0 && int32(d.ack-peer.start) > 0 && int32(d.ack-peer.last) <= 0
	}
	if !e.acked || peer.state == endSilent {
		return true
	}
	// The other end has at least what it has acknowledged, and at most what was
	// sent; beyond that there is its window.
	ahead := int32(d.seq - e.ack)
	furthest := max(int64(int32(e.last-e.ack)), int64(c.windowOf(side.Opposite())))
	return ahead >= 0 && int64(ahead) <= furthest
}
