package publish

import (
	"testing"

	"flowscope/flow"
	"flowscope/session"
)

func benchmarkEncode(b *testing.B, ev *session.SessionEvent, r *session.Registry) {
	e := NewEncoder("edge-1", "r1", r.Topics())
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		buf, _, _ = e.Append(buf[:0], ev)
	}
	b.SetBytes(int64(len(buf)))
}

// BenchmarkEncodeEnvelope is an event with an empty message: what the envelope
// costs.
func BenchmarkEncodeEnvelope(b *testing.B) {
	r := fakeRegistry(b)
	ev := queryEvent(b, r)
	ev.Message, ev.Start = fixedMessage{}, 0
	benchmarkEncode(b, ev, r)
}

func BenchmarkEncodeQuery(b *testing.B) {
	r := fakeRegistry(b)
	benchmarkEncode(b, queryEvent(b, r), r)
}

// BenchmarkEncodeClosed is a flow's end with its statistics.
func BenchmarkEncodeClosed(b *testing.B) {
	r := fakeRegistry(b)
	benchmarkEncode(b, closedEvent(b, r), r)
}

// BenchmarkEncodeClosedBare is the same without statistics, for the difference.
func BenchmarkEncodeClosedBare(b *testing.B) {
	r := fakeRegistry(b)
	ev := closedEvent(b, r)
	ev.Stats = nil
	benchmarkEncode(b, ev, r)
}

// BenchmarkEncodeNewFlow encodes the flow's map each time.
func BenchmarkEncodeNewFlow(b *testing.B) {
	r := fakeRegistry(b)
	ev := queryEvent(b, r)
	ev.Message, ev.Start = fixedMessage{}, 0
	ev.Flow.ID = flow.ID{}
	benchmarkEncode(b, ev, r)
}

func encodedQuery(tb testing.TB) []byte {
	r := fakeRegistry(tb)
	payload, _, _ := NewEncoder("edge-1", "r1", r.Topics()).Append(nil, queryEvent(tb, r))
	return payload
}

func BenchmarkCheck(b *testing.B) {
	payload := encodedQuery(b)
	b.ReportAllocs()
	b.SetBytes(int64(len(payload)))
	for b.Loop() {
		if err := Check(payload); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	payload, r := encodedQuery(b), fakeRegistry(b)
	b.ReportAllocs()
	b.SetBytes(int64(len(payload)))
	for b.Loop() {
		if _, err := Decode(payload, r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkJSON(b *testing.B) {
	payload := encodedQuery(b)
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	b.SetBytes(int64(len(payload)))
	for b.Loop() {
		var err error
		if buf, err = AppendJSON(buf[:0], payload); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkText(b *testing.B) {
	payload := encodedQuery(b)
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	b.SetBytes(int64(len(payload)))
	for b.Loop() {
		var err error
		if buf, err = AppendText(buf[:0], payload); err != nil {
			b.Fatal(err)
		}
	}
}
