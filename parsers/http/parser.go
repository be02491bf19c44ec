package http

import (
	"bytes"

	"flowscope/session"
)

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

// dropInterims forgets the interim responses of a side.
func (p *parser) dropInterims(s *stream) {
	p.shared.keeper.held -= s.interimBytes
	s.interims, s.interimBytes, s.cutInterims = nil, 0, false
}

// settle brings what all parsers hold up to date after the queue has changed.
func (p *parser) settle() {
	p.shared.keeper.held += p.queue.bytes - p.queueHeld
	p.queueHeld = p.queue.bytes
}

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
			p.interim(s, h, base, spans, out)
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

// interim keeps a 1xx response until the final one comes.
func (p *parser) interim(s *stream, h *head, base []byte, spans []span, _ *session.Output) {
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
