package tls

import (
	"encoding/binary"
	"testing"

	"flowscope/session"
	"flowscope/session/sessiontest"
)

// capturedFlight returns the bytes that a side of a connection of our capture sent first.
func capturedFlight(tb testing.TB, connection int, side session.Side) []byte {
	var b []byte
	for _, s := range streams(tb, ownCapture)[connection].Segments {
		if s.Side == side {
			b = append(b, s.Data...)
		} else if len(b) > 0 {
			break
		}
	}
	return b
}

// captured is the place in our capture of a connection of TLS 1.2 with a
// certificate, and of the last one, whose hello is curl's.
const (
	captured12 = 1
	captured13 = 13
)

// BenchmarkClientHello reads a hello with its fingerprints and encodes it; the
// same was seen before.
func BenchmarkClientHello(b *testing.B) { benchmarkClientHello(b, false) }

// BenchmarkNewClientHello is the same for one that was not.
func BenchmarkNewClientHello(b *testing.B) { benchmarkClientHello(b, true) }

func benchmarkClientHello(b *testing.B, unknown bool) {
	hello := capturedFlight(b, captured13, session.Initiator)
	f := New()
	p := f.NewSessionParser().(*parser)
	d := &sessiontest.Discard{}
	out := session.NewOutput(d)
	out.Begin(1, session.Initiator, false)
	const firstSuite = recordHeader + messageHeader + helloFixed + 1 + maxSessionID + 2
	i := uint16(0)
	b.ReportAllocs()
	for b.Loop() {
		if n, err := p.FeedInitiator(hello, out); n != len(hello) || err != nil {
			b.Fatal(n, err)
		}
		p.Reset()
		if i++; unknown {
			binary.BigEndian.PutUint16(hello[firstSuite:], i)
		}
	}
	if d.Messages != b.N {
		b.Fatalf("%d messages of %d", d.Messages, b.N)
	}
}

// benchmarkHandshake plays a whole connection of our capture until the parser is
// done.
func benchmarkHandshake(b *testing.B, connection int) {
	s := streams(b, ownCapture)[connection]
	p := New().NewSessionParser().(*parser)
	d := &sessiontest.Discard{}
	out := session.NewOutput(d)
	b.ReportAllocs()
	for b.Loop() {
		for i := range s.Segments {
			segment := &s.Segments[i]
			out.Begin(segment.Time, segment.Side, false)
			if _, err := p.feed(segment.Side, segment.Data, out); err != nil {
				break
			}
		}
		if !p.done {
			b.Fatal("the handshake does not end")
		}
		p.Reset()
	}
}

// BenchmarkHandshake12 has a certificate.
func BenchmarkHandshake12(b *testing.B) { benchmarkHandshake(b, captured12) }

// BenchmarkHandshake13 has two hellos and the summary.
func BenchmarkHandshake13(b *testing.B) { benchmarkHandshake(b, captured13) }

// BenchmarkEncryptedRecord passes over segments of a record that cannot be read.
func BenchmarkEncryptedRecord(b *testing.B) {
	record := make([]byte, recordHeader+1455)
	copy(record, "\x17\x03\x03\x05\xaf")
	p := New().NewSessionParser().(*parser)
	out := session.NewOutput(&sessiontest.Discard{})
	out.Begin(1, session.Initiator, false)
	b.ReportAllocs()
	for b.Loop() {
		if n, err := p.FeedInitiator(record, out); n != len(record) || err != nil {
			b.Fatal(n, err)
		}
	}
}

// BenchmarkProbe judges the beginning of a hello.
func BenchmarkProbe(b *testing.B) {
	f := New()
	s := session.Sample{Data: capturedFlight(b, captured13, session.Initiator), Transport: session.TCP, SrcPort: 40000, DstPort: 443}
	b.ReportAllocs()
	for b.Loop() {
		if f.Probe(&s) != session.Match {
			b.Fatal("no match")
		}
	}
}
