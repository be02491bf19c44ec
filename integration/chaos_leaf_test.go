//go:build linux

package integration

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"flowscope/publish"
)

// Two edge sensors store their events themselves and join a hub, whose stream has
// theirs as sources. The hub is killed meanwhile; in the end it holds each event
// once, and a stream of the hub that takes the same subjects holds none.
func testLeafNodes(t *testing.T, built programs) {
	leafs := freeAddress(t)
	hub := startNATS(t, built.server, t.TempDir(), "hub", fmt.Sprintf(
		"leafnodes { listen: %q, authorization { user: edge, password: secret } }", leafs))
	// The domain is part of JetStream's block, which the tools write.
	addDomain(t, hub, "hub")
	js := hub.jetStream()
	var sources []*jetstream.StreamSource
	edges := []string{"edge1", "edge2"}
	for _, edge := range edges {
		sources = append(sources, &jetstream.StreamSource{Name: "FLOWSCOPE", External: &jetstream.ExternalStream{APIPrefix: "$JS." + edge + ".API"}})
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "EVENTS", Sources: sources}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "TRAP", Subjects: []string{"flowscope.>"}}); err != nil {
		t.Fatal(err)
	}

	login := filepath.Join(t.TempDir(), "login")
	if err := os.WriteFile(login, []byte("edge:secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	rounds := chaosRounds()
	flows := 1000 * (rounds + 1)
	capture := filepath.Join(t.TempDir(), "edge.pcap")
	writeCapture(t, capture, flows, time.Duration(rounds+1)*time.Second, 0, 0)
	var running []*replayProcess
	for _, edge := range edges {
		config := fmt.Sprintf("  stream: {domain: %s}\n  embedded:\n    leaf: {servers: [%q], user_file: %s}\n", edge, "nats://"+leafs, login)
		config += fmt.Sprintf("    listen: %q\n", freeAddress(t))
		running = append(running, startReplay(t, built.flowscope, "embedded", capture, config,
			"--sensor", edge, "--keep", filepath.Join(t.TempDir(), edge), "--serve"))
	}
	for range rounds {
		<-time.After(500 * time.Millisecond)
		hub.kill()
		<-time.After(200 * time.Millisecond)
		hub.start()
		hub.await()
		<-time.After(300 * time.Millisecond)
	}
	// Each edge tells its ledger last.
	want := uint64(2 * (eventsPerFlow*flows + 1))
	stream := hub.stream("EVENTS")
	awaitTrue(t, "the events at the hub", func() bool {
		info, err := stream.Info(t.Context())
		return err == nil && info.State.Msgs >= want
	})
	for _, r := range running {
		if err := r.cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		l, status := r.end(time.Minute)
		if status != 130 { // interrupted while it served
			t.Errorf("status %d, want 130", status)
		}
		if e := l.Events; e.Acknowledged != uint64(eventsPerFlow*flows) || e.Made != e.Acknowledged || e.Resent != 0 {
			t.Errorf("%+v, want %d acknowledged by the edge itself", e, eventsPerFlow*flows)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	report, err := publish.Audit(ctx, js.Conn(), publish.SubscribeConfig{Stream: "EVENTS", Subjects: []string{"flowscope.>"}},
		[]string{"flowscope.sensor.heartbeat", "flowscope.sensor.ledger"})
	if err != nil {
		t.Fatal(err)
	}
	if !report.Clean() || report.Events != want {
		t.Errorf("the hub holds %d events, want %d: %d ids doubled, %d unreadable, %+v", report.Events, want, report.DoubledIDs, report.Unreadable, report.Runs)
	}
	if n := hub.stream("TRAP").CachedInfo().State.Msgs; n != 0 {
		t.Errorf("%d events have crossed the connection by themselves", n)
	}
}

// addDomain gives a server a JetStream domain and starts it anew.
func addDomain(t *testing.T, s *natsProcess, domain string) {
	t.Helper()
	text, err := os.ReadFile(s.config)
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, fmt.Sprintf("jetstream { domain: %s, store_dir: %q }\n", domain, t.TempDir())...)
	if err := os.WriteFile(s.config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	s.kill()
	s.start()
	s.await()
}
