package session

import (
	"time"

	"flowscope/flow"
	"flowscope/ingest"
)

// Emission is one message on its way from a parser to the sink.
type Emission struct {
	// Message is borrowed: it is consumed before Emit returns.
	Message Message
	// Side is the side that sent the message.
	Side flow.Side
	// Time is the event's time; 0 stands for Output.Now.
	Time ingest.Timestamp
	// Start is the time of the first packet of a message that took several;
	// 0, or the same as Time, if it took one.
	Start ingest.Timestamp
	// Truncated says that something was shortened or cut off.
	Truncated bool
}

// Receiver takes what parsers put out: the driver, or a recorder in tests.
type Receiver interface {
	Emit(e *Emission)
	Anomaly(t *AnomalyType, side flow.Side, detail string)
	WakeAt(t ingest.Timestamp)
	SetIdle(d time.Duration)
}

// Output is what a parser writes to. It is valid only during the call that it
// was handed to.
type Output struct {
	r         Receiver
	now       ingest.Timestamp
	side      flow.Side
	truncated bool
	emission  Emission
}

// NewOutput returns an Output that passes everything to r.
func NewOutput(r Receiver) *Output { return &Output{r: r} }

// Begin prepares for one call of a parser: its time, the side whose bytes it is
// given, and whether the capture cut those bytes short. The driver and tests
// call it, parsers do not.
func (o *Output) Begin(now ingest.Timestamp, side flow.Side, truncated bool) {
	o.now, o.side, o.truncated = now, side, truncated
}

// Now returns the packet time of the bytes being parsed, or the deadline that
// woke the parser.
func (o *Output) Now() ingest.Timestamp { return o.now }

// Truncated says that the capture holds less of the bytes being parsed than was
// on the wire.
func (o *Output) Truncated() bool { return o.truncated }

// Emit sends a message of the side being fed. The message is consumed before
// Emit returns, so the parser may use it again.
func (o *Output) Emit(m Message) {
	o.emission = Emission{Message: m, Side: o.side, Time: o.now, Truncated: o.truncated}
	o.r.Emit(&o.emission)
}

// EmitWith is Emit for messages with a side, a time or a start of their own.
func (o *Output) EmitWith(e Emission) {
	if e.Time == 0 {
		e.Time = o.now
	}
	if e.Start == e.Time {
		e.Start = 0
	}
	o.emission = e
	o.r.Emit(&o.emission)
}

// Anomaly reports something worth knowing about the flow; detail is for people,
// at most 256 bytes of it are kept.
func (o *Output) Anomaly(t *AnomalyType, detail string) { o.r.Anomaly(t, o.side, detail) }

// WakeAt asks for one call of Wake when the input's clock reaches t, but not
// sooner than a millisecond after Now. A later call replaces an earlier one; 0
// cancels.
func (o *Output) WakeAt(t ingest.Timestamp) { o.r.WakeAt(t) }

// SetIdle sets the flow's idle time-out from now on.
func (o *Output) SetIdle(d time.Duration) { o.r.SetIdle(d) }
