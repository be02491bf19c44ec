package sessiontest

import (
	"time"

	"flowscope/flow"
	"flowscope/ingest"
	"flowscope/session"
)

// Discard takes what a parser puts out as a worker does, and forgets it: messages
// are encoded into one buffer. It is what benchmarks and counts of allocations give
// to session.NewOutput. One goroutine uses it.
type Discard struct {
	// Messages is how many there were.
	Messages int
	// Encoded is the latest one as msgpack, valid until the next.
	Encoded []byte
}

// Emit encodes the message.
func (d *Discard) Emit(e *session.Emission) {
	d.Encoded = e.Message.AppendMsgpack(d.Encoded[:0])
	d.Messages++
}

// Anomaly does nothing, as do the others.
func (*Discard) Anomaly(*session.AnomalyType, flow.Side, string) {}

// WakeAt does nothing.
func (*Discard) WakeAt(ingest.Timestamp) {}

// SetIdle does nothing.
func (*Discard) SetIdle(time.Duration) {}
