package input

import (
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"flowscope/ingest"
)

// packets is a source of packets at given times, one per batch at most n.
type packets struct {
	times []time.Duration
	at    *ingest.Interface
	given int
}

func (p *packets) ReadBatch(out []ingest.Packet) (int, error) {
	if p.given == len(p.times) {
		return 0, io.EOF
	}
	n := 0
	for n < len(out) && p.given < len(p.times) {
		out[n] = ingest.Packet{Time: ingest.Timestamp(p.times[p.given]) + 1, Interface: p.at}
		p.given++
		n++
	}
	return n, nil
}

func (p *packets) Close() error { return nil }

func TestPace(t *testing.T) {
	const s = time.Second
	tests := []struct {
		name  string
		speed float64
		times []time.Duration
		want  []time.Duration // since the start
	}{
		{"as recorded", 1, []time.Duration{0, s, 3 * s}, []time.Duration{0, s, 3 * s}},
		{"ten times faster", 10, []time.Duration{5 * s, 15 * s}, []time.Duration{0, s}},
		{"slower", 0.5, []time.Duration{0, s}, []time.Duration{0, 2 * s}},
		{"backwards is at once", 1, []time.Duration{0, 2 * s, s, 3 * s}, []time.Duration{0, 2 * s, 2 * s, 3 * s}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := Pace(t.Context(), &packets{times: tt.times, at: &ingest.Interface{}}, tt.speed)
				start := time.Now()
				var got []time.Duration
				for {
					batch := make([]ingest.Packet, 8)
					n, err := src.ReadBatch(batch)
					for range n {
						got = append(got, time.Since(start))
					}
					if clock, ok := src.Clock(); ok && clock > ingest.Timestamp(tt.times[len(got)])+1 {
						t.Errorf("clock %v is after the next packet", clock)
					}
					if err == io.EOF {
						break
					}
				}
				for i, want := range tt.want {
					if off := got[i] - want; off < 0 || off > nap {
						t.Errorf("packet %d came after %v, want %v", i, got[i], want)
					}
				}
			})
		})
	}
}

func TestPaceEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		src := Pace(ctx, &packets{times: []time.Duration{0, time.Hour}, at: &ingest.Interface{}}, 1)
		batch := make([]ingest.Packet, 8)
		src.ReadBatch(batch)
		cancel()
		start := time.Now()
		if n, err := src.ReadBatch(batch); n != 0 || err != nil || time.Since(start) != 0 {
			t.Errorf("%d packets, %v after %v", n, err, time.Since(start))
		}
	})
}

func TestWatch(t *testing.T) {
	src := Watch(&packets{times: make([]time.Duration, 3), at: &ingest.Interface{Name: "x.pcap", LinkType: 239}})
	if _, err := src.ReadBatch(make([]ingest.Packet, 8)); err != nil {
		t.Fatal(err)
	}
	const want = "x.pcap: link type 239 is not supported, its packets were counted and not decoded"
	if err := src.Unsupported(); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	src = Watch(&packets{times: make([]time.Duration, 3), at: &ingest.Interface{LinkType: 1}})
	src.ReadBatch(make([]ingest.Packet, 8))
	if err := src.Unsupported(); err != nil {
		t.Error(err)
	}
}

func BenchmarkWatch(b *testing.B) {
	b.ReportAllocs()
	at := &ingest.Interface{LinkType: 1}
	src, batch := &packets{at: at, times: make([]time.Duration, 256)}, make([]ingest.Packet, 256)
	w := Watch(src)
	for range b.N {
		src.given = 0
		w.ReadBatch(batch)
	}
}
