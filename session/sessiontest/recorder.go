package sessiontest

import (
	"time"

	"flowscope/flow"
	"flowscope/ingest"
	"flowscope/session"
)

// Emission is one recorded message.
type Emission struct {
	// Kind is the message's kind, Body the message as msgpack.
	Kind string
	Body []byte
	// Side, Time, Start and Truncated are as in session.Emission; Time is never 0.
	Side        flow.Side
	Time, Start ingest.Timestamp
	Truncated   bool
}

// Anomaly is one recorded anomaly.
type Anomaly struct {
	Name   string
	Side   flow.Side
	Detail string
}

// Recorder is a session.Receiver that keeps what a parser puts out.
type Recorder struct {
	Emissions []Emission
	Anomalies []Anomaly
	// Due is the time of the wake-up asked for, 0 if there is none.
	Due ingest.Timestamp
	// Idle is the idle time-out asked for last, 0 if none was.
	Idle time.Duration
	// Seen, if set, is called with each message before it is given back to the
	// parser.
	Seen func(m session.Message)
}

var _ session.Receiver = (*Recorder)(nil)

// Emit implements session.Receiver.
func (r *Recorder) Emit(e *session.Emission) {
	if r.Seen != nil {
		r.Seen(e.Message)
	}
	r.Emissions = append(r.Emissions, Emission{
		Kind: e.Message.Kind(), Body: e.Message.AppendMsgpack(nil),
		Side: e.Side, Time: e.Time, Start: e.Start, Truncated: e.Truncated,
	})
}

// Anomaly implements session.Receiver.
func (r *Recorder) Anomaly(t *session.AnomalyType, side flow.Side, detail string) {
	r.Anomalies = append(r.Anomalies, Anomaly{t.Name, side, detail})
}

// WakeAt implements session.Receiver.
func (r *Recorder) WakeAt(t ingest.Timestamp) { r.Due = t }

// SetIdle implements session.Receiver.
func (r *Recorder) SetIdle(d time.Duration) { r.Idle = d }

// Bytes returns how many octets of messages were recorded.
func (r *Recorder) Bytes() int {
	n := 0
	for i := range r.Emissions {
		n += len(r.Emissions[i].Body)
	}
	return n
}
