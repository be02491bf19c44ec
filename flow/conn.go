package flow

import (
	"time"

	"flowscope/ingest"
)

// TCPStats is the part of a flow's account that only TCP flows have. It holds no
// pointers.
type TCPStats struct {
	// Sides is indexed by Side.
	Sides [2]TCPSideStats
	// HandshakeRTT is the time from the SYN to the SYN+ACK for the responder,
	// which is the way from the sensor to it and back, and from there to the
	// ACK for the initiator; 0 where it is not known.
	HandshakeRTT [2]time.Duration
	// History is the connection's packets as letters, State what became of it.
	History History
	State   ConnState
}

// TCPSideStats counts what happened to the stream that one side sent, whether
// somebody reads it or not.
type TCPSideStats struct {
	// GapBytes counts the bytes of all gaps, AckedUnseenBytes those of them that
	// never came although the other side acknowledged them: they were lost on
	// the way to the sensor.
	GapBytes, AckedUnseenBytes uint64
	// Gaps counts the gaps, those of captures that were cut short by their
	// snapshot length among them.
	Gaps uint32
	// Retransmitted counts segments with payload some of which was seen before,
	// keep-alives apart; OutOfOrder those that came after a later one and were
	// new throughout (RFC 4737 section 3.3).
	Retransmitted, OutOfOrder uint32
	// OverlapConflicts counts segments that said something else than an earlier
	// one about the same bytes.
	OverlapConflicts uint32
}

// TCP returns what the flow's account holds beside Flow.Stats if it is a TCP flow,
// else nil. It is the table's own, as Stats is.
func (e *Event) TCP() *TCPStats {
	if e.Flow == nil || e.Flow.conn == noConn {
		return nil
	}
	c := e.table.store.conns.at(e.Flow.conn)
	c.stats.State = c.connState()
	return &c.stats
}

// conn is what the table keeps of a TCP flow beside its Flow, without pointers.
type conn struct {
	sides [2]stream
	// deadline is when the first hole of a stream that somebody reads is given
	// up; noDeadline: there is none. Flow.state has a bit that says the same.
	deadline ingest.Timestamp
	stats    TCPStats
	track
	// isn holds the initial sequence numbers, where a SYN or what acknowledges
	// it was seen.
	isn [2]uint32
}

// connRef is a conn's place in store.conns.
type connRef uint32

// noConn is the reference of flows that are not TCP's.
const noConn connRef = 0
