package ingest

import (
	"io"
	"testing"
	"time"
)

// readOut reads a source to its end, and returns how many packets came and how long
// that took.
func readOut(t *testing.T, s *liveSource) (packets int, took time.Duration) {
	t.Helper()
	buf := make([]Packet, 16)
	for begin := time.Now(); ; {
		n, err := s.ReadBatch(buf)
		packets += n
		if err == io.EOF {
			return packets, time.Since(begin)
		}
		if err != nil || time.Since(begin) > 20*time.Second {
			t.Fatalf("%d packets after %v, %v", packets, time.Since(begin), err)
		}
	}
}

// TestLiveLateBlock ends when everything has come that the kernel has counted, also if
// that takes longer than it should: here the time is over before the block is.
func TestLiveLateBlock(t *testing.T) {
	namespace(t)
	cfg := liveConfig(1)
	cfg.BlockTimeout = time.Second
	c := openLive(t, cfg)
	sendNumbered(t, 0, 10)
	s := c.Sources()[0].(*liveSource)
	s.Stop()
	s.drained = time.Now()
	if n, took := readOut(t, s); n != 10 || took > overdue {
		t.Errorf("%d packets within %v, want 10", n, took)
	}
	if l := s.Losses(); l.DroppedKernel != 0 {
		t.Errorf("%+v", l)
	}
}

// TestLiveLostBlock counts as dropped what does not come at all.
func TestLiveLostBlock(t *testing.T) {
	namespace(t)
	c := openLive(t, liveConfig(1))
	sendNumbered(t, 0, 10)
	s := c.Sources()[0].(*liveSource)
	s.taps[0].socket.held += 7
	s.Stop()
	if n, took := readOut(t, s); n != 10 || took < overdue {
		t.Errorf("%d packets within %v, want 10", n, took)
	}
	if l := s.Losses(); l.DroppedKernel != 7 {
		t.Errorf("%+v, want 7 dropped", l)
	}
}
