package http

import "flowscope/session"

// headed deals with a complete head: what follows it is rest.
func (p *parser) headed(side session.Side, s *stream, h *head, base []byte, spans []span, rest []byte, out *session.Output) []byte {
	s.size, s.missing, s.remaining = 0, 0, 0
	if s.lost {
		s.lost = false
		p.queue.missed(h.response)
	}
	if h.flaws != 0 {
		h.flaws.report(headText(h.response), out)
	}
	var asked *waiting
	class := ordinary
	if h.response {
		if h.status < 200 && h.status != 101 {
			p.interim(s, h, base, spans)
			return rest
		}
		if asked = p.take(side); asked != nil {
			class = asked.class
			s.depth = asked.depth
		} else {
			s.depth++
		}
	} else {
		s.depth++
		p.ask(side, s, h, base, spans)
	}
	f, doubt := h.frame(class)
	if doubt != "" {
		out.Anomaly(&ambiguousLength, doubt)
	}
	m := message{h, base, spans, s.kept, asked}
	if f == byLength && h.lengths.length <= uint64(len(rest)) && (p.shared.config.BodyBytes == 0 || h.lengths.length == 0) {
		f = noBody
		s.size = h.lengths.length
		rest = rest[s.size:]
	}
	if f == noBody {
		p.emit(side, s, &m, false, out)
		p.release(s)
		s.state = between
		p.turn(side, s, h, class, out)
		return rest
	}
	p.hold(s, &m)
	s.remaining = h.lengths.length
	switch f {
	case byLength:
		s.state = inBody
	case chunked:
		s.state, s.remaining, s.digits = inChunkSize, 0, 0
	default:
		s.state = inRest
	}
	return rest
}

// headText and trailersText say where a flaw was seen.
func headText(response bool) string {
	if response {
		return "head of a response"
	}
	return "head of a request"
}

func trailersText(response bool) string {
	if response {
		return "trailers of a response"
	}
	return "trailers of a request"
}

// message is a head with all that belongs to it.
type message struct {
	head  *head
	base  []byte
	spans []span
	kept  *kept // nil if nothing had to be kept
	asked *waiting
}

// hold keeps a message until its body has ended.
func (p *parser) hold(s *stream, m *message) {
	keeper := p.shared.keeper
	fresh := s.kept == nil
	if fresh {
		s.kept = keeper.get()
	}
	k := s.kept
	k.head = *m.head
	size := usedOf(m)
	switch {
	case fresh:
		if n := keeper.grow(k, &k.buf, m.base[:size], size); n < size { // no memory for it
			k.buf = k.buf[:0]
			k.head.forget()
			m.spans = nil
		}
	case &m.base[0] != &k.buf[0]:
		k.buf = append(k.buf[:0], m.base[:size]...)
	}
	if n := len(m.spans); n > 0 && (len(k.spans) == 0 || &k.spans[0] != &m.spans[0]) {
		k.spans = append(k.spans[:0], m.spans...)
		k.counted += spanSize * n
		keeper.held += spanSize * n
	}
	if m.asked != nil {
		k.asked, *m.asked = *m.asked, k.asked // exchange, so that no memory is lost
		k.isAsked = true
	}
}

// usedOf is how much of the bytes of a head its places are in.
func usedOf(m *message) int {
	used := max(m.head.version.to, m.head.reason.to, m.head.target.to)
	if n := len(m.spans); n > 0 {
		used = max(used, m.spans[n-1].valueEnd, m.spans[n-1].nameEnd)
	}
	return int(used)
}

// forget leaves of a head what needs none of its bytes.
func (h *head) forget() {
	h.method, h.target, h.version, h.reason = place{}, place{}, place{}, place{}
	h.first = [numPublished]uint16{}
	h.cut = true
}

// ask puts a request into the queue.
func (p *parser) ask(side session.Side, s *stream, h *head, base []byte, spans []span) {
	q := &p.queue
	if q.n()+int(q.unnamed) > 0 && !p.streams[side.Opposite()].lost {
		q.pipelined = true
	}
	w := q.add(p.shared.config.MaxPending)
	if w == nil {
		return
	}
	w.start, w.depth, w.side, w.class, w.ascii = s.start, s.depth, side, h.class, h.ascii
	room := min(maxKeptAll-q.bytes, p.shared.keeper.max-p.shared.keeper.held)
	q.keep(w, room, h.method.of(base), h.target.of(base), valueOf(h, base, spans, hostField))
	p.settle()
}

// take returns the request that a response of this side belongs to, or nil.
func (p *parser) take(side session.Side) *waiting {
	w := p.queue.take(side)
	p.settle()
	return w
}

// valueOf returns the first field of a kind, nil if there is none.
func valueOf(h *head, base []byte, spans []span, kind fieldKind) []byte {
	n := h.first[kind]
	if n == 0 {
		return nil
	}
	return base[spans[n-1].value:spans[n-1].valueEnd]
}

// turn ends the protocol where another one takes over (RFC 9110 sections 9.3.6
// and 7.8). What a client sends after CONNECT before the response is seen may be
// anything; if the response is a refusal, it goes on with another request.
func (p *parser) turn(side session.Side, s *stream, h *head, class methodClass, out *session.Output) {
	switch {
	case !h.response && h.class == connectMethod:
		s.state = seeking
	case h.response && (h.status == 101 || class == connectMethod && h.status < 300):
		p.flush(side.Opposite(), out)
		p.done = true
	}
}

// end ends the message at hand.
func (p *parser) end(side session.Side, s *stream, truncated bool, out *session.Output) {
	k := s.kept
	m := message{head: &k.head, base: k.buf, spans: k.spans, kept: k}
	if k.isAsked {
		m.asked = &k.asked
	}
	p.emit(side, s, &m, truncated, out)
	h, class := k.head, ordinary
	if m.asked != nil {
		class = m.asked.class
	}
	p.release(s)
	s.state = between
	p.turn(side, s, &h, class, out)
}
