//go:build linux

package integration

import (
	"path/filepath"
	"testing"
	"time"
)

// After 11 s of silence the server has forgotten the batch of fast ingest; the
// other ways do not mind.
func testIdle(t *testing.T, built programs, w way) {
	server := startNATS(t, built.server, t.TempDir(), "one", "")
	createStream(t, server, nil)
	rounds := chaosRounds()
	flows := 500 * (rounds + 1)
	capture := filepath.Join(t.TempDir(), "idle.pcap")
	writeCapture(t, capture, flows, time.Duration(rounds+1)*time.Second, rounds, 11*time.Second)
	// A busy machine's late answers are not what this is about.
	r := startReplay(t, built.flowscope, server.url(), capture, w.config+"  ack_timeout: 30s\n")
	l, status := r.end(time.Duration(rounds+1)*12*time.Second + time.Minute)
	r.check(l, status, uint64(eventsPerFlow*flows))
	if got := audited(t, server.url(), true); got != l.Events.Acknowledged {
		t.Errorf("the stream holds %d events, %d are acknowledged", got, l.Events.Acknowledged)
	}
	if l.Events.Resent != 0 {
		t.Errorf("%d events were sent twice although nothing happened", l.Events.Resent)
	}
}
