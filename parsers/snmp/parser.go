package snmp

import "flowscope/session"

// maxRequests is how many requests of a flow wait for their response; the oldest
// gives way.
const maxRequests = 16

// request is what a response repeats.
type request struct {
	at      session.Timestamp
	id      int32 // of the PDU
	message int32 // of version 3
	side    session.Side
	hasID   bool
	v3      bool
}

// parser is the state of one flow.
type parser struct {
	scratch     *scratch
	communities bool
	n           uint8
	requests    [maxRequests]request // oldest first
}

var (
	_ session.DatagramParser = (*parser)(nil)
	_ session.Resetter       = (*parser)(nil)
)

// Reset implements session.Resetter.
func (p *parser) Reset() { p.n = 0 }

// ask remembers the message in hand as a request.
func (p *parser) ask(side session.Side, hasID bool, now session.Timestamp) {
	if p.n == maxRequests {
		copy(p.requests[:], p.requests[1:])
		p.n--
	}
	s := p.scratch
	p.requests[p.n] = request{
		at: now, id: s.request, message: s.messageID, side: side, hasID: hasID, v3: s.header.MessageID != nil,
	}
	p.n++
}

// answer forgets the latest request that a response of this side belongs to, by
// its request id or its message id, and returns how long ago it was; nil if there
// is none.
func (p *parser) answer(side session.Side, byID bool, now session.Timestamp) *int64 {
	s := p.scratch
	for i := int(p.n) - 1; i >= 0; i-- {
		r := &p.requests[i]
		if r.side != side.Opposite() {
			continue
		}
		if byID && !(r.hasID && r.id == s.request) || !byID && !(r.v3 && s.header.MessageID != nil && r.message == s.messageID) {
			continue
		}
		s.rtt = int64(now - r.at)
		copy(p.requests[i:p.n], p.requests[i+1:p.n])
		p.n--
		if s.rtt < 0 {
			return nil
		}
		return &s.rtt
	}
	return nil
}

// Parse implements session.DatagramParser. It always returns nil.
func (p *parser) Parse(payload []byte, side session.Side, out *session.Output) error {
	s := p.scratch
	tag, pdu := s.decode(payload, p.communities)
	m := p.message(tag, &pdu, side, out.Now())
	if s.problem != "" && !out.Truncated() {
		out.Anomaly(&malformed, s.problem)
	}
	if m != nil {
		out.EmitWith(session.Emission{Message: m, Side: side, Truncated: s.cut || out.Truncated()})
	}
	return nil
}

// message reads the PDU and returns the message of its kind; nil if there is
// none.
func (p *parser) message(tag byte, pdu *reader, side session.Side, now session.Timestamp) session.Message {
	s := p.scratch
	switch tag {
	case 0:
		return nil
	case pduEncrypted:
		s.encrypted.Header = s.header
		if s.encrypted.RTT = p.answer(side, false, now); s.encrypted.RTT == nil {
			p.ask(side, false, now)
		}
		return &s.encrypted
	case pduTrapV1:
		if !s.decodeTrap(pdu) {
			return nil
		}
		s.trap.Message = s.message
		return &s.trap
	}
	ok, first, second := s.decodePDU(tag, pdu)
	if !ok {
		return nil
	}
	switch tag {
	case pduResponse:
		s.response.Reply = Reply{s.message, p.answer(side, true, now)}
		return &s.response
	case pduReport:
		s.report.Reply = Reply{s.message, p.answer(side, false, now)}
		return &s.report
	case pduTrap:
		s.trap = Trap{Message: s.message}
		return &s.trap
	}
	p.ask(side, true, now)
	switch tag {
	case pduGet:
		s.get.Message = s.message
		return &s.get
	case pduGetNext:
		s.getNext.Message = s.message
		return &s.getNext
	case pduGetBulk:
		s.getBulk = GetBulk{s.message, first, second}
		return &s.getBulk
	case pduSet:
		s.set.Message = s.message
		return &s.set
	default:
		s.inform.Message = s.message
		return &s.inform
	}
}
