//go:build linux

package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"flowscope/publish"
)

// replayProcess is flowscope replaying a capture.
type replayProcess struct {
	t      *testing.T
	cmd    *exec.Cmd
	stderr bytes.Buffer
	done   chan error
}

// chaosWindow is how many messages chaosConfig lets be under way.
const chaosWindow = 1024

// chaosConfig makes the replay notice things soon, and keeps its memory small. To
// notice soon is also to wait no more than a second for an acknowledgement, unless a
// test says otherwise.
const chaosConfig = `publish:
  stall_timeout: 30s
  drain_timeout: 60s
  queue_bytes: 4194304
  in_flight: {messages: 1024, bytes: 4194304}
`

func startReplay(t *testing.T, program, url, capture, more string, flags ...string) *replayProcess {
	t.Helper()
	config := filepath.Join(t.TempDir(), "config.yml")
	if !strings.Contains(more, "ack_timeout") {
		more = "  ack_timeout: 1s\n" + more
	}
	if err := os.WriteFile(config, []byte(chaosConfig+more), 0o644); err != nil {
		t.Fatal(err)
	}
	r := &replayProcess{t: t, done: make(chan error, 1)}
	args := append([]string{
		"replay", "--to", url, "--config", config, "--report", "json", "--workers", "2", "--speed", "1",
	}, flags...)
	r.cmd = exec.Command(program, append(args, capture)...)
	r.cmd.Stderr = &r.stderr
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		r.done <- r.cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() { // it has ended, as a rule; what it writes to is removed next
		_ = r.cmd.Process.Kill()
		<-ended
	})
	return r
}

// memoryCap is what a replay with chaosConfig may take: queue, window, and the
// program itself, in bytes.
const memoryCap = 256 << 20

// end waits for the end and returns the ledger, which must balance, and the exit
// status.
func (r *replayProcess) end(limit time.Duration) (*publish.Ledger, int) {
	r.t.Helper()
	var err error
	select {
	case err = <-r.done:
	case <-time.After(limit):
		_ = r.cmd.Process.Signal(syscall.SIGQUIT)
		<-r.done
		r.t.Fatalf("the replay does not end within %v\n%s", limit, tailOf(r.stderr.String()))
	}
	status := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		status = exit.ExitCode()
	} else if err != nil {
		r.t.Fatal(err)
	}
	l := new(publish.Ledger)
	report := "" // the last line, but that one that served tells of its interruption after it
	for line := range strings.Lines(r.stderr.String()) {
		if strings.HasPrefix(line, "{") {
			report = line
		}
	}
	if err := json.Unmarshal([]byte(report), l); err != nil {
		r.t.Fatalf("no report: %v\n%s", err, tailOf(r.stderr.String()))
	}
	if err := l.Balance(); err != nil {
		r.t.Error(err)
	}
	if l.PeakRSS > memoryCap {
		r.t.Errorf("%d bytes of memory, want at most %d", l.PeakRSS, memoryCap)
	}
	return l, status
}

func tailOf(s string) string { return s[max(0, len(s)-3000):] }

// check holds a run that got everything through to its promise: the stream holds
// each event once.
func (r *replayProcess) check(l *publish.Ledger, status int, events uint64) {
	r.t.Helper()
	if status != 0 || l.Events.Acknowledged != events || l.Events.Made != events {
		r.t.Errorf("status %d, %+v, want %d acknowledged\n%s", status, l.Events, events, tailOf(r.stderr.String()))
	}
}

// checkSent is the same for a run that nobody acknowledges: everything was sent.
func (r *replayProcess) checkSent(l *publish.Ledger, status int, events uint64) {
	r.t.Helper()
	if status != 0 || l.Events.Sent != events || l.Events.Made != events {
		r.t.Errorf("status %d, %+v, want %d sent\n%s", status, l.Events, events, tailOf(r.stderr.String()))
	}
}

// audited reads the stream and returns the number of events in it, the sensor's
// own not counted; nothing may be doubled, nor missing unless that is allowed.
func audited(t *testing.T, url string, complete bool) uint64 {
	t.Helper()
	nc, err := nats.Connect(url, nats.Timeout(30*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	report, err := publish.Audit(ctx, nc, publish.SubscribeConfig{Subjects: []string{"flowscope.>"}},
		[]string{"flowscope.sensor.heartbeat", "flowscope.sensor.ledger"})
	if err != nil {
		t.Fatal(err)
	}
	return checkAudit(t, report, complete)
}

// checkAudit is what audited asks of a report.
func checkAudit(t *testing.T, report *publish.AuditReport, complete bool) uint64 {
	t.Helper()
	var events, missing, doubled uint64
	for i := range report.Rows {
		row := &report.Rows[i]
		missing += row.Missing
		doubled += row.Doubled
		if !strings.Contains(row.Subject, ".sensor.") {
			events += row.Stored
		}
	}
	if doubled > 0 || report.DoubledIDs > 0 || report.Unreadable > 0 {
		t.Errorf("the stream holds %d numbers and %d ids more than once (%v), %d unreadable", doubled, report.DoubledIDs, report.IDs, report.Unreadable)
	}
	if complete && !report.Clean() {
		t.Errorf("%d events are missing: %+v", missing, report.Runs)
	}
	return events
}
