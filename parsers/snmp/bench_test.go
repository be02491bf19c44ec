package snmp

import (
	"testing"
	"time"

	"flowscope/session"
)

// discard encodes what it is given, as a sink does, and forgets it.
type discard struct {
	b []byte
	n int
}

func (d *discard) Emit(e *session.Emission) {
	d.b = e.Message.AppendMsgpack(d.b[:0])
	d.n++
}
func (d *discard) Anomaly(*session.AnomalyType, session.Side, string) {}
func (d *discard) WakeAt(session.Timestamp)                           {}
func (d *discard) SetIdle(time.Duration)                              {}

// BenchmarkExchange alternates between a request and its reply; the figure is per
// message, encoded.
func BenchmarkExchange(b *testing.B) {
	d := &discard{}
	out := session.NewOutput(d)
	p := New().NewDatagramParser()
	payloads := [][]byte{unhex(b, get), unhex(b, response)}
	b.ReportAllocs()
	for i := range b.N {
		side := session.Side(i % 2)
		out.Begin(session.Timestamp(i+1), side, false)
		_ = p.Parse(payloads[side], side, out)
	}
	if d.n != b.N {
		b.Fatalf("%d messages of %d", d.n, b.N)
	}
}
