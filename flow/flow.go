package flow

import (
	"net/netip"
	"time"

	"flowscope/ingest"
)

// Flow is the table's record of one flow: 256 bytes without pointers. Handlers
// see it through the pointer in an Event, valid until the event's flow has
// closed.
type Flow struct {
	key       Key
	lastClock ingest.Timestamp // input clock of the latest packet
	gen       uint32           // tells successive users of a slot apart
	source    uint16           // index into Table.sources
	state     state
	conn      connRef // what a TCP flow has beside
	unread    unread
	ticks     [3]uint8 // how many are over, the lowest byte first

	stats Stats

	id         ID
	community  CommunityID
	idle       uint32           // idle time-out in milliseconds; 0: the record is free
	armed      ingest.Timestamp // when the timer entry fires; noDeadline: there is none
	wake       ingest.Timestamp // when the handler wants to be woken; noDeadline: never
	next, prev slot             // timer list
}

// state is a set of bits.
type state uint16

const (
	initiatorB state = 1 << iota // the initiator is the key's B
	closing                      // ended, in its tail
	established
	finInitiator
	finResponder
	ignored   // nobody reads the payload
	hasExtra  // VLANs or tunnels stand in Table.extra
	idleFixed // the handler chose the idle time-out
	ticking   // periodic statistics are due, see store.tickAt
	holed     // a hole waits to be given up, see conn.deadline

	// From bit levelShift on stands the level of shedding at the flow's beginning.
)

// unread holds why a closing flow ends, in its lower bits, and which sides of a
// stream nobody reads.
type unread uint8

const (
	reasonMask   unread = 1<<4 - 1
	unreadShift         = 4
	unreadNoSide unread = 3 << unreadShift
)

func (f *Flow) reason() Reason { return Reason(f.unread & reasonMask) }

// slot is a flow's place in the table.
type slot uint32

const noSlot = ^slot(0)

// ID returns the flow's id.
func (f *Flow) ID() ID { return f.id }

// Transport returns the IP protocol.
func (f *Flow) Transport() Transport { return f.key.Proto }

// Stats returns the flow's account so far. It is the table's own: read it, keep
// no pointer to it.
func (f *Flow) Stats() *Stats { return &f.stats }

// Ports returns the ports of initiator and responder.
func (f *Flow) Ports() (src, dst uint16) {
	if f.state&initiatorB != 0 {
		return f.key.PortB, f.key.PortA
	}
	return f.key.PortA, f.key.PortB
}

// Endpoints returns address and port of initiator and responder.
func (f *Flow) Endpoints() (src, dst netip.AddrPort) {
	return f.key.endpoints(f.state&initiatorB != 0)
}

// SetIdle replaces the flow's idle time-out, rounded to milliseconds.
func (f *Flow) SetIdle(d time.Duration) {
	f.idle = uint32(min(max(d.Milliseconds(), 1), int64(^uint32(0))))
	f.state |= idleFixed
}

// WakeAt asks for one Woken event when the input's clock reaches t; 0 cancels.
func (f *Flow) WakeAt(t ingest.Timestamp) {
	if t == 0 {
		t = noDeadline
	}
	f.wake = t
}

// Ignore says that nobody reads the flow's payload any more: it is counted and
// no longer handed up.
func (f *Flow) Ignore() { f.state |= ignored }

// IgnoreSide is Ignore for what one side of a stream sends.
func (f *Flow) IgnoreSide(s Side) {
	f.unread |= 1 << (unreadShift + s)
	if f.unread&unreadNoSide == unreadNoSide {
		f.Ignore()
	}
}

// live says that the record holds a flow.
func (f *Flow) live() bool { return f.idle != 0 }

// side returns who sent a packet.
func (f *Flow) side(swapped bool) Side {
	if swapped == (f.state&initiatorB != 0) {
		return Initiator
	}
	return Responder
}

// reads says whether somebody reads what a side sends.
func (f *Flow) reads(s Side) bool {
	return f.state&ignored == 0 && f.unread&(1<<(unreadShift+s)) == 0
}

// idleAt returns when the flow has been idle for too long.
func (f *Flow) idleAt() ingest.Timestamp { return f.lastClock + ingest.Timestamp(f.idle)*1e6 }
