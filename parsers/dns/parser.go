package dns

import (
	"time"

	"flowscope/session"
)

// answeredIdle is how long a flow may rest once all its queries are answered.
const answeredIdle = 10 * time.Second

// scratch is what parsing one message needs beside the state of its flow. Flows
// are many and messages are parsed one at a time, so parsers borrow it.
type scratch struct {
	decoder
	query      Query
	response   Response
	unanswered Unanswered
	rtt        int64
	// start is when a message of several packets began, 0 for others.
	start session.Timestamp
	// ended says that the stream ended inside the message.
	ended bool
}

// parser is the state of one flow.
type parser struct {
	shared  *protocol
	armed   session.Timestamp // the deadline last asked for, 0 if none
	idleSet bool
	open
}

var (
	_ session.DatagramParser = (*parser)(nil)
	_ session.Waker          = (*parser)(nil)
	_ session.Closer         = (*parser)(nil)
	_ session.Resetter       = (*parser)(nil)
)

func newParser(p *protocol) *parser { return &parser{shared: p} }

// Reset implements session.Resetter.
func (p *parser) Reset() {
	p.open.reset()
	p.armed, p.idleSet = 0, false
}

// borrow returns the worker's scratch memory for the message at hand, for the
// length of one call.
func (p *parser) borrow() *scratch {
	s := &p.shared.scratch.current
	s.mdns = p.shared.mdns
	return s
}

// Parse implements session.DatagramParser. It always returns nil.
func (p *parser) Parse(payload []byte, side session.Side, out *session.Output) error {
	s := p.borrow()
	if len(payload) > 2 && payload[2]&0x80 != 0 {
		p.response(s, payload, side, out)
	} else {
		p.query(s, payload, side, out)
	}
	return nil
}

// report raises the anomaly if anything was wrong that the capture does not
// account for, and returns whether the message is incomplete.
func (s *scratch) report(out *session.Output) (truncated bool) {
	if s.problem != "" && !out.Truncated() && !s.ended {
		out.Anomaly(&malformed, s.problem)
	}
	return s.cut || s.ended || out.Truncated()
}

func (p *parser) query(s *scratch, payload []byte, side session.Side, out *session.Output) {
	q := &s.query
	readable := s.decode(payload, &q.Message)
	truncated := s.report(out)
	if !readable {
		return
	}
	q.Retries = 0
	if p.shared.pairing {
		q.Retries = p.ask(s, payload, side, truncated, out)
	}
	out.EmitWith(session.Emission{Message: q, Side: side, Start: s.start, Truncated: truncated})
}

// ask starts a transaction, or counts one more query of it, and returns how many
// queries came before.
func (p *parser) ask(s *scratch, payload []byte, side session.Side, truncated bool, out *session.Output) uint32 {
	if w, _ := p.find(s.query.ID, side, payload[headerSize:s.keyEnd], true); w != nil {
		w.retries++
		return w.retries
	}
	if p.n() >= p.shared.config.MaxPending {
		p.expire(out, out.Now(), false)
	}
	p.add(payload, waiting{first: out.Now(), keyEnd: uint16(s.keyEnd), side: side, cut: truncated}, p.shared.seed)
	p.arm(out)
	return 0
}

func (p *parser) response(s *scratch, payload []byte, side session.Side, out *session.Output) {
	r := &s.response
	readable := s.decode(payload, &r.Message)
	truncated := s.report(out)
	if !readable {
		return
	}
	r.RTT, r.Retries = nil, 0
	if p.shared.pairing {
		p.answer(s, payload, side.Opposite(), out)
	}
	out.EmitWith(session.Emission{Message: r, Side: side, Start: s.start, Truncated: truncated})
}

// answer ends the transaction that a response belongs to, if there is one.
func (p *parser) answer(s *scratch, payload []byte, asker session.Side, out *session.Output) {
	w, slot := p.find(s.response.ID, asker, payload[headerSize:s.keyEnd], s.keyEnd != headerSize)
	if w == nil {
		return
	}
	if s.rtt = int64(out.Now() - w.first); s.rtt >= 0 {
		s.response.RTT = &s.rtt
	}
	s.response.Retries = w.retries
	typ := s.keyType
	if s.keyEnd == headerSize {
		typ = p.asked(w, slot) // the later responses of a transfer have no question
	}
	if typ == typeAXFR || typ == typeIXFR {
		w.answered = true // a transfer has many responses
	} else {
		p.remove(slot)
		p.arm(out)
	}
	if !p.idleSet && p.n() == 0 {
		p.idleSet = true
		out.SetIdle(max(answeredIdle, p.shared.config.UnansweredAfter))
	}
}

// arm asks to be woken when the oldest transaction is due.
func (p *parser) arm(out *session.Output) {
	if due := p.due(); due != p.armed {
		p.armed = due
		out.WakeAt(due)
	}
}

// due returns when the oldest transaction is, 0 if none waits.
func (p *parser) due() session.Timestamp {
	w, _, _ := p.oldest()
	if w == nil {
		return 0
	}
	return w.first.Add(p.shared.config.UnansweredAfter)
}

// Wake implements session.Waker: it reports the transactions that are due, each
// at its own deadline.
func (p *parser) Wake(out *session.Output) error {
	p.armed = 0
	for p.n() != 0 && p.due() <= out.Now() {
		p.expire(out, p.due(), false)
	}
	p.arm(out)
	return nil
}

// Close implements session.Closer: it reports the transactions that are left.
func (p *parser) Close(reason session.Reason, out *session.Output) {
	cutOff := reason == session.EndOfInput || reason == session.Shutdown
	for p.n() != 0 {
		if due := p.due(); due <= out.Now() {
			p.expire(out, due, false)
		} else {
			p.expire(out, out.Now(), cutOff)
		}
	}
}

// expire ends the oldest transaction and reports it as unanswered, at the given
// time and from the copy that was kept of its query.
func (p *parser) expire(out *session.Output, at session.Timestamp, cutOff bool) {
	oldest, raw, slot := p.oldest()
	w := *oldest
	p.remove(slot)
	if w.answered {
		return
	}
	s := &p.shared.scratch.expired
	s.mdns = p.shared.mdns
	u := &s.unanswered
	s.decode(raw, &u.Message)
	u.Size = int(w.size)
	u.Retries, u.CutOff = w.retries, cutOff
	out.EmitWith(session.Emission{Message: u, Side: w.side, Time: at, Start: w.first, Truncated: w.cut || s.cut})
}
