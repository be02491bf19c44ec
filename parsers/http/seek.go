package http

import (
	"bytes"

	"flowscope/session"
)

// seek looks for a message at a line's start.
func (p *parser) seek(s *stream, data []byte, out *session.Output) []byte {
	if data[0] == 0 { // the octet of a TCP keep-alive, before the first byte seen
		return data[1:]
	}
	switch begins(data, true) {
	case session.Match:
		s.state = between
		return data
	case session.More:
		s.state, s.start = seekingLine, out.Now()
		s.kept = p.shared.keeper.get()
		return data
	default:
		s.state = seekingEnd
		return data
	}
}

// seekInLine judges a line that comes in pieces.
func (p *parser) seekInLine(side session.Side, s *stream, data []byte, out *session.Output) []byte {
	k := s.kept
	piece := data
	if nl := bytes.IndexByte(data, '\n'); nl >= 0 {
		piece = data[:nl+1]
	}
	n := p.shared.keeper.grow(k, &k.buf, piece, maxJudged)
	rest := data[n:]
	v := session.No
	if n > 0 {
		v = begins(k.buf, true)
	}
	switch {
	case v == session.Match:
		s.state, s.lines = inHead, lines{}
		s.lines.scan(k.buf)
		s.first = k.buf[len(k.buf)-1] != '\n'
	case v == session.No || n < len(piece):
		p.again(side, s, 0, seekingEnd, out)
	}
	return rest
}

// seekLine goes to the next line, or to a response that begins within this one:
// few bodies end in a line feed.
func (p *parser) seekLine(side session.Side, s *stream, data []byte, out *session.Output) []byte {
	if s.kept != nil {
		return p.seekHere(side, s, data, out)
	}
	nl := bytes.IndexByte(data, '\n')
	line := data
	if nl >= 0 {
		line = data[:nl]
	}
	switch at, v := foundInLine(line, data); {
	case v == session.Match:
		s.state = between
		return data[at:]
	case v == session.More:
		s.start = out.Now()
		s.kept = p.shared.keeper.get()
		return p.seekHere(side, s, data[at:], out)
	case nl < 0:
		return nil
	}
	s.state = seeking
	return data[nl+1:]
}

// seekHere judges a response within a line that comes in pieces.
func (p *parser) seekHere(side session.Side, s *stream, data []byte, out *session.Output) []byte {
	k := s.kept
	before := len(k.buf)
	n := p.shared.keeper.grow(k, &k.buf, data, maxInLine)
	v, end := beginsInLine(k.buf)
	switch {
	case v == session.Match:
		k.buf = k.buf[:end]
		s.state, s.first, s.lines = inHead, false, lines{}
		s.lines.scan(k.buf)
		return data[end-before:]
	case v == session.More && n == len(data):
		return nil
	case len(k.buf) == 0: // no memory for a single byte
		n = 1
	}
	p.again(side, s, 1, seekingEnd, out)
	return data[n:]
}

// again seeks in what was kept, from a place on.
func (p *parser) again(side session.Side, s *stream, from int, how state, out *session.Output) {
	k := s.kept
	s.kept, s.state = nil, how
	for b := k.buf[min(from, len(k.buf)):]; len(b) > 0 && !p.done; {
		b = p.step(side, s, b, out)
	}
	p.shared.keeper.put(k)
}
