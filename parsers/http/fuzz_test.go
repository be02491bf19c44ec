package http

import (
	"testing"

	"flowscope/session"
	"flowscope/session/sessiontest"

	"github.com/google/go-cmp/cmp"
)

// FuzzParse feeds two sides of anything, in one piece each and in many, with a
// gap: neither may change what comes out of the same bytes, and output is bounded.
func FuzzParse(f *testing.F) {
	for _, s := range contractStreams() {
		var sides [2][]byte
		for _, segment := range s.Segments {
			sides[segment.Side] = append(sides[segment.Side], segment.Data...)
		}
		f.Add(sides[0], sides[1], uint16(7), uint8(0))
		f.Add(sides[0], sides[1], uint16(1), uint8(3))
	}
	for _, s := range sessiontest.TCP(f, recording)[:20] {
		var sides [2][]byte
		for _, segment := range s.Segments {
			sides[segment.Side] = append(sides[segment.Side], segment.Data...)
		}
		if len(sides[0])+len(sides[1]) < 1<<14 {
			f.Add(sides[0], sides[1], uint16(100), uint8(0))
		}
	}
	small := testFactory(f, func(c *Config) {
		c.MaxHeadBytes, c.MaxHeaders, c.MaxPending, c.BodyBytes, c.DecodeBodies = minHeadBytes, 4, 2, 64, true
	})
	factories := []*Factory{New(), small}
	f.Fuzz(func(t *testing.T, asks, answers []byte, piece uint16, gap uint8) {
		if len(asks)+len(answers) > 1<<17 {
			return
		}
		for _, p := range factories {
			p := p.PerWorker().(*Factory) // what one run holds is none of the next one's business
			whole, split := sessiontest.NewStreamRun(p), sessiontest.NewStreamRun(p)
			_ = whole.Play(pieces(asks, answers, 1<<17, gap))
			_ = split.Play(pieces(asks, answers, max(int(piece), 1), gap))
			whole.Close(session.Idle)
			split.Close(session.Idle)
			if diff := cmp.Diff(whole.Emissions, split.Emissions); diff != "" {
				t.Fatalf("split at %d (-whole +split):\n%s", piece, diff)
			}
			if diff := cmp.Diff(whole.Anomalies, split.Anomalies); diff != "" {
				t.Fatalf("split at %d (-whole +split):\n%s", piece, diff)
			}
			if n := whole.Bytes(); n > 1<<16+64*(len(asks)+len(answers)) {
				t.Fatalf("%d and %d bytes give %d", len(asks), len(answers), n)
			}
			for i := range whole.Emissions {
				if err := sessiontest.CheckMessage(p.Protocol(), whole.Emissions[i].Kind, whole.Emissions[i].Body); err != nil {
					t.Fatal(err)
				}
			}
			if held := p.shared.keeper.held; held < 0 {
				t.Fatalf("%d bytes held", held)
			}
			whole.Reset()
			split.Reset()
			if held := p.shared.keeper.held; held != 0 {
				t.Fatalf("%d bytes held by nobody", held)
			}
		}
	})
}

// pieces cuts both sides into pieces of the same moment each; gap bytes are
// missing from the middle of the answers.
func pieces(asks, answers []byte, size int, gap uint8) sessiontest.Stream {
	const at = session.Timestamp(1_700_000_000_000_000_000)
	var s sessiontest.Stream
	add := func(side session.Side, when session.Timestamp, missing int, data []byte) {
		for first := true; first || len(data) > 0; first = false {
			n := min(size, len(data))
			segment := sessiontest.Segment{Time: when, Side: side, Data: data[:n]}
			if first {
				segment.Gap = missing
			}
			s.Segments = append(s.Segments, segment)
			data = data[n:]
		}
	}
	add(session.Initiator, at, 0, asks)
	half := len(answers) / 2
	after := min(half+int(gap), len(answers))
	add(session.Responder, at+1, 0, answers[:half])
	add(session.Responder, at+2, after-half, answers[after:])
	return s
}
