package syslog

import (
	"bytes"

	"flowscope/session"
)

// datagrams parses one message per datagram (RFC 5426 section 3.1).
type datagrams struct{ scratch *scratch }

var (
	_ session.DatagramParser = (*datagrams)(nil)
	_ session.Resetter       = (*datagrams)(nil)
)

// Reset implements session.Resetter.
func (*datagrams) Reset() {}

// Parse implements session.DatagramParser. It always returns nil.
func (p *datagrams) Parse(payload []byte, side session.Side, out *session.Output) error {
	if len(payload) > 0 {
		p.scratch.emit(payload, side, 0, out.Truncated(), out)
	}
	return nil
}

// emit reads one message and sends it on.
func (s *scratch) emit(b []byte, side session.Side, start session.Timestamp, truncated bool, out *session.Output) {
	s.decode(b)
	if s.problem != "" && !truncated {
		out.Anomaly(&malformed, s.problem)
	}
	out.EmitWith(session.Emission{Message: &s.message, Side: side, Start: start, Truncated: truncated || s.cut})
}

// maxMessage is how much of a message of a stream is read, in bytes; RFC 5424
// section 6.1 asks for 2 KiB.
const maxMessage = 32 << 10

// maxDigits is how long a length may be, in digits.
const maxDigits = 9

// stream parses messages one after another (RFC 6587 section 3.4).
type stream struct {
	scratch *scratch
	sides   [2]half
}

// half is the state of one side.
type half struct {
	start session.Timestamp // when the message at hand began, 0 between messages
	skip  int               // octets left of a message that is not read to its end
	lost  bool              // looking for the beginning of a message
	line  bool              // skipping to the end of a line
	// frame is the length of the counted frame at hand with its head, 0 if it
	// is not known; have is how much of it was seen.
	frame, have int
}

var (
	_ session.SessionParser = (*stream)(nil)
	_ session.GapHandler    = (*stream)(nil)
	_ session.FinHandler    = (*stream)(nil)
	_ session.RstHandler    = (*stream)(nil)
	_ session.Resetter      = (*stream)(nil)
)

// Reset implements session.Resetter.
func (p *stream) Reset() { p.sides = [2]half{} }

// FeedInitiator implements session.SessionParser.
func (p *stream) FeedInitiator(data []byte, out *session.Output) (int, error) {
	return p.feed(session.Initiator, data, out), nil
}

// FeedResponder implements session.SessionParser.
func (p *stream) FeedResponder(data []byte, out *session.Output) (int, error) {
	return p.feed(session.Responder, data, out), nil
}

func (p *stream) feed(side session.Side, data []byte, out *session.Output) (used int) {
	h := &p.sides[side]
	for used < len(data) {
		n := p.step(h, side, data[used:], out)
		if n == 0 {
			break
		}
		used += n
	}
	h.have = len(data) - used
	return used
}

// step deals with what stands at the front of data and returns its length, 0 if
// there must be more to tell.
func (p *stream) step(h *half, side session.Side, data []byte, out *session.Output) int {
	switch {
	case h.skip > 0:
		n := min(h.skip, len(data))
		h.skip -= n
		return n
	case h.line:
		n := bytes.IndexByte(data, '\n') + 1
		if h.line = n == 0; h.line {
			return len(data)
		}
		return n
	case h.lost:
		start, found := nextMessage(data)
		h.lost = !found
		if found && start == 0 {
			return p.step(h, side, data, out)
		}
		return start
	}
	if data[0] == '\n' || data[0] == '\r' || data[0] == 0 {
		return 1
	}
	if h.start == 0 {
		h.start = out.Now()
	}
	head, size, more := count(data)
	switch {
	case more:
		return 0
	case head > 0:
		return p.counted(h, side, data, head, size, out)
	default:
		return p.lined(h, side, data, out)
	}
}

// counted reads a message whose length stands in front (RFC 6587 section 3.4.1).
func (p *stream) counted(h *half, side session.Side, data []byte, head, size int, out *session.Output) int {
	kept := min(size, maxMessage)
	if len(data) < head+kept {
		h.frame = head + size
		return 0
	}
	p.finish(h, side, data[head:head+kept], kept < size, out)
	h.skip = size - kept
	return head + kept
}

// lined reads a message that a line feed ends (RFC 6587 section 3.4.2).
func (p *stream) lined(h *half, side session.Side, data []byte, out *session.Output) int {
	end := bytes.IndexByte(data[:min(len(data), maxMessage+1)], '\n')
	switch {
	case end >= 0:
		p.finish(h, side, data[:end], false, out)
		return end + 1
	case len(data) > maxMessage:
		p.finish(h, side, data[:maxMessage], true, out)
		h.line = true
		return maxMessage
	default:
		return 0
	}
}

func (p *stream) finish(h *half, side session.Side, message []byte, truncated bool, out *session.Output) {
	start := h.start
	if start == out.Now() {
		start = 0
	}
	h.start, h.frame = 0, 0
	if len(message) > 0 {
		p.scratch.emit(message, side, start, truncated, out)
	}
}

// count reads the length in front of a message: its head with the blank, and its
// value. more says that the head may go on; a head of 0 that there is none.
func count(b []byte) (head, size int, more bool) {
	for i, c := range b {
		switch {
		case c >= '1' && c <= '9' || c == '0' && i > 0:
			if i == maxDigits {
				return 0, 0, false
			}
			size = 10*size + int(c-'0')
		case c == ' ' && i > 0:
			if i+1 == len(b) {
				return 0, 0, true
			}
			if b[i+1] != '<' {
				return 0, 0, false
			}
			return i + 1, size, false
		default:
			return 0, 0, false
		}
	}
	return 0, 0, true
}

// nextMessage looks for the beginning of a message: a priority at the beginning
// of a line, or behind a length. It returns where that is, else how much cannot
// be part of one.
func nextMessage(b []byte) (start int, found bool) {
	for i, c := range b {
		if c != '<' || i == 0 {
			continue
		}
		if len(b)-i < 5 {
			break
		}
		if _, n := priority(b[i:]); n == 0 {
			continue
		}
		if b[i-1] == '\n' {
			return i, true
		}
		if b[i-1] == ' ' {
			start := i - 1
			for start > 0 && i-1-start < maxDigits && b[start-1] >= '0' && b[start-1] <= '9' {
				start--
			}
			if start < i-1 && b[start] != '0' {
				return start, true
			}
		}
	}
	return max(0, len(b)-maxDigits-6), false
}

// Gap implements session.GapHandler.
func (p *stream) Gap(side session.Side, n int, _ *session.Output) session.GapAction {
	h := &p.sides[side]
	*h = half{skip: h.skip, line: h.line, frame: h.frame, have: h.have}
	switch {
	case h.skip > 0 && n > 0 && n <= h.skip:
		*h = half{skip: h.skip - n}
	case h.frame > 0 && n > 0 && n <= h.frame-h.have:
		*h = half{skip: h.frame - h.have - n}
	default:
		*h = half{lost: true}
	}
	return session.Continue
}

// Fin implements session.FinHandler: the end of the stream ends a line too.
func (p *stream) Fin(side session.Side, rest []byte, out *session.Output) error {
	p.end(side, rest, false, out)
	return nil
}

// Rst implements session.RstHandler. The bytes at hand are gone.
func (p *stream) Rst(session.Side, *session.Output) {}

func (p *stream) end(side session.Side, rest []byte, cut bool, out *session.Output) {
	h := &p.sides[side]
	if h.lost || h.line || h.skip > 0 || len(rest) == 0 {
		return
	}
	if head, size, more := count(rest); head > 0 {
		rest, cut = rest[head:], len(rest) < head+size
	} else if more {
		cut = true
	}
	p.finish(h, side, rest, cut, out)
}
