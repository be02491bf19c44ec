//go:build linux

package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// A server that is gone at the end does not hold up the end.
func testStopDeadline(t *testing.T, built programs, w way) {
	server := startNATS(t, built.server, t.TempDir(), "one", "")
	createStream(t, server, nil)
	capture := filepath.Join(t.TempDir(), "stop.pcap")
	writeCapture(t, capture, 60_000, 30*time.Second, 0, 0) // more than there is time for
	r := startReplay(t, built.flowscope, server.url(), capture, w.config, "--drain-timeout", "2s")
	awaitEvents(t, server, 100)
	server.signal(syscall.SIGSTOP)
	<-time.After(500 * time.Millisecond)
	begin := time.Now()
	if err := r.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	l, status := r.end(time.Minute)
	if took := time.Since(begin); took > 2*time.Second+6*time.Second { // a write may hang for 5 s
		t.Errorf("the stop took %v", took)
	}
	server.signal(syscall.SIGCONT)
	notAcknowledged(t, r, status, l.Events.Pending)
	server.await()
	if got := audited(t, server.url(), false); got < l.Events.Acknowledged || got > l.Events.Made {
		t.Errorf("the stream holds %d events, %d are acknowledged of %d", got, l.Events.Acknowledged, l.Events.Made)
	}
}

// What a stream refuses for good is not acknowledged: the replay fails with the
// number, and everything else is stored.
func testRefused(t *testing.T, built programs, w way) {
	server := startNATS(t, built.server, t.TempDir(), "one", "")
	createStream(t, server, func(s *jetstream.StreamConfig) { s.MaxMsgSize = 680 })
	capture := filepath.Join(t.TempDir(), "refused.pcap")
	writeCapture(t, capture, 100, time.Second, 0, 0)
	r := startReplay(t, built.flowscope, server.url(), capture, w.config)
	l, status := r.end(time.Minute)
	e := l.Events
	if status != 1 || e.DeadLetter == 0 || e.Acknowledged == 0 || e.DeadLetter+e.Acknowledged != e.Made {
		t.Errorf("status %d, %+v", status, e)
	}
	if want := fmt.Sprintf("%d events were refused for good", e.DeadLetter); !strings.Contains(r.stderr.String(), want) {
		t.Errorf("want %q in\n%s", want, tailOf(r.stderr.String()))
	}
	if got := audited(t, server.url(), false); got != e.Acknowledged {
		t.Errorf("the stream holds %d events, %d are acknowledged", got, e.Acknowledged)
	}
}

// A store that may not be written is refused at once, by name.
func testPermissionDenied(t *testing.T, built programs) {
	if os.Getuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("the right to become somebody else is missing")
		}
		t.Skip("the right to become somebody else is missing")
	}
	dir := t.TempDir()
	capture := filepath.Join(dir, "small.pcap")
	writeCapture(t, capture, 10, time.Millisecond, 0, 0)
	for d := dir; d != "/" && d != os.TempDir(); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for d := filepath.Dir(built.flowscope); d != "/" && d != os.TempDir(); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	store := filepath.Join(dir, "store")
	cmd := exec.Command(built.flowscope, "replay", "--keep", store, capture)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != 1 ||
		!strings.Contains(string(out), store) || !strings.Contains(string(out), "permission denied") {
		t.Errorf("%v: %s", err, out)
	}
}
