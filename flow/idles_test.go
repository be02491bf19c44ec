package flow

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"flowscope/ingest"
)

func TestIdleOverrides(t *testing.T) {
	cfg := DefaultConfig()
	cfg.IdleOverrides = []string{"udp/514=5s", "udp=7s", "tcp/80=1h", "1=3s", "tcp/40000=2h"}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	const handshake = "0 > S\n0 < SA ack=1\n0 > A seq=1 ack=1"
	for _, test := range []struct {
		name string
		feed func(*feed)
		want time.Duration
	}{
		{"responder's port", func(f *feed) { f.packet(second(0), udpFrame(t, "10.0.0.1", 9, "10.0.0.2", 514, "x")) }, 5 * time.Second},
		{"initiator's port", func(f *feed) { f.packet(second(0), udpFrame(t, "10.0.0.1", 514, "10.0.0.2", 9, "x")) }, 5 * time.Second},
		{"the transport", func(f *feed) { f.packet(second(0), udpFrame(t, "10.0.0.1", 9, "10.0.0.2", 9, "x")) }, 7 * time.Second},
		{"the transport by number", func(f *feed) { f.packet(second(0), icmp4(t, "10.0.0.1", "10.0.0.2", 8, 0, nil)) }, 3 * time.Second},
		{"tcp before it is established", func(f *feed) { exchange(t, f, "0 > S") }, 20 * time.Second},
		{"tcp: the responder's port goes first", func(f *feed) { exchange(t, f, handshake) }, time.Hour},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFeed(t, cfg)
			test.feed(f)
			f.table.Tick(second(100_000))
			closed := f.log.of(Closed)
			if len(closed) != 1 || closed[0].reason != Idle || closed[0].time != second(0).Add(test.want) {
				t.Errorf("%+v, want one idle after %v", closed, test.want)
			}
		})
	}
	for _, bad := range []string{"udp", "udp/x=1s", "udp/99999=1s", "foo=1s", "udp=1", "udp=0s", "udp=9999h", "=1s", "300=1s"} {
		cfg.IdleOverrides = []string{bad}
		if err := cfg.Validate(); err == nil || !strings.HasPrefix(err.Error(), "idle_overrides: ") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// Ticks come at multiples of the interval after a flow's first packet, however
// late the packet that makes them due, and end with the flow.
func TestTicks(t *testing.T) {
	cfg := DefaultConfig()
	cfg.TickInterval = 10 * time.Second
	times := func(list []recorded) (out []float64) {
		for _, e := range list {
			out = append(out, e.time.Sub(second(0)).Seconds())
		}
		return out
	}
	frame := udpFrame(t, "10.0.0.1", 1, "10.0.0.2", 2, "x")
	f := newFeed(t, cfg)
	f.packet(second(3), frame)
	f.packet(second(12), frame)
	f.packet(second(13), frame) // the tick of 13 s comes before it
	f.packet(second(45), frame)
	f.table.Tick(second(1000))
	if diff := cmp.Diff([]float64{13, 23, 33, 43, 53, 63, 73, 83, 93, 103}, times(f.log.of(Ticked))); diff != "" {
		t.Errorf("ticks (-want +got):\n%s", diff)
	}
	if n := f.log.of(Ticked)[0].stats.Sides[0].Packets; n != 2 {
		t.Errorf("the first tick counts %d packets, want 2", n)
	}
	if diff := cmp.Diff([]float64{105}, times(f.log.of(Closed))); diff != "" {
		t.Errorf("closed (-want +got):\n%s", diff)
	}

	// Nothing ticks in a closing tail, and none of the times before the flow was
	// met.
	f = newFeed(t, cfg)
	f.packet(second(100), udpFrame(t, "10.0.0.3", 1, "10.0.0.4", 2, "x")) // sets the clock
	f.packetAt(second(75), second(100), frame)
	f.table.Tick(second(116))
	var late []float64
	for _, e := range f.log.of(Ticked) {
		if e.info.Src.Port() == 1 && e.info.Src.Addr().String() == "10.0.0.1" {
			late = append(late, e.time.Sub(second(0)).Seconds())
		}
	}
	if diff := cmp.Diff([]float64{105, 115}, late); diff != "" {
		t.Errorf("ticks of a packet from the past (-want +got):\n%s", diff)
	}
	f = newFeed(t, cfg)
	exchange(t, f, "0 > S\n9 < RA ack=1\n13 < A")
	f.table.Tick(second(100))
	if n := len(f.log.of(Ticked)); n != 0 {
		t.Errorf("%d ticks after a reset", n)
	}
}

// packetAt is packet with a time that is not the clock's.
func (f *feed) packetAt(at, clock ingest.Timestamp, frame []byte) {
	f.clock = clock
	f.packet(at, frame)
}

func TestTroubleOfTheSensor(t *testing.T) {
	cfg := DefaultConfig()
	cfg.MaxFlows, cfg.MaxFragmented = 2, 1
	f := newFeed(t, cfg)
	for i := range uint16(4) { // two evictions
		f.packet(second(float64(i)), udpFrame(t, "10.0.0.1", 100+i, "10.0.0.2", 2, "x"))
	}
	frag := func(id uint16, offset int, more bool, payload string) []byte {
		b := udpFrame(t, "10.0.0.1", 1, "10.0.0.2", 2, payload)[:14+20+8+len(payload)]
		b[14+4], b[14+5] = byte(id>>8), byte(id)
		field := offset / 8
		if more {
			field |= 0x2000
		}
		b[14+6], b[14+7] = byte(field>>8), byte(field)
		return b
	}
	f.packet(second(10), frag(1, 0, true, "01234567"))
	f.packet(second(11), frag(2, 0, true, "01234567")) // over the cap
	f.packet(second(12), frag(2, 8, true, "conflict"))
	got := map[string]int{}
	for _, e := range f.log.of(Anomalous) {
		got[e.anomaly.Name]++
	}
	if diff := cmp.Diff(map[string]int{"flow_table_full": 2, "fragment_cap": 1, "fragment_conflict": 1}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	f.close()
}
