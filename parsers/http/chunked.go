package http

import (
	"bytes"

	"flowscope/session"
)

// maxDigits is how many digits a chunk's size may have; no body is as long.
const maxDigits = 15

// chunkSize reads the digits of a chunk's size (RFC 9112 section 7.1).
func (p *parser) chunkSize(side session.Side, s *stream, data []byte, out *session.Output) []byte {
	for i, c := range data {
		v := hexValue(c)
		switch {
		case v < 16 && s.digits < maxDigits:
			s.remaining = s.remaining<<4 | uint64(v)
			s.digits++
		case v < 16:
			return p.chunkFault(side, s, data[i:], "a chunk size with too many digits; skipped until a line that begins a message", out)
		case s.digits == 0:
			return p.chunkFault(side, s, data[i:], "a chunk size that is no number; skipped until a line that begins a message", out)
		case c == ';' || c == '\r' || c == '\n' || c == ' ' || c == '\t':
			s.state, s.cr = inChunkLine, false
			return data[i:]
		default:
			return p.chunkFault(side, s, data[i:], "a chunk size that is no number; skipped until a line that begins a message", out)
		}
	}
	return nil
}

func hexValue(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10
	default:
		return 16
	}
}

// chunkLine skips the extensions of a chunk (RFC 9112 section 7.1.1).
func (p *parser) chunkLine(_ session.Side, s *stream, data []byte, out *session.Output) []byte {
	nl := bytes.IndexByte(data, '\n')
	if nl < 0 {
		s.cr = data[len(data)-1] == '\r'
		return nil
	}
	if nl > 0 {
		s.cr = data[nl-1] == '\r'
	}
	if !s.cr {
		out.Anomaly(&bareLineFeed, "after a chunk size")
	}
	if s.remaining == 0 {
		s.state, s.lines = inTrailers, lines{}
	} else {
		s.state = inChunk
	}
	return data[nl+1:]
}

// chunkEnd reads the line end after a chunk's data.
func (p *parser) chunkEnd(side session.Side, s *stream, data []byte, out *session.Output) []byte {
	switch {
	case data[0] == '\r' && !s.cr:
		s.cr = true
		return data[1:]
	case data[0] == '\n':
		if !s.cr {
			out.Anomaly(&bareLineFeed, "after a chunk")
		}
		s.state, s.remaining, s.digits = inChunkSize, 0, 0
		return data[1:]
	default:
		return p.chunkFault(side, s, data, "a chunk longer than its size; skipped until a line that begins a message", out)
	}
}

// chunkFault gives a body up: what follows can be read in many ways.
func (p *parser) chunkFault(side session.Side, s *stream, data []byte, what string, out *session.Output) []byte {
	out.Anomaly(&badChunk, what)
	p.end(side, s, true, out)
	if !p.done {
		s.state = seekingEnd
	}
	return data
}

// trailers collects the fields after the last chunk (RFC 9112 section 7.1.2).
func (p *parser) trailers(side session.Side, s *stream, data []byte, out *session.Output) []byte {
	k := s.kept
	end := s.lines.scan(data)
	piece := data
	if end >= 0 {
		piece = data[:end]
	}
	if end == len(piece) && len(k.tail) == 0 && end > 0 && end <= 2 {
		p.end(side, s, false, out) // the common case: none
		return data[end:]
	}
	if n := p.shared.keeper.grow(k, &k.tail, piece, p.shared.config.MaxHeadBytes); n < len(piece) && k.head.flaws&flawLong == 0 {
		k.head.flaws |= flawLong
		k.head.cut = true
		out.Anomaly(&longHead, trailersText(k.head.response))
	}
	if end < 0 {
		return nil
	}
	p.end(side, s, false, out)
	return data[end:]
}

// readTrailers reads the trailers that were kept, and reports their flaws.
func (p *parser) readTrailers(m *message, out *session.Output) []Header {
	sc := p.shared.scratch
	d := &sc.trailers
	d.head, d.base, d.spans, d.last = head{}, m.kept.tail, d.spans[:0], nil
	d.fields(0, true, true, 0)
	// A length that comes after the body is no length (RFC 9112 section 6.5.1).
	if f := d.head.flaws &^ flawLong; f != 0 {
		f.report(trailersText(m.head.response), out)
	}
	sc.trailing = headers(sc.trailing, d.base, d.spans, p.shared.hidden, d.head.flaws&flawBareCR != 0)
	return sc.trailing
}
