//go:build linux

package integration

import (
	"path/filepath"
	"testing"
	"time"
)

// Two sensors on one stream do not disturb each other, whatever happens to the
// server.
func testTwoSensors(t *testing.T, built programs) {
	server := startNATS(t, built.server, t.TempDir(), "one", "")
	createStream(t, server, nil)
	rounds := chaosRounds()
	flows := 2000 * (rounds + 1)
	capture := filepath.Join(t.TempDir(), "two.pcap")
	writeCapture(t, capture, flows, time.Duration(rounds+1)*time.Second, 0, 0)
	a := startReplay(t, built.flowscope, server.url(), capture, "", "--sensor", "a")
	b := startReplay(t, built.flowscope, server.url(), capture, "  mode: fast\n", "--sensor", "b")
	awaitEvents(t, server, 100)
	for range rounds {
		<-time.After(500 * time.Millisecond)
		server.kill()
		server.start()
		server.await()
	}
	for _, r := range []*replayProcess{a, b} {
		l, status := r.end(2 * time.Minute)
		r.check(l, status, uint64(eventsPerFlow*flows))
	}
	if got := audited(t, server.url(), true); got != uint64(2*eventsPerFlow*flows) {
		t.Errorf("the stream holds %d events, want %d", got, 2*eventsPerFlow*flows)
	}
}
