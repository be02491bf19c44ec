package dns

import (
	"encoding/binary"

	"flowscope/session"
)

// prefixSize is the length in front of each message of a stream (RFC 1035
// section 4.2.2, RFC 7766 section 8).
const prefixSize = 2

// streamBuffer is what the driver keeps of a side: one message with its prefix.
const streamBuffer = prefixSize + maxMessage

// stream is the state of one TCP flow: messages one after another, pipelined and
// answered in any order (RFC 7766 section 6.2.1). What is said about
// transactions is that of datagrams.
type stream struct {
	parser
	sides [2]half
}

// half is the state of one side.
type half struct {
	start session.Timestamp // when the message at hand began, 0 between messages
	skip  int               // octets left of a message whose beginning is missing
	lost  bool              // looking for the beginning of a message
	frame int               // length of the message at hand with its prefix, 0 if not known
	have  int               // how much of it was seen
}

var (
	_ session.SessionParser = (*stream)(nil)
	_ session.GapHandler    = (*stream)(nil)
	_ session.FinHandler    = (*stream)(nil)
	_ session.Waker         = (*stream)(nil)
	_ session.Closer        = (*stream)(nil)
	_ session.Resetter      = (*stream)(nil)
)

func newStream(p *protocol) *stream {
	s := &stream{parser: parser{shared: p}}
	s.Reset()
	return s
}

// Reset implements session.Resetter. A connection keeps its idle time-out: it
// may rest between queries.
func (s *stream) Reset() {
	s.parser.Reset()
	s.idleSet = true
	s.sides = [2]half{}
}

// FeedInitiator implements session.SessionParser.
func (s *stream) FeedInitiator(data []byte, out *session.Output) (int, error) {
	return s.feed(session.Initiator, data, out), nil
}

// FeedResponder implements session.SessionParser.
func (s *stream) FeedResponder(data []byte, out *session.Output) (int, error) {
	return s.feed(session.Responder, data, out), nil
}

func (s *stream) feed(side session.Side, data []byte, out *session.Output) (used int) {
	h := &s.sides[side]
	for used < len(data) {
		n := s.step(h, side, data[used:], out)
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
func (s *stream) step(h *half, side session.Side, data []byte, out *session.Output) int {
	if h.skip > 0 {
		n := min(h.skip, len(data))
		h.skip -= n
		return n
	}
	if h.lost {
		n, found := findStart(data)
		if !found {
			return n
		}
		if h.lost = false; n > 0 {
			return n
		}
	}
	if h.start == 0 {
		h.start = out.Now()
	}
	h.frame = 0
	if len(data) < prefixSize {
		return 0
	}
	h.frame = prefixSize + int(binary.BigEndian.Uint16(data))
	if len(data) < h.frame {
		return 0
	}
	n := h.frame
	s.message(h, side, data[prefixSize:n], out)
	return n
}

// message parses one message and notes when it began.
func (s *stream) message(h *half, side session.Side, msg []byte, out *session.Output) {
	current := &s.shared.scratch.current
	if h.start != out.Now() {
		current.start = h.start
	}
	h.start, h.frame = 0, 0
	_ = s.Parse(msg, side, out)
	current.start = 0
}

// Gap implements session.GapHandler: the stream goes on where the message at hand
// ends, or else at the next one that can be found.
func (s *stream) Gap(side session.Side, n int, _ *session.Output) session.GapAction {
	h := &s.sides[side]
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

// Fin implements session.FinHandler: of a message that is cut off what can be
// read is published.
func (s *stream) Fin(side session.Side, rest []byte, out *session.Output) error {
	h := &s.sides[side]
	if h.lost || h.skip > 0 || len(rest) == 0 {
		return nil
	}
	out.Anomaly(&malformed, problemEnd)
	if len(rest) > prefixSize+headerSize {
		s.shared.scratch.current.ended = true
		s.message(h, side, rest[prefixSize:], out)
		s.shared.scratch.current.ended = false
	}
	return nil
}

// findStart looks for the beginning of a message in a stream whose framing was
// lost. It returns where that is, else how much cannot be part of one.
func findStart(data []byte) (int, bool) {
	for i := range data {
		switch startsMessage(data[i:]) {
		case session.Match:
			return i, true
		case session.More:
			return i, false
		}
	}
	return len(data), false
}

// startsMessage says whether data begins with the prefix of an ordinary message:
// one question of a known type and class, and flags and counts that fit.
func startsMessage(data []byte) session.Verdict {
	if len(data) < prefixSize+headerSize {
		if len(data) > 0 && data[0] != 0 && len(data) > 4 && !ordinaryFlags(data[prefixSize:]) {
			return session.No
		}
		return session.More
	}
	size, b := int(binary.BigEndian.Uint16(data)), data[prefixSize:]
	if size < headerSize+5 || !ordinaryFlags(b) || binary.BigEndian.Uint16(b[4:]) != 1 {
		return session.No
	}
	records := 0
	for i := 6; i < headerSize; i += 2 {
		records += int(binary.BigEndian.Uint16(b[i:]))
	}
	if headerSize+5+records*minRecord > size {
		return session.No
	}
	b = b[:min(len(b), size)]
	off := headerSize
	for off < len(b) && b[off] != 0 {
		if b[off] > 63 || off-headerSize >= maxName {
			return session.No
		}
		off += 1 + int(b[off])
	}
	switch off++; {
	case off+4 > size:
		return session.No
	case off+4 > len(b):
		return session.More
	case knownType(binary.BigEndian.Uint16(b[off:])) && knownClass(binary.BigEndian.Uint16(b[off+2:])):
		return session.Match
	default:
		return session.No
	}
}

// ordinaryFlags judges the two octets after the id, of which the first may stand
// alone.
func ordinaryFlags(b []byte) bool {
	if len(b) < 3 {
		return true
	}
	if opcode := b[2] >> 3 & 15; opcode != 0 && opcode != opcodeNotify && opcode != opcodeUpdate {
		return false
	}
	if len(b) < 4 {
		return true
	}
	response := b[2]&0x80 != 0
	return b[3]&0x40 == 0 && (response || b[3]&15 == 0 && b[2]&0x02 == 0)
}

// probeStream judges what a stream begins with: on the configured ports a
// plausible header is enough, on others the first message must be flawless.
func (f *Factory) probeStream(s *session.Sample, known bool) session.Verdict {
	data := s.Data
	if s.Side == session.Responder && len(s.Other) > 0 {
		data = s.Other
	}
	if s.Midstream {
		if !known {
			return session.No
		}
		if _, found := findStart(data); found {
			return session.Match
		}
		return session.More
	}
	if len(data) < prefixSize {
		return session.More
	}
	size := int(binary.BigEndian.Uint16(data))
	switch {
	case size < headerSize:
		return session.No
	case known && len(data) < prefixSize+headerSize:
		return session.More
	case known:
		return verdict(plausibleHeader(data[prefixSize:prefixSize+headerSize], size))
	}
	v := startsMessage(data)
	if v == session.Match {
		if len(data) < prefixSize+size {
			return session.More
		}
		return verdict(flawless(data[prefixSize : prefixSize+size]))
	}
	return v
}

// plausibleHeader is plausible for a message of so many octets of which only the
// header is there.
func plausibleHeader(h []byte, size int) bool {
	opcode := h[2] >> 3 & 15
	questions := int(binary.BigEndian.Uint16(h[4:]))
	records := 0
	for i := 6; i < headerSize; i += 2 {
		records += int(binary.BigEndian.Uint16(h[i:]))
	}
	return opcode != 3 && opcode <= opcodeDSO && questions <= maxQuestions && headerSize+5*questions+records*minRecord <= size
}
