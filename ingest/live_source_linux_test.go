package ingest

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestNthProcessor(t *testing.T) {
	var set unix.CPUSet
	for _, cpu := range []int{2, 3, 70} {
		set.Set(cpu)
	}
	for n, want := range []int{2, 3, 70, 2, 3, 70} {
		if got := nth(&set, n); got != want {
			t.Errorf("%d: processor %d, want %d", n, got, want)
		}
	}
	if got := nth(&unix.CPUSet{}, 5); got != maxProcessors {
		t.Errorf("of none: %d", got)
	}
}

// TestCardClock goes on from the last time of the card, which may be far from the
// system's.
func TestCardClock(t *testing.T) {
	cfg := liveConfig(1)
	cfg.Timestamps = TimestampsHardware
	s := &liveSource{capture: &Capture{cfg: cfg}}
	if _, ok := s.Clock(); ok {
		t.Error("knows the card's time without a packet")
	}
	s.readCardTime([]Packet{{Time: 1e9}, {Time: 100e9}})
	before := Timestamp(100e9).Add(-cfg.BlockTimeout - slack)
	if now, ok := s.Clock(); !ok || now < before || now > before.Add(time.Minute) {
		t.Errorf("%d, %v", now, ok)
	}
}
