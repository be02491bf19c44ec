package http

import (
	"bytes"

	"flowscope/session"
)

// seek looks for a message at a line's start.
func (p *parser) seek(s *stream, data []byte, out *session.Output) []byte {
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
func (p *parser) seekInLine(s *stream, data []byte, _ *session.Output) []byte {
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
	switch v {
	case session.Match:
		s.state, s.lines = inHead, lines{}
		s.lines.scan(k.buf)
		s.first = k.buf[len(k.buf)-1] != '\n'
		return rest
	case session.More:
		if n < len(piece) {
			break
		}
		return rest
	}
	s.state = seekingEnd
	if n > 0 && k.buf[len(k.buf)-1] == '\n' {
		s.state = seeking
	}
	p.release(s)
	return rest
}

// seekLine goes to the next line.
func (p *parser) seekLine(s *stream, data []byte) []byte {
	nl := bytes.IndexByte(data, '\n')
	if nl < 0 {
		return nil
	}
	s.state = seeking
	return data[nl+1:]
}
