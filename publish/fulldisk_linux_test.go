package publish

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"flowscope/publish/embedded"
)

// A store on a full disk ends a replay with the number of events that are not
// stored, and with the server's reason.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("flowscope-test", dir, "tmpfs", 0, "size=8m,mode=0700"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("the right to mount is missing: %v", err)
		}
		t.Skipf("the right to mount a small file system is missing: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	reg := deliveryRegistry(t)
	// The server would keep within what is free; it is told of more.
	srv := startServer(t, embedded.Config{Store: dir, MaxStore: 1 << 30})
	cfg := DefaultConfig()
	cfg.AckTimeout, cfg.StallTimeout = time.Second, 15*time.Second
	p := runPublisher(t, cfg, Options{Registry: reg, Trouble: srv.Trouble}, newJetStreamFor(t, srv, cfg))
	sink, m := p.Sink(0), newMaker(reg, 1)
	const n = 40000 // more than 8 MiB
	for range n {
		sink.HandleEvent(m.event(t, "dns", "query"))
	}
	sink.Close()
	err := p.Close(within(t, 60*time.Second))
	var lost *NotAcknowledgedError
	if !errors.As(err, &lost) || !strings.Contains(err.Error(), "no space left on device") {
		t.Fatalf("Close: %v, want the number that is not acknowledged and why", err)
	}
	l := p.Ledger()
	checkBalance(t, l)
	if l.Events.Pending != lost.N || l.Events.Acknowledged+lost.N != n || lost.N == 0 {
		t.Errorf("error %v, ledger %+v", err, l.Events)
	}
	t.Logf("on a full disk: %v", err)
}
