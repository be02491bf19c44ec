package sessiontest

import (
	"errors"
	"fmt"
	"time"

	"flowscope/flow"
	"flowscope/ingest"
	"flowscope/session"
)

// Segment is the next piece of one side of a stream.
type Segment struct {
	// Time is its capture time; 0 is one millisecond after the one before.
	Time ingest.Timestamp
	// Side sent it.
	Side flow.Side
	// Gap is how many bytes are missing before Data, -1 if that is not known.
	Gap int
	// Data is never changed. It may be empty where Gap, Fin or Rst are set.
	Data []byte
	// Fin says that the side ends after Data, Rst that it resets the connection
	// then.
	Fin, Rst bool
}

// Stream is what one stream parser gets: the segments of one flow in order.
type Stream struct {
	// Name names the subtest.
	Name string
	// SrcPort and DstPort are the ports of initiator and responder.
	SrcPort, DstPort uint16
	// Midstream says that the beginning was not seen.
	Midstream bool
	Segments  []Segment
}

// Text returns a stream of texts that the sides send in turn, the initiator
// first.
func Text(name string, texts ...string) Stream {
	s := Stream{Name: name}
	for i, t := range texts {
		s.Segments = append(s.Segments, Segment{Side: flow.Side(i % 2), Data: []byte(t)})
	}
	return s
}

// The ends of a parser that are no error of its own.
var (
	// ErrGap ends a parser that stopped at a gap.
	ErrGap = errors.New("parser stopped at a gap")
	// ErrOverflow ends a parser that left more bytes unread than its protocol
	// says.
	ErrOverflow = errors.New("parser left more bytes unread than its Protocol.Buffer")
)

// defaultBuffer is what Protocol.Buffer 0 stands for.
const defaultBuffer = 64 << 10

// StreamRun feeds segments to one parser as the driver does: wake-ups that are
// due come first, at their own time; what the parser does not consume is
// presented again with what follows; after a gap it is dropped; a side that was
// stopped is not fed.
type StreamRun struct {
	Recorder
	// Ended is nil while the parser runs, then the error that it has returned,
	// ErrGap or ErrOverflow.
	Ended error
	// Calls counts the calls that gave bytes to the parser.
	Calls int

	parser  session.SessionParser
	out     *session.Output
	due     *ingest.Timestamp
	limit   int
	now     ingest.Timestamp
	rest    [2][]byte
	stopped [2]bool // by a gap
	ended   [2]bool // by FIN
	fed     [2]bool // the side has begun
	reset   bool    // by RST
	midst   bool
	scratch []byte
}

// NewStreamRun returns a run with a fresh parser.
func NewStreamRun(f session.SessionParserFactory) *StreamRun {
	r := newStreamRun(f)
	r.out, r.due = session.NewOutput(&r.Recorder), &r.Recorder.Due
	return r
}

func newStreamRun(f session.SessionParserFactory) *StreamRun {
	r := &StreamRun{parser: f.NewSessionParser(), now: base, limit: f.Protocol().Buffer}
	if r.limit == 0 {
		r.limit = defaultBuffer
	}
	return r
}

// Play feeds a whole stream and returns what ended the parser, nil if it still
// runs.
func (r *StreamRun) Play(s Stream) error {
	r.midst = s.Midstream
	for i := range s.Segments {
		if r.Feed(s.Segments[i]) != nil {
			break
		}
	}
	return r.Ended
}

// Feed hands one segment to the parser and returns what has ended it, nil if it
// still runs. The bytes are scribbled over once the parser has returned.
func (r *StreamRun) Feed(s Segment) error {
	at := s.Time
	if at == 0 {
		at = r.now.Add(time.Millisecond)
	}
	if r.AdvanceTo(at) != nil || r.reset {
		return r.Ended
	}
	first := !r.fed[s.Side]
	r.fed[s.Side] = true
	switch {
	case s.Gap != 0:
		r.gap(at, s.Side, max(s.Gap, 0))
	case first && r.midst:
		r.gap(at, s.Side, 0)
	}
	r.data(at, s.Side, s.Data)
	if s.Fin {
		r.fin(at, s.Side)
	}
	if s.Rst {
		r.rst(at, s.Side)
	}
	return r.Ended
}

func (r *StreamRun) running(side flow.Side) bool {
	return r.Ended == nil && !r.stopped[side] && !r.ended[side]
}

func (r *StreamRun) data(at ingest.Timestamp, side flow.Side, data []byte) {
	if !r.running(side) || len(data) == 0 {
		return
	}
	r.scratch = append(append(r.scratch[:0], r.rest[side]...), data...)
	n := len(r.scratch)
	feed := r.parser.FeedInitiator
	if side == flow.Responder {
		feed = r.parser.FeedResponder
	}
	r.out.Begin(at, side, false)
	r.Calls++
	consumed, err := feed(r.scratch[:n:n], r.out)
	switch {
	case consumed < 0 || consumed > n:
		r.Ended = fmt.Errorf("parser says that it has consumed %d of %d bytes", consumed, n)
	case err != nil:
		r.Ended = err
	case n-consumed > r.limit:
		r.Ended = ErrOverflow
	default:
		r.rest[side] = append(r.rest[side][:0], r.scratch[consumed:]...)
	}
	scribble(r.scratch)
}

func scribble(b []byte) {
	for i := range b {
		b[i] = 0xa5
	}
}

func (r *StreamRun) gap(at ingest.Timestamp, side flow.Side, n int) {
	if !r.running(side) {
		return
	}
	scribble(r.rest[side])
	r.rest[side] = r.rest[side][:0]
	action := session.StopSide
	h, ok := r.parser.(session.GapHandler)
	if !ok && n == 0 && r.midst {
		return // it resynchronises without being told
	}
	if ok {
		r.out.Begin(at, side, false)
		action = h.Gap(side, n, r.out)
	}
	switch action {
	case session.Stop:
		r.Ended = ErrGap
	case session.StopSide:
		r.stopped[side] = true
		if r.stopped[side.Opposite()] {
			r.Ended = ErrGap
		}
	case session.Continue:
	}
}

func (r *StreamRun) fin(at ingest.Timestamp, side flow.Side) {
	if !r.running(side) {
		return
	}
	r.ended[side] = true
	if h, ok := r.parser.(session.FinHandler); ok {
		r.scratch = append(r.scratch[:0], r.rest[side]...)
		n := len(r.scratch)
		r.out.Begin(at, side, false)
		r.Ended = h.Fin(side, r.scratch[:n:n], r.out)
		scribble(r.scratch)
	}
	r.rest[side] = r.rest[side][:0]
}

func (r *StreamRun) rst(at ingest.Timestamp, side flow.Side) {
	r.reset = true
	if h, ok := r.parser.(session.RstHandler); ok && r.Ended == nil {
		r.out.Begin(at, side, true)
		h.Rst(side, r.out)
	}
}

// AdvanceTo moves the clock to t and wakes the parser whenever it asked for it
// until then.
func (r *StreamRun) AdvanceTo(t ingest.Timestamp) error {
	for r.Ended == nil && *r.due != 0 && *r.due <= t {
		at := *r.due
		*r.due = 0
		r.Ended = wake(r.parser, at, r.due, r.out)
	}
	r.now = max(r.now, t)
	return r.Ended
}

// wake calls Wake for the time at; due is where the next wake-up will stand.
func wake(parser any, at ingest.Timestamp, due *ingest.Timestamp, out *session.Output) error {
	w, ok := parser.(session.Waker)
	if !ok {
		return fmt.Errorf("parser %T asks for a wake-up and is no session.Waker", parser)
	}
	out.Begin(at, flow.Initiator, false)
	if err := w.Wake(out); err != nil {
		return err
	}
	if *due != 0 && *due <= at {
		return fmt.Errorf("woken at %d, parser asks to be woken at %d", at, *due)
	}
	return nil
}

// Close ends the flow at the run's clock, if the parser still runs.
func (r *StreamRun) Close(reason flow.Reason) {
	if c, ok := r.parser.(session.Closer); ok && r.Ended == nil {
		r.out.Begin(r.now, flow.Initiator, false)
		c.Close(reason, r.out)
	}
}

// Reset makes the parser as good as new, if it can, and forgets what was
// recorded. It reports whether the parser can.
func (r *StreamRun) Reset() bool {
	c, ok := r.parser.(session.Resetter)
	if !ok {
		return false
	}
	c.Reset()
	r.forget()
	return true
}

// forget brings everything but the parser to its beginning.
func (r *StreamRun) forget() {
	r.Recorder = Recorder{Seen: r.Seen}
	*r.due = 0
	r.Ended, r.Calls, r.now = nil, 0, base
	r.rest = [2][]byte{r.rest[0][:0], r.rest[1][:0]}
	r.stopped, r.ended, r.fed, r.reset, r.midst = [2]bool{}, [2]bool{}, [2]bool{}, false, false
}
