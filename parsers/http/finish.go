package http

import (
	"bytes"

	"flowscope/session"
)

// Gap implements session.GapHandler.
func (p *parser) Gap(side session.Side, n int, out *session.Output) session.GapAction {
	s := &p.streams[side]
	gap := uint64(max(n, 0))
	switch {
	case s.state == inRest:
		p.miss(s, gap)
		return session.Continue
	case (s.state == inBody || s.state == inChunk) && gap > 0 && gap <= s.remaining:
		p.miss(s, gap)
		if s.remaining -= gap; s.remaining > 0 {
			return session.Continue
		}
		if s.state == inChunk {
			s.state, s.cr = afterChunk, false
			return session.Continue
		}
		p.end(side, s, false, out)
		return session.Continue
	case s.state == inBody:
		p.miss(s, min(gap, s.remaining))
	}
	p.flush(side, out)
	s.state, s.lost = seeking, true
	return session.Continue
}

// miss counts body bytes that were not seen.
func (p *parser) miss(s *stream, n uint64) {
	s.size += n
	s.missing += n
	s.kept.cutBody = true
}

// flush emits what is in flight on a side, as truncated.
func (p *parser) flush(side session.Side, out *session.Output) {
	s := &p.streams[side]
	switch s.state {
	case inHead:
		d := &p.shared.scratch.decoder
		if _, o := d.read(s.kept.buf, true, true); o == headOK {
			p.flushHead(side, s, d, out)
		}
	case inLongHead:
		d := &p.shared.scratch.decoder
		d.head, d.base, d.spans = s.kept.head, s.kept.buf, append(d.spans[:0], s.kept.spans...)
		p.flushHead(side, s, d, out)
	case inBody, inChunkSize, inChunkLine, inChunk, afterChunk, inTrailers, inRest:
		p.end(side, s, true, out)
	}
	p.release(s)
	s.state = between
}

// flushHead emits a message whose head has no end.
func (p *parser) flushHead(side session.Side, s *stream, d *decoder, out *session.Output) {
	d.head.cut = true
	d.head.lengths = lengths{}
	s.size, s.missing = 0, 0
	if s.lost {
		s.lost = false
		p.queue.missed(d.head.response)
	}
	if d.head.flaws != 0 {
		d.head.flaws.report(headText(d.head.response), out)
	}
	m := message{head: &d.head, base: d.base, spans: d.spans}
	if !d.head.response {
		s.depth++
		p.ask(side, s, &d.head, d.base, d.spans)
	} else if m.asked = p.take(side); m.asked != nil {
		s.depth = m.asked.depth
	} else {
		s.depth++
	}
	p.emit(side, s, &m, true, out)
}

// Fin implements session.FinHandler: the end of a side is the end of a body that
// has no other.
func (p *parser) Fin(side session.Side, _ []byte, out *session.Output) error {
	s := &p.streams[side]
	if s.state == inRest {
		p.end(side, s, false, out)
		return nil
	}
	p.flush(side, out)
	return nil
}

// Rst implements session.RstHandler.
func (p *parser) Rst(_ session.Side, out *session.Output) { p.flushAll(out) }

// Close implements session.Closer.
func (p *parser) Close(_ session.Reason, out *session.Output) { p.flushAll(out) }

// flushAll emits what is in flight, requests first.
func (p *parser) flushAll(out *session.Output) {
	first := session.Initiator
	if p.asks(session.Responder) {
		first = session.Responder
	}
	for _, side := range [...]session.Side{first, first.Opposite()} {
		p.flush(side, out)
		p.flushInterims(side, out)
	}
}

// asks says whether the message in flight on a side is a request.
func (p *parser) asks(side session.Side) bool {
	k := p.streams[side].kept
	return k != nil && len(k.buf) > 0 && !bytes.HasPrefix(k.buf, []byte("HTTP/"))
}
