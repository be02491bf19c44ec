package session

import (
	"errors"
	"fmt"

	"flowscope/flow"
	"flowscope/ingest"
)

// defaultBuffer is what Protocol.Buffer 0 stands for.
const defaultBuffer = 64 << 10

// conn is what the driver keeps of a stream that has parsers, and of a datagram
// flow that has several.
type conn struct {
	runs   []run
	first  [1]run // what runs points to when there is one
	active int    // runs that are not over
	stream bool
	// midstream says that the beginning was not seen, told of which sides the
	// parsers have been told so.
	midstream bool
	told      [2]bool
}

// run is one parser on a flow.
type run struct {
	candidate *candidate
	stream    SessionParser  // of a stream
	datagram  DatagramParser // of a datagram flow
	rest      [2][]byte      // what it has not consumed
	deaf      [2]bool        // by a gap: it hears no more of that side
	silent    [2]bool        // so, or the side has ended, or the run is over
	over      bool
	wake      ingest.Timestamp // 0: never
}

// hears says that the run is to be given bytes of a side.
func (r *run) hears(side flow.Side) bool { return !r.silent[side&1] }

// newConn gives the flow a conn.
func (d *Driver) newConn(s *flowState) *conn {
	if n := len(d.freeConns); n > 0 {
		s.conn, d.freeConns = d.freeConns[n-1], d.freeConns[:n-1]
		return d.conns[s.conn]
	}
	s.conn = uint32(len(d.conns))
	d.conns = append(d.conns, new(conn))
	return d.conns[s.conn]
}

func (d *Driver) freeConn(s *flowState) {
	if s.conn == 0 {
		return
	}
	*d.conns[s.conn] = conn{}
	d.freeConns = append(d.freeConns, s.conn)
	s.conn = 0
}

// at is when and where something happened to a stream.
type at struct {
	time ingest.Timestamp
	side flow.Side
}

// midstream says that the beginning of both sides of a stream was not seen. Behind a
// SYN+ACK both are at hand.
func midstream(f *flow.Flow) bool {
	stats := f.Stats()
	return stats.Midstream && stats.InitiatorBy != flow.BySynAck
}

// streamData hands bytes of a side to all parsers that hear it.
func (d *Driver) streamData(e *flow.Event, s *flowState, at at, data []byte) {
	c := d.conns[s.conn]
	if c.midstream && !c.told[at.side] {
		d.streamGap(e, s, at, 0)
		if s.phase != parsing {
			d.counters.PayloadNoParser += uint64(len(data))
			return
		}
	}
	heard := false
	for i := range c.runs {
		if r := &c.runs[i]; r.hears(at.side) {
			heard = true
			d.feed(e, s, c, r, at, data)
		}
	}
	if heard {
		d.counters.PayloadDelivered += uint64(len(data))
	} else {
		d.counters.PayloadNoParser += uint64(len(data))
	}
	if c.active == 0 {
		d.unclaim(e, s)
	}
}

// feed calls a parser with the next bytes of a side. They come straight from the
// packet unless something was left of those before.
func (d *Driver) feed(e *flow.Event, s *flowState, c *conn, r *run, at at, data []byte) {
	r.candidate.count.Bytes += uint64(len(data))
	rest := &r.rest[at.side&1]
	if len(*rest) > 0 {
		*rest = d.buffers.appendTo(*rest, data)
		data = *rest
	}
	d.out.Begin(at.time, at.side, false)
	d.run = r
	n, err := d.guardFeed(r, at.side, data[:len(data):len(data)])
	switch left := len(data) - n; {
	case err != nil:
		d.endRun(e, s, c, r, at.time, err)
	case left < 0 || n < 0:
		d.endRun(e, s, c, r, at.time, &parserPanic{fmt.Sprintf("parser says that it has consumed %d of %d bytes", n, len(data))})
	case left == 0:
		if cap(*rest) > 0 {
			d.buffers.put(*rest)
			*rest = nil
		}
	default:
		d.keep(e, s, c, r, at, data[n:])
	}
}

var (
	errBuffer      = errors.New("more bytes unread than the protocol's buffer holds")
	errBufferTotal = errors.New("all parsers together leave more unread than session.buffer_total")
	errGap         = errors.New("bytes are missing")
)

// keep holds what a parser has not consumed until there is more.
func (d *Driver) keep(e *flow.Event, s *flowState, c *conn, r *run, at at, left []byte) {
	if len(left) > r.candidate.buffer {
		d.endRun(e, s, c, r, at.time, errBuffer)
		return
	}
	rest := &r.rest[at.side]
	if len(*rest) > 0 {
		*rest = (*rest)[:copy(*rest, left)]
	} else {
		*rest = d.buffers.appendTo(*rest, left)
	}
	if d.buffers.used > d.cfg.BufferTotal {
		d.endRun(e, s, c, r, at.time, errBufferTotal)
	}
}

// drop forgets what a parser has not consumed of a side.
func (d *Driver) drop(r *run, side flow.Side) {
	d.buffers.put(r.rest[side])
	r.rest[side] = nil
}

// streamGap tells the parsers that n bytes are missing.
func (d *Driver) streamGap(e *flow.Event, s *flowState, at at, n int) {
	c := d.conns[s.conn]
	unknown := c.midstream && !c.told[at.side] && n == 0
	c.told[at.side] = true
	hear := 0
	for i := range c.runs {
		r := &c.runs[i]
		if !r.hears(at.side) {
			continue
		}
		if !unknown {
			r.candidate.count.Gaps++
		}
		d.drop(r, at.side)
		call := call{op: opGap, candidate: r.candidate, stream: r.stream, side: at.side, n: n, action: StopSide}
		if r.candidate.streams&handlesGap != 0 {
			d.out.Begin(at.time, at.side, false)
			d.run = r
			if err := d.guard(&call); err != nil {
				d.endRun(e, s, c, r, at.time, err)
				continue
			}
		} else if unknown {
			call.action = Continue // it resynchronises without being told
		}
		r.deaf[at.side] = call.action != Continue
		r.silent[at.side] = r.deaf[at.side]
		if call.action == Stop || r.deaf[0] && r.deaf[1] {
			d.endRun(e, s, c, r, at.time, errGap)
		} else if !r.deaf[at.side] {
			hear++
		}
	}
	if c.active == 0 {
		d.unclaim(e, s)
	} else if hear == 0 {
		e.Flow.IgnoreSide(at.side)
	}
}

// streamFin tells the parsers that a side has ended.
func (d *Driver) streamFin(e *flow.Event, s *flowState, at at) {
	c := d.conns[s.conn]
	for i := range c.runs {
		r := &c.runs[i]
		if !r.hears(at.side) {
			continue
		}
		r.silent[at.side] = true
		if r.candidate.streams&handlesFin != 0 {
			rest := r.rest[at.side]
			call := call{op: opFin, candidate: r.candidate, stream: r.stream, side: at.side, data: rest[:len(rest):len(rest)]}
			d.out.Begin(at.time, at.side, false)
			d.run = r
			if err := d.guard(&call); err != nil {
				d.endRun(e, s, c, r, at.time, err)
				continue
			}
		}
		d.drop(r, at.side)
	}
	if c.active == 0 {
		d.unclaim(e, s)
	}
}

// streamRst tells the parsers that the connection was reset.
func (d *Driver) streamRst(e *flow.Event, s *flowState, at at) {
	c := d.conns[s.conn]
	for i := range c.runs {
		r := &c.runs[i]
		if r.over {
			continue
		}
		if r.candidate.streams&handlesRst != 0 {
			call := call{op: opRst, candidate: r.candidate, stream: r.stream, side: at.side}
			d.out.Begin(at.time, at.side, true)
			d.run = r
			if err := d.guard(&call); err != nil {
				d.endRun(e, s, c, r, at.time, err)
				continue
			}
		}
		r.silent = [2]bool{true, true}
		d.drop(r, flow.Initiator)
		d.drop(r, flow.Responder)
	}
	if c.active == 0 {
		d.unclaim(e, s)
	}
}

// severalParse hands one datagram to several parsers.
func (d *Driver) severalParse(e *flow.Event, s *flowState, p *payload) {
	c := d.conns[s.conn]
	d.counters.PayloadDelivered += uint64(len(p.data))
	for i := range c.runs {
		r := &c.runs[i]
		if r.over {
			continue
		}
		r.candidate.count.Bytes += uint64(len(p.data))
		call := call{op: opParse, candidate: r.candidate, datagram: r.datagram, side: p.side, data: p.data}
		d.out.Begin(p.time, p.side, p.truncated)
		d.run = r
		if err := d.guard(&call); err != nil {
			d.endRun(e, s, c, r, p.time, err)
		}
	}
	if c.active == 0 {
		d.unclaim(e, s)
	}
}

// wakeRuns wakes the parsers that are due.
func (d *Driver) wakeRuns(e *flow.Event, s *flowState) {
	c := d.conns[s.conn]
	for i := range c.runs {
		r := &c.runs[i]
		if r.over || r.wake == 0 || r.wake > e.Time {
			continue
		}
		r.wake = 0
		if r.abilities()&wakes == 0 {
			continue
		}
		call := call{op: opWake, candidate: r.candidate, datagram: r.datagram, stream: r.stream, ofStream: c.stream}
		d.out.Begin(e.Time, flow.Initiator, false)
		d.run = r
		if err := d.guard(&call); err != nil {
			d.endRun(e, s, c, r, e.Time, err)
		}
	}
	if c.active == 0 {
		d.unclaim(e, s)
		return
	}
	c.rearm(e.Flow)
}

// rearm sets the flow's wake-up to the earliest of its parsers'.
func (c *conn) rearm(f *flow.Flow) {
	next := ingest.Timestamp(0)
	for i := range c.runs {
		if w := c.runs[i].wake; w != 0 && !c.runs[i].over && (next == 0 || w < next) {
			next = w
		}
	}
	f.WakeAt(next)
}

func (r *run) abilities() abilities {
	if r.stream != nil {
		return r.candidate.streams
	}
	return r.candidate.datagrams
}

// closeRuns lets the parsers that still run report what stayed open.
func (d *Driver) closeRuns(e *flow.Event, s *flowState) {
	c := d.conns[s.conn]
	for i := range c.runs {
		r := &c.runs[i]
		if r.over {
			continue
		}
		if r.abilities()&closes != 0 {
			call := call{op: opClose, candidate: r.candidate, datagram: r.datagram, stream: r.stream, ofStream: c.stream, reason: e.Reason}
			d.out.Begin(e.Time, flow.Initiator, false)
			d.run = r
			if err := d.guard(&call); err != nil {
				d.endRun(e, s, c, r, e.Time, err)
				continue
			}
		}
		d.releaseRun(c, r, true)
	}
}

// endRun ends a parser that has failed or is done, and says so.
func (d *Driver) endRun(e *flow.Event, s *flowState, c *conn, r *run, now ingest.Timestamp, err error) {
	reason, detail := d.outcome(r.candidate, err)
	d.releaseRun(c, r, reason != parserReasons[parserPanicked])
	if c.active > 0 && len(c.runs) > 1 {
		c.rearm(e.Flow)
	}
	ev := d.prepare(e, s, ParserClosed, now)
	ev.Reason, ev.Detail = reason, detail
	d.send(r.candidate.index)
}

// releaseRun gives back what a parser has used. One that panicked is not used
// again.
func (d *Driver) releaseRun(c *conn, r *run, reuse bool) {
	if reuse {
		d.recycle(r.candidate, r.datagram, r.stream)
	}
	d.drop(r, flow.Initiator)
	d.drop(r, flow.Responder)
	r.stream, r.datagram, r.over, r.wake = nil, nil, true, 0
	r.silent = [2]bool{true, true}
	c.active--
}
