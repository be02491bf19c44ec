package http

import "flowscope/session"

// state is where a side is.
type state uint8

const (
	between     state = iota // a message may begin
	inHead                   // kept.buf holds the head so far
	inLongHead               // its rest is read for the framing alone
	inBody                   // remaining bytes are to come
	inChunkSize              // the digits of a chunk's size
	inChunkLine              // what follows them on their line
	inChunk                  // remaining bytes of the chunk are to come
	afterChunk               // the line end after them
	inTrailers               // kept.tail holds the trailers so far
	inRest                   // a body until the connection closes
	seeking                  // for a message, at a line's start
	seekingLine              // the same, kept.buf holds a line's beginning
	seekingEnd               // the same, in the middle of a line; kept.buf holds what may be a response there
)

// stream is the state of one side.
type stream struct {
	start     session.Timestamp // first byte of the message at hand
	remaining uint64
	size      uint64 // of the body so far
	missing   uint64
	kept      *kept
	interims  []interim
	lines     lines
	depth     uint32
	state     state
	digits    uint8 // of a chunk size
	cr        bool  // the last byte of a chunk's line was a carriage return
	first     bool  // kept.buf holds no complete line yet
	lost      bool  // bytes were missed before what is sought

	cutInterims  bool // there were more than those in interims
	interimBytes int
}

// parser is the state of one connection.
type parser struct {
	shared  *protocol
	streams [2]stream
	queue   queue
	// queueHeld is how much of the queue the worker's keeper has counted.
	queueHeld int
	done      bool
}

var (
	_ session.SessionParser = (*parser)(nil)
	_ session.GapHandler    = (*parser)(nil)
	_ session.FinHandler    = (*parser)(nil)
	_ session.RstHandler    = (*parser)(nil)
	_ session.Closer        = (*parser)(nil)
	_ session.Resetter      = (*parser)(nil)
)

func newParser(p *protocol) *parser { return &parser{shared: p} }

// Reset implements session.Resetter.
func (p *parser) Reset() {
	for i := range p.streams {
		p.release(&p.streams[i])
		p.dropInterims(&p.streams[i])
		p.streams[i] = stream{}
	}
	p.queue.reset()
	p.settle()
	p.done = false
}

// FeedInitiator implements session.SessionParser.
func (p *parser) FeedInitiator(data []byte, out *session.Output) (int, error) {
	return p.feed(session.Initiator, data, out)
}

// FeedResponder implements session.SessionParser.
func (p *parser) FeedResponder(data []byte, out *session.Output) (int, error) {
	return p.feed(session.Responder, data, out)
}

// feed consumes all it is given, but for what follows the end of the protocol.
func (p *parser) feed(side session.Side, data []byte, out *session.Output) (int, error) {
	s := &p.streams[side]
	total := len(data)
	for len(data) > 0 && !p.done {
		data = p.step(side, s, data, out)
	}
	if p.done {
		return total - len(data), session.ErrDone
	}
	return total, nil
}

// step consumes some of data and returns the rest.
func (p *parser) step(side session.Side, s *stream, data []byte, out *session.Output) []byte {
	switch s.state {
	case inBody:
		n := min(uint64(len(data)), s.remaining)
		p.body(s, data[:n])
		if s.remaining -= n; s.remaining == 0 {
			p.end(side, s, false, out)
		}
		return data[n:]
	case inChunk:
		n := min(uint64(len(data)), s.remaining)
		p.body(s, data[:n])
		if s.remaining -= n; s.remaining == 0 {
			s.state, s.cr = afterChunk, false
		}
		return data[n:]
	case inRest:
		p.body(s, data)
		return nil
	case between:
		return p.begin(side, s, data, out)
	case inHead:
		return p.moreHead(side, s, data, out)
	case inLongHead:
		return p.longHead(side, s, data, out)
	case inChunkSize:
		return p.chunkSize(side, s, data, out)
	case inChunkLine:
		return p.chunkLine(side, s, data, out)
	case afterChunk:
		return p.chunkEnd(side, s, data, out)
	case inTrailers:
		return p.trailers(side, s, data, out)
	case seeking:
		return p.seek(s, data, out)
	case seekingLine:
		return p.seekInLine(side, s, data, out)
	default: // seekingEnd
		return p.seekLine(side, s, data, out)
	}
}

// body counts body bytes, and keeps them if they are wanted.
func (p *parser) body(s *stream, data []byte) {
	s.size += uint64(len(data))
	if most := p.shared.config.BodyBytes; most > 0 && !s.kept.cutBody {
		p.shared.keeper.grow(s.kept, &s.kept.body, data, most)
	}
}

// release gives back what the side has borrowed.
func (p *parser) release(s *stream) {
	if s.kept != nil {
		p.shared.keeper.put(s.kept)
		s.kept = nil
	}
}

// settle brings what all parsers hold up to date after the queue has changed.
func (p *parser) settle() {
	p.shared.keeper.held += p.queue.bytes - p.queueHeld
	p.queueHeld = p.queue.bytes
}
