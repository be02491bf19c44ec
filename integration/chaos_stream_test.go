//go:build linux

package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// A stream that is deleted takes with it what it holds; what comes later goes into
// its successor, once.
func testStreamDeleted(t *testing.T, built programs, w way) {
	server := startNATS(t, built.server, t.TempDir(), "one", "")
	createStream(t, server, nil)
	rounds := chaosRounds()
	flows := 2000 * (rounds + 1)
	capture := filepath.Join(t.TempDir(), "deleted.pcap")
	writeCapture(t, capture, flows, time.Duration(rounds+1)*time.Second, 0, 0)
	r := startReplay(t, built.flowscope, server.url(), capture, w.config)
	awaitEvents(t, server, 100)
	js := server.jetStream()
	var lost uint64
	for range rounds {
		if info, err := server.stream("FLOWSCOPE").Info(t.Context()); err == nil {
			lost += info.State.Msgs
		}
		if err := js.DeleteStream(t.Context(), "FLOWSCOPE"); err != nil {
			t.Fatal(err)
		}
		<-time.After(300 * time.Millisecond)
		createStream(t, server, nil)
		<-time.After(700 * time.Millisecond)
	}
	l, status := r.end(time.Minute)
	r.check(l, status, uint64(eventsPerFlow*flows))
	again := uint64(0) // stored in one stream, not acknowledged yet, and stored in the next
	if w.together {
		again = uint64(rounds * chaosWindow)
	}
	if got := audited(t, server.url(), false); got == 0 || got+lost > l.Events.Acknowledged+again {
		t.Errorf("the last stream holds %d events, those before at least %d, %d are acknowledged", got, lost, l.Events.Acknowledged)
	}
}

func smallStream(s *jetstream.StreamConfig) { s.MaxBytes, s.Discard = 2<<20, jetstream.DiscardNew }

// A stream that takes no more holds the replay up; when room is made it goes on.
func testStreamFull(t *testing.T, built programs, w way) {
	server := startNATS(t, built.server, t.TempDir(), "one", "")
	stream := createStream(t, server, smallStream)
	rounds := chaosRounds()
	flows := 2000 * (rounds + 1)
	capture := filepath.Join(t.TempDir(), "full.pcap")
	writeCapture(t, capture, flows, time.Second, 0, 0)
	r := startReplay(t, built.flowscope, server.url(), capture, w.config)
	for purges := 0; ; {
		select {
		case err := <-r.done:
			r.done <- err
			l, status := r.end(time.Minute)
			r.check(l, status, uint64(eventsPerFlow*flows))
			audited(t, server.url(), false)
			if purges < rounds {
				t.Errorf("the stream was full %d times, want %d", purges, rounds)
			}
			return
		case <-time.After(20 * time.Millisecond):
		}
		info, err := stream.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if info.State.Bytes > 2<<20-32<<10 { // less than a large message is left
			<-time.After(300 * time.Millisecond) // it is refused meanwhile
			if err := stream.Purge(t.Context()); err != nil {
				t.Fatal(err)
			}
			purges++
		}
	}
}

// If no room is made, the replay fails with the number.
func testStreamFullForGood(t *testing.T, built programs, w way) {
	server := startNATS(t, built.server, t.TempDir(), "one", "")
	createStream(t, server, smallStream)
	capture := filepath.Join(t.TempDir(), "full.pcap")
	writeCapture(t, capture, 4000, time.Second, 0, 0)
	t.Setenv("FLOWSCOPE_PUBLISH_STALL_TIMEOUT", "3s")
	r := startReplay(t, built.flowscope, server.url(), capture, w.config, "--drain-timeout", "3s")
	l, status := r.end(time.Minute)
	notAcknowledged(t, r, status, l.Events.Pending)
	if !strings.Contains(r.stderr.String(), "maximum bytes exceeded") {
		t.Errorf("the reason is not told: %s", tailOf(r.stderr.String()))
	}
	if got := audited(t, server.url(), false); got != l.Events.Acknowledged {
		t.Errorf("the stream holds %d events, %d are acknowledged", got, l.Events.Acknowledged)
	}
}

// notAcknowledged wants a failed run to tell the number.
func notAcknowledged(t *testing.T, r *replayProcess, status int, n uint64) {
	t.Helper()
	if want := fmt.Sprintf("%d events are not acknowledged", n); status != 1 || n == 0 || !strings.Contains(r.stderr.String(), want) {
		t.Errorf("status %d, want 1, and %q in\n%s", status, want, tailOf(r.stderr.String()))
	}
}

// A disk that runs full takes the server down; with room and a restart everything
// gets through.
func testDiskFull(t *testing.T, built programs, w way) {
	dir := t.TempDir()
	mount := func(flags uintptr, mebibytes int) {
		if err := syscall.Mount("chaos", dir, "tmpfs", flags, fmt.Sprintf("mode=0700,size=%dm", mebibytes)); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("the right to mount is missing: %v", err)
			}
			t.Skipf("the right to mount a small file system is missing: %v", err)
		}
	}
	const step = 4 // mebibytes
	mount(0, step)
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	server := startNATS(t, built.server, dir, "one", "")
	t.Cleanup(server.kill) // before the disk goes
	createStream(t, server, nil)
	rounds := chaosRounds()
	flows := 5000 * (rounds + 1)
	capture := filepath.Join(t.TempDir(), "disk.pcap")
	writeCapture(t, capture, flows, time.Second, 0, 0)
	r := startReplay(t, built.flowscope, server.url(), capture, w.config)
	for round := range rounds {
		awaitTrue(t, "the disk to be full", func() bool {
			var fs syscall.Statfs_t
			return syscall.Statfs(dir, &fs) == nil && fs.Bavail*uint64(fs.Bsize) < 64<<10
		})
		<-time.After(time.Second)
		room := (round + 2) * step
		if round == rounds-1 {
			room *= 8
		}
		mount(syscall.MS_REMOUNT, room)
		server.kill()
		server.start()
		server.await()
	}
	l, status := r.end(2 * time.Minute)
	r.check(l, status, uint64(eventsPerFlow*flows))
	if got := audited(t, server.url(), false); got != l.Events.Acknowledged {
		t.Errorf("the stream holds %d events, %d are acknowledged", got, l.Events.Acknowledged)
	}
}
