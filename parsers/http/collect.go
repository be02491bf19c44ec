package http

import (
	"bytes"

	"flowscope/session"
)

// begin reads a head, if data holds all of it, straight from there.
func (p *parser) begin(side session.Side, s *stream, data []byte, out *session.Output) []byte {
	if data = skipEmpty(data); len(data) == 0 {
		return nil
	}
	s.start = out.Now()
	d := &p.shared.scratch.decoder
	most := p.shared.config.MaxHeadBytes
	piece := data[:min(len(data), most)]
	end, o := d.read(piece, false, false)
	switch {
	case o == headOK:
		return p.headed(side, s, &d.head, d.base, d.spans, data[end:], out)
	case o == headForeign || !mayBegin(piece):
		p.foreign(s, out)
		return data
	}
	s.state, s.first, s.lines = inHead, true, lines{}
	s.kept = p.shared.keeper.get()
	return p.moreHead(side, s, data, out)
}

// mayBegin says whether a piece without the end of its first line may be the
// beginning of one that startLine accepts.
func mayBegin(b []byte) bool {
	if bytes.IndexByte(b, '\n') >= 0 {
		return true // startLine has accepted it
	}
	const http = "HTTP/"
	if n := min(len(b), len(http)); string(b[:n]) == http[:n] {
		return true
	}
	for i, c := range b {
		if c == ' ' {
			return i > 0
		}
		if i >= maxMethod || notToken[c] != 0 {
			return false
		}
	}
	return true
}

// foreign goes to seek where something begins no message.
func (p *parser) foreign(s *stream, out *session.Output) {
	detail := "between messages"
	if s.depth == 0 {
		detail = "before the first message of the side"
	}
	out.Anomaly(&skipped, detail)
	s.state = seeking
}

// moreHead collects a head until it is complete.
func (p *parser) moreHead(side session.Side, s *stream, data []byte, out *session.Output) []byte {
	k, keeper := s.kept, p.shared.keeper
	most := p.shared.config.MaxHeadBytes
	piece := data
	if s.first { // judge the first line before the others are collected
		if nl := bytes.IndexByte(data, '\n'); nl >= 0 {
			piece = data[:nl+1]
		}
	}
	piece = piece[:min(len(piece), most-len(k.buf))]
	at := s.lines
	end := at.scan(piece)
	whole := end >= 0
	if whole {
		piece = piece[:end]
	}
	n := keeper.grow(k, &k.buf, piece, most)
	s.lines = lines{}
	if n == len(piece) {
		s.lines = at
	}
	rest := data[n:]
	d := &p.shared.scratch.decoder
	switch {
	case n < len(piece) || !whole && len(k.buf) == most: // that is all we take
		if _, o := d.read(k.buf, true, true); o != headOK {
			out.Anomaly(&longHead, "not even the first line")
			p.again(side, s, 0, seekingEnd, out)
			return rest
		}
		d.head.flaws |= flawLong
		p.keep(s, d)
		s.state = inLongHead
		k.tail = append(k.tail[:0], k.buf[bytes.LastIndexByte(k.buf, '\n')+1:]...)
		k.tail = k.tail[:min(len(k.tail), maxLine)]
		return rest
	case whole:
		d.read(k.buf, true, false)
		return p.headed(side, s, &d.head, d.base, d.spans, rest, out)
	case !s.first:
		return rest
	case k.buf[len(k.buf)-1] == '\n':
		s.first = false
		d.head = head{}
		stop, _ := lineEnd(k.buf, 0, len(k.buf)-1)
		if !d.startLine(k.buf[:stop], false) {
			p.foreign(s, out)
			p.again(side, s, 0, seeking, out)
		}
		return rest
	case !mayBegin(k.buf):
		p.foreign(s, out)
		p.again(side, s, 0, seeking, out)
		return rest
	default:
		return rest
	}
}

// maxLine is how much of a line is kept of a head that is too long.
const maxLine = 512

// longHead reads the rest of a head that is too long line by line.
func (p *parser) longHead(side session.Side, s *stream, data []byte, out *session.Output) []byte {
	k := s.kept
	nl := bytes.IndexByte(data, '\n')
	piece := data
	if nl >= 0 {
		piece = data[:nl]
	}
	k.tail = append(k.tail, piece[:min(len(piece), maxLine-len(k.tail))]...)
	if nl < 0 {
		return nil
	}
	line := bytes.TrimSuffix(k.tail, carriageReturn)
	k.tail = k.tail[:0]
	if len(line) == 0 {
		h := k.head
		return p.headed(side, s, &h, k.buf, k.spans, data[nl+1:], out)
	}
	if colon := bytes.IndexByte(line, ':'); colon > 0 {
		kind := kindOf(bytes.TrimRight(line[:colon], " \t"))
		if kind == contentLengthField || kind == transferEncodingField {
			k.head.lengths.add(kind, bytes.Trim(line[colon+1:], " \t"))
		}
	}
	return data[nl+1:]
}

// keep copies what was read of a head to the side's own memory.
func (p *parser) keep(s *stream, d *decoder) {
	if s.kept == nil {
		s.kept = p.shared.keeper.get()
	}
	k := s.kept
	k.head = d.head
	k.spans = append(k.spans[:0], d.spans...)
	k.counted += spanSize * len(d.spans)
	p.shared.keeper.held += spanSize * len(d.spans)
}
