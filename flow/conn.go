package flow

// TCPStats is the part of a flow's account that only TCP flows have. It holds no
// pointers.
type TCPStats struct {
	// Sides is indexed by Side.
	Sides [2]TCPSideStats
}

// TCPSideStats counts what happened to the stream that one side sent. A capture
// that was cut short by its snapshot length makes gaps too.
type TCPSideStats struct {
	// GapBytes counts the bytes announced by Gap events, AckedUnseenBytes those
	// of them that the other side acknowledged: they were lost on the way to the
	// sensor.
	GapBytes, AckedUnseenBytes uint64
	// Gaps counts Gap events.
	Gaps uint32
	// Retransmitted counts segments with payload that was seen before,
	// OutOfOrder those that came after a later one and were new (RFC 4737
	// section 3.3).
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
	return &e.table.store.conns.at(e.Flow.conn).stats
}

// conn is what the table keeps of a TCP flow beside its Flow, without pointers.
type conn struct {
	stats TCPStats
	// isn holds the initial sequence numbers, where a SYN or what acknowledges
	// it was seen.
	isn [2]uint32
}

// connRef is a conn's place among conns.
type connRef uint32

// noConn is the reference of flows that are not TCP's.
const noConn connRef = 0

// conns holds the records of TCP flows in slabs.
type conns struct {
	slabs [][]conn
	free  []connRef
	used  int // places ever handed out; place 0 stays unused
}

func (c *conns) at(r connRef) *conn { return &c.slabs[r>>slabBits][r&(1<<slabBits-1)] }

// take returns the place of a zero record.
func (c *conns) take() connRef {
	if n := len(c.free); n > 0 {
		r := c.free[n-1]
		c.free = c.free[:n-1]
		*c.at(r) = conn{}
		return r
	}
	c.used++
	r := connRef(c.used)
	if int(r>>slabBits) == len(c.slabs) {
		c.slabs = append(c.slabs, make([]conn, 1<<slabBits))
	}
	return r
}

// give takes a record back.
func (c *conns) give(r connRef) {
	if r != noConn {
		c.free = append(c.free, r)
	}
}
