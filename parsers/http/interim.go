package http

import "flowscope/session"

// interim is a 1xx response that waits for the final one.
type interim struct {
	start session.Timestamp
	head  head
	base  []byte
	spans []span
}

// maxInterimBytes bounds those of one response; interimSize is what one takes
// beside its bytes.
const (
	maxInterimBytes = 16 << 10
	interimSize     = 256
)

// interim keeps a 1xx response until the final one comes.
func (p *parser) interim(s *stream, h *head, base []byte, spans []span) {
	size := usedOf(&message{head: h, base: base, spans: spans})
	cost := interimSize + size + spanSize*len(spans)
	keeper := p.shared.keeper
	if s.interimBytes+cost <= maxInterimBytes && keeper.held+cost <= keeper.max {
		keeper.held += cost
		s.interimBytes += cost
		s.interims = append(s.interims, interim{
			start: s.start, head: *h,
			base:  append([]byte(nil), base[:size]...),
			spans: append([]span(nil), spans...),
		})
	} else {
		s.cutInterims = true
	}
	p.release(s)
	s.state = between
}

// flushInterims emits the last interim response of a side, with those before it,
// if no final one came.
func (p *parser) flushInterims(side session.Side, out *session.Output) {
	s := &p.streams[side]
	if len(s.interims) == 0 {
		return
	}
	last := s.interims[len(s.interims)-1]
	s.interims = s.interims[:len(s.interims)-1]
	s.start, s.size, s.missing = last.start, 0, 0
	m := message{head: &last.head, base: last.base, spans: last.spans}
	if m.asked = p.take(side); m.asked != nil {
		s.depth = m.asked.depth
	} else {
		s.depth++
	}
	p.emit(side, s, &m, true, out)
	p.dropInterims(s)
}

// dropInterims forgets the interim responses of a side.
func (p *parser) dropInterims(s *stream) {
	p.shared.keeper.held -= s.interimBytes
	s.interims, s.interimBytes, s.cutInterims = nil, 0, false
}
