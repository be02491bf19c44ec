package flow

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// story tells events in short.
func story(r *recorder) (lines []string) {
	for _, e := range r.events {
		if e.kind == Data {
			continue
		}
		line := fmt.Sprintf("%v %d %v", e.kind, e.info.Src.Port(), e.time.Sub(second(0)))
		if e.kind == Closed {
			line += " " + e.reason.String()
		}
		lines = append(lines, line)
	}
	return lines
}

// TestReconfigure changes time-outs in the middle: they hold for all flows; one that
// has been silent for longer ends at once, and no time runs backwards.
func TestReconfigure(t *testing.T) {
	cfg := DefaultConfig()
	f := newFeed(t, cfg)
	udp := func(at float64, port uint16) {
		f.packet(second(at), udpFrame(t, "10.0.0.1", port, "10.0.0.2", 9, "x"))
	}
	f.log.onData = func(e *Event) {
		if src, _ := e.Flow.Ports(); src == 3 {
			e.Flow.SetIdle(200 * time.Second)
		}
	}
	udp(0, 1)
	udp(0, 3) // has a time-out of its own
	udp(25, 2)
	cfg.UDPIdle, cfg.TickInterval, cfg.MaxFlows = 20*time.Second, 40*time.Second, 1
	if err := f.table.Reconfigure(cfg); err != nil {
		t.Fatal(err)
	}
	f.table.Tick(second(30)) // 1 ends, its 20 s are over
	f.table.Tick(second(44))
	udp(44, 2)
	cfg.UDPIdle, cfg.TickInterval = 100*time.Second, 0
	cfg.IdleOverrides = []string{"udp/2=10s"}
	if err := f.table.Reconfigure(cfg); err != nil {
		t.Fatal(err)
	}
	f.table.Tick(second(45))
	udp(46, 4)
	f.table.Tick(second(140))
	f.table.Tick(second(190))
	f.close()
	want := []string{
		"opened 1 0s", "opened 3 0s", "opened 2 25s",
		"closed 1 25s idle", // the clock when it was told
		"ticked 3 40s",
		"opened 4 46s",
		"closed 2 54s idle",
		"closed 4 2m26s idle",
		"closed 3 3m10s end_of_input",
	}
	if diff := cmp.Diff(want, story(f.log)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	cfg.UDPIdle = 0
	if err := f.table.Reconfigure(cfg); err == nil || !strings.Contains(err.Error(), "udp_idle") {
		t.Errorf("%v", err)
	}
}

// TestReconfigureChecksums changes what is done with a bad checksum, and the tail of a
// connection that has closed.
func TestReconfigureChecksums(t *testing.T) {
	cfg := DefaultConfig()
	f := newFeed(t, cfg)
	bad := udpFrame(t, "10.0.0.1", 1, "10.0.0.2", 9, "x")
	bad[41]++
	f.tcp(tcpStep{0, "a", "S", 1}, tcpStep{0, "b", "SA", 100}, tcpStep{0, "a", "A", 2}, tcpStep{1, "b", "R", 101})
	f.packet(second(1), bad)
	cfg.Checksums, cfg.ClosingTail = ChecksumsDrop, 2*time.Second
	if err := f.table.Reconfigure(cfg); err != nil {
		t.Fatal(err)
	}
	f.packet(second(2), bad)
	f.packet(second(4), bad)
	cfg.Checksums = ChecksumsOff
	if err := f.table.Reconfigure(cfg); err != nil {
		t.Fatal(err)
	}
	f.packet(second(5), bad)
	f.close()
	c := f.table.Stats()
	if c.Packets[BadChecksum] != 2 || c.Packets[Handled] != 6 || c.Checksums[ChecksumUDP] != 3 {
		t.Errorf("%+v", c)
	}
	if ends := f.log.of(Closed); len(ends) != 2 || ends[0].reason != Rst || ends[0].time != second(3) {
		t.Errorf("%+v", ends)
	}
}

// TestReconfigureWhileRunning is for the race detector.
func TestReconfigureWhileRunning(t *testing.T) {
	cfg := DefaultConfig()
	f := newFeed(t, cfg)
	var beside sync.WaitGroup
	beside.Go(func() {
		for i := range 100 {
			cfg.UDPIdle = time.Duration(i+1) * time.Second
			if err := f.table.Reconfigure(cfg); err != nil {
				t.Error(err)
			}
			f.table.Shed(uint32(i) % 3)
			_ = f.table.Stats()
		}
	})
	for i := range 300 {
		f.packet(second(float64(i)), udpFrame(t, "10.0.0.1", uint16(i), "10.0.0.2", 9, "x"))
	}
	beside.Wait()
	f.close()
}
