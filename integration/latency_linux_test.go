package integration

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"flowscope/parsers"
	"flowscope/publish"
	"flowscope/publish/embedded"
	"flowscope/session"
)

// maxLatency is the promise: from the packet to the stream, for 99 of 100 events,
// at any rate.
const maxLatency = 200 * time.Millisecond

// TestLiveLatency replays DNS over a cable and compares the time that the kernel
// gave to each packet with the time at which the server stored the event.
func TestLiveLatency(t *testing.T) {
	s := newSite(t, "tcpreplay")
	s.quiet()
	for _, mode := range []struct{ name, config string }{
		{"one by one", ""},
		{"fast", "mode: fast, "},
		{"batched", "batch_bytes: 32768, "},
	} {
		for _, rate := range []int{20, 5000} {
			t.Run(fmt.Sprintf("%s at %d packets a second", mode.name, rate), func(t *testing.T) {
				s := &site{t, s.near, s.far}
				// A machine that is busy elsewhere makes all of it later, never sooner.
				const tries = 3
				for try := 1; ; try++ {
					p99 := s.latency(mode.config, rate)
					if p99 <= maxLatency {
						return
					}
					if try == tries {
						t.Fatalf("99 of 100 are stored within %v, want %v", p99, maxLatency)
					}
				}
			})
		}
	}
}

// latency is within what time 99 of 100 events are stored, in a run of its own.
func (s *site) latency(config string, rate int) time.Duration {
	s.t.Helper()
	t := s.t
	store := t.TempDir()
	run := s.sensorWith("workers: 2\npublish: {"+config+"embedded: {store: "+strconv.Quote(store)+"}}\n", "--iface", "n0")
	s.run("ip", "netns", "exec", s.far, "tcpreplay", "-q", "-K", "-i", "f0",
		fmt.Sprintf("--pps=%d", rate), fmt.Sprintf("--limit=%d", 3*rate), "--loop=0", "--unique-ip", "testdata/dns.pcap")
	if code := run.stop(); code != 130 {
		t.Errorf("status %d:\n%s", code, run.log)
	}
	late := lateness(t, store)
	if len(late) < rate {
		t.Fatalf("%d messages of %d packets", len(late), 3*rate)
	}
	p99 := late[len(late)*99/100]
	t.Logf("%d messages: half within %v, 99 of 100 within %v, all within %v",
		len(late), late[len(late)/2].Round(time.Millisecond), p99.Round(time.Millisecond), late[len(late)-1].Round(time.Millisecond))
	return p99
}

// lateness is how long after its packet each message of a protocol was stored, in
// ascending order.
func lateness(t *testing.T, store string) (late []time.Duration) {
	t.Helper()
	server, err := embedded.Open(store)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	}()
	var nc *nats.Conn
	if nc, err = server.Connect(); err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	registry, err := session.NewRegistry(parsers.All()...)
	if err != nil {
		t.Fatal(err)
	}
	cfg := publish.SubscribeConfig{Subjects: []string{"flowscope.dns.query", "flowscope.dns.response"}, UntilCaughtUp: true}
	for e, err := range publish.ReceiveEvents(t.Context(), nc, cfg, registry) {
		if err != nil {
			t.Fatal(err)
		}
		late = append(late, e.Delivery.Stored.Sub(e.Time.Time()))
	}
	slices.Sort(late)
	return late
}
