package ntp

import (
	"encoding/binary"

	"flowscope/session"
)

// maxRequests is how many requests of a flow wait for their reply; the oldest
// gives way.
const maxRequests = 4

// request is what a reply repeats: a transmit timestamp, or the sequence number
// of a control command.
type request struct {
	token   uint64
	at      session.Timestamp
	side    session.Side
	control bool
}

// parser is the state of one flow.
type parser struct {
	scratch  *scratch
	requests [maxRequests]request // oldest first
	n        uint8
}

var (
	_ session.DatagramParser = (*parser)(nil)
	_ session.Resetter       = (*parser)(nil)
)

// Reset implements session.Resetter.
func (p *parser) Reset() { p.n = 0 }

// ask remembers a request.
func (p *parser) ask(r request) {
	if p.n == maxRequests {
		copy(p.requests[:], p.requests[1:])
		p.n--
	}
	p.requests[p.n] = r
	p.n++
}

// answer forgets the latest request that a reply of this side belongs to and
// returns how long ago it was; nil if there is none.
func (p *parser) answer(token uint64, side session.Side, control bool, now session.Timestamp) *int64 {
	for i := int(p.n) - 1; i >= 0; i-- {
		r := &p.requests[i]
		if r.token != token || r.side != side.Opposite() || r.control != control {
			continue
		}
		p.scratch.rtt = int64(now - r.at)
		copy(p.requests[i:p.n], p.requests[i+1:p.n])
		p.n--
		if p.scratch.rtt < 0 {
			return nil
		}
		return &p.scratch.rtt
	}
	return nil
}

// Parse implements session.DatagramParser. It always returns nil.
func (p *parser) Parse(payload []byte, side session.Side, out *session.Output) error {
	s := p.scratch
	s.problem, s.text = "", s.text[:0]
	m := p.message(payload, side, out.Now())
	if s.problem != "" && !out.Truncated() {
		out.Anomaly(&malformed, s.problem)
	}
	if m != nil {
		out.EmitWith(session.Emission{Message: m, Side: side, Truncated: s.problem != "" || out.Truncated()})
	}
	return nil
}

// message reads one datagram; nil if it has no whole header.
func (p *parser) message(b []byte, side session.Side, now session.Timestamp) session.Message {
	s := p.scratch
	if len(b) == 0 {
		s.wrong(problemHeader)
		return nil
	}
	if version := b[0] >> 3 & 7; version == 0 || version > maxVersion {
		s.wrong(problemVersion)
		return nil
	}
	mode := b[0] & 7
	switch {
	case mode == modeControl && len(b) >= controlSize:
		s.decodeControl(b)
		if c := &s.control; c.Response {
			c.RTT = p.answer(uint64(c.Sequence), side, true, now)
		} else {
			p.ask(request{uint64(c.Sequence), now, side, true})
		}
		return &s.control
	case mode == modePrivate && len(b) >= privateSize:
		s.decodePrivate(b)
		return &s.private
	case mode >= modeControl || len(b) < headerSize:
		s.wrong(problemHeader)
		return nil
	}
	s.header(b, now)
	return p.ofMode(mode, binary.BigEndian.Uint64(b[24:]), binary.BigEndian.Uint64(b[40:]), side, now)
}

// ofMode pairs the message in hand and returns it as what its mode makes it.
func (p *parser) ofMode(mode byte, origin, transmit uint64, side session.Side, now session.Timestamp) session.Message {
	s := p.scratch
	var rtt *int64
	if mode == modeServer || mode == modeActive || mode == modePassive {
		rtt = p.answer(origin, side, false, now)
	}
	if mode == modeClient || mode == modeActive || mode == modePassive {
		p.ask(request{transmit, now, side, false})
	}
	switch mode {
	case modeClient:
		s.client.Message = s.message
		return &s.client
	case modeServer:
		s.server.Reply = Reply{s.message, rtt}
		return &s.server
	case modeActive:
		s.active.Reply = Reply{s.message, rtt}
		return &s.active
	case modePassive:
		s.passive.Reply = Reply{s.message, rtt}
		return &s.passive
	case modeBroadcast:
		s.broadcast.Message = s.message
		return &s.broadcast
	default:
		s.reserved.Message = s.message
		return &s.reserved
	}
}
