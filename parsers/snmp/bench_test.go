package snmp

import (
	"testing"

	"flowscope/session"
	"flowscope/session/sessiontest"
)

// BenchmarkExchange alternates between a request and its reply; the figure is per
// message, encoded.
func BenchmarkExchange(b *testing.B) {
	d := &sessiontest.Discard{}
	out := session.NewOutput(d)
	p := New().NewDatagramParser()
	payloads := [][]byte{unhex(b, get), unhex(b, response)}
	b.ReportAllocs()
	for i := range b.N {
		side := session.Side(i % 2)
		out.Begin(session.Timestamp(i+1), side, false)
		_ = p.Parse(payloads[side], side, out)
	}
	if d.Messages != b.N {
		b.Fatalf("%d messages of %d", d.Messages, b.N)
	}
}
