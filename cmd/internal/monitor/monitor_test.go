package monitor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"flowscope/cmd/internal/status"
	"flowscope/config"
	"flowscope/publish"
	"flowscope/publish/embedded"
)

// sample has a different number in every field that becomes a metric.
func sample() *status.Status {
	return &status.Status{
		Sensor: "edge-1", Run: "run1", Version: "v1", Time: time.Unix(200, 0), Started: time.Unix(100, 0),
		State: "capturing", Ready: true,
		Ledger: &publish.Ledger{
			Sensor: "edge-1", Run: "run1",
			Packets: publish.Packets{
				Received: 36, Handled: 1, Filtered: 2, Shed: 3, Duplicate: 4, NotIP: 5, FragmentsHeld: 6,
				Undecodable: publish.Reasons{"too_deep": 7}, DroppedKernel: 8,
			},
			Flows:    publish.Flows{Started: 19, Ended: publish.Reasons{"fin": 9}, Active: 10, Shed: 11},
			Events:   publish.Events{Made: 12, Acknowledged: 13, Dropped: publish.Reasons{"queue_full": 14}, Pending: 15, Resent: 16, Duplicates: 17, PossiblyDoubled: 18},
			Payload:  publish.PayloadBytes{Seen: 20, Delivered: 21, NoParser: 22, Buffered: 23},
			GapBytes: 24, Subjects: map[string]uint64{"flowscope.dns.query": 25},
		},
		Workers:    []status.Worker{{Packets: 26, Dropped: 27, WrongWorker: 28, FlowsActive: 29, Events: 30}},
		Interfaces: []status.Interface{{Name: "eth0", Received: 31, Dropped: 32, Unseen: 35, RxDropped: 33, RxMissed: 34}},
		Queue:      status.Queue{Bytes: 35, MaxBytes: 37, InFlight: 38},
		Protocols:  map[string]status.Protocol{"dns": {Messages: 39, Errors: 40, Gaps: 41, Bytes: 42}},
	}
}

func get(t *testing.T, h http.Handler, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

func TestMetrics(t *testing.T) {
	code, body := get(t, Handler(sample, false), "/metrics")
	if code != http.StatusOK {
		t.Fatalf("%d: %s", code, body)
	}
	for _, line := range []string{
		`flowscope_info{run="run1",sensor="edge-1",version="v1"} 1`,
		`flowscope_ready 1`,
		`flowscope_state{state="capturing"} 1`,
		`flowscope_state{state="shedding"} 0`,
		`flowscope_start_time_seconds 100`,
		`flowscope_packets_received_total 36`,
		`flowscope_packets_total{outcome="handled"} 1`,
		`flowscope_packets_total{outcome="undecodable"} 7`,
		`flowscope_packets_total{outcome="dropped_kernel"} 8`,
		`flowscope_packets_undecodable_total{reason="too_deep"} 7`,
		`flowscope_flows_ended_total{reason="fin"} 9`,
		`flowscope_flows_active 10`,
		`flowscope_flows_shed_total 11`,
		`flowscope_events_made_total 12`,
		`flowscope_events_total{outcome="acknowledged"} 13`,
		`flowscope_events_dropped_total{reason="queue_full"} 14`,
		`flowscope_events_pending 15`,
		`flowscope_payload_bytes_seen_total 20`,
		`flowscope_gap_bytes_total 24`,
		`flowscope_subject_events_total{subject="flowscope.dns.query"} 25`,
		`flowscope_worker_wrong_total{worker="0"} 28`,
		`flowscope_interface_rx_missed_total{interface="eth0"} 34`,
		`flowscope_interface_unseen_total{interface="eth0"} 35`,
		`flowscope_queue_bytes 35`,
		`flowscope_in_flight 38`,
		`flowscope_protocol_bytes_total{protocol="dns"} 42`,
	} {
		if !strings.Contains(body, "\n"+line+"\n") {
			t.Errorf("missing: %s", line)
		}
	}
	for _, name := range []string{"go_goroutines ", "go_gc_heap_live_bytes ", "process_"} {
		if !strings.Contains(body, "\n"+name) {
			t.Errorf("of the process and the runtime is missing: %s", name)
		}
	}
}

// fresh is a sensor that has counted nothing yet.
func fresh() *status.Status {
	return &status.Status{
		Ledger: &publish.Ledger{}, Subjects: []string{"flowscope.dns.query", "flowscope.sensor.dead_letter"},
		Workers: make([]status.Worker, 1), Interfaces: []status.Interface{{Name: "eth0"}},
		Protocols: map[string]status.Protocol{"dns": {}},
	}
}

// TestSeriesBeginAtZero: a rate counts from the first value that is there, so every
// label that is known must be there before something is counted under it.
func TestSeriesBeginAtZero(t *testing.T) {
	_, body := get(t, Handler(fresh, false), "/metrics")
	want := map[string][]string{
		`flowscope_packets_undecodable_total{reason=%q} 0`: {
			"link_type", "short_link_header", "short_ip_header", "bad_ip_header", "bad_ip_length", "short_transport_header",
			"bad_transport_header", "bad_checksum", "too_deep", "bad_fragment", "fragment_conflict", "fragment_timeout", "fragment_cap",
		},
		`flowscope_flows_ended_total{reason=%q} 0`:     {"fin", "rst", "idle", "evicted", "reused", "end_of_input", "shutdown"},
		`flowscope_events_dropped_total{reason=%q} 0`:  {"queue_full", "queue_tick", "queue_message", "queue_flow", "unknown_topic"},
		`flowscope_events_total{outcome=%q} 0`:         {"acknowledged", "dead_letter", "dropped", "filtered", "sent", "written"},
		`flowscope_subject_events_total{subject=%q} 0`: {"flowscope.dns.query", "flowscope.sensor.dead_letter"},
	}
	for format, labels := range want {
		name, _, _ := strings.Cut(format, "{")
		if n := strings.Count(body, "\n"+name+"{"); n != len(labels) {
			t.Errorf("%d series of %s, want %d", n, name, len(labels))
		}
		for _, label := range labels {
			if line := fmt.Sprintf(format, label); !strings.Contains(body, "\n"+line+"\n") {
				t.Errorf("missing: %s", line)
			}
		}
	}
}

// Counters end in _total, others do not, and all have help.
func TestMetricNames(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range Metrics() {
		if strings.HasSuffix(m.Name, "_total") != m.Counter {
			t.Errorf("%s: a counter's name ends in _total, no other", m.Name)
		}
		if m.Help == "" || seen[m.Name] {
			t.Errorf("%s: no help, or twice", m.Name)
		}
		seen[m.Name] = true
	}
}

// The table of docs/metrics.md lists each metric with its labels and help.
func TestMetricsAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, m := range Metrics() {
		kind := "gauge"
		if m.Counter {
			kind = "counter"
		}
		want = append(want, "| `"+m.Name+"` | "+kind+" | "+strings.Join(m.Labels, ", ")+" | "+m.Help+" |")
	}
	got := regexp.MustCompile("(?m)^\\| `flowscope_.*$").FindAllString(string(doc), -1)
	if !slices.Equal(got, want) {
		t.Errorf("docs/metrics.md should hold:\n%s", strings.Join(want, "\n"))
	}
}

func TestHealth(t *testing.T) {
	s := sample()
	h := Handler(func() *status.Status { return s }, false)
	for _, path := range []string{"/healthz", "/readyz"} {
		if code, body := get(t, h, path); code != http.StatusOK {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	s.Ready, s.Trouble = false, "no stream covers flowscope.>"
	if code, body := get(t, h, "/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(body, s.Trouble) {
		t.Errorf("/readyz: %d %s", code, body)
	}
	if code, _ := get(t, h, "/healthz"); code != http.StatusOK {
		t.Errorf("/healthz: %d", code)
	}
	code, body := get(t, h, "/status")
	var back status.Status
	if err := json.Unmarshal([]byte(body), &back); err != nil || code != http.StatusOK || back.Ledger.Packets.Received != 36 {
		t.Errorf("/status: %d %v %s", code, err, body)
	}
}

func TestPprofIsOff(t *testing.T) {
	if code, _ := get(t, Handler(sample, false), "/debug/pprof/"); code != http.StatusNotFound {
		t.Errorf("off: %d", code)
	}
	if code, _ := get(t, Handler(sample, true), "/debug/pprof/"); code != http.StatusOK {
		t.Errorf("on: %d", code)
	}
}

func TestServer(t *testing.T) {
	s, err := Listen(config.Monitor{Listen: "127.0.0.1:0"}, sample)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(config.Monitor{Listen: s.Addr()}, sample); err == nil || !strings.Contains(err.Error(), s.Addr()) || !strings.Contains(err.Error(), "monitor.listen") {
		t.Errorf("the same address twice: %v", err)
	}
	done := make(chan error)
	go func() { done <- s.Run(t.Context()) }()
	r, err := http.Get("http://" + s.Addr() + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(r.Body)
	r.Body.Close()
	if err != nil || string(body) != "ok\n" {
		t.Errorf("%q %v", body, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func natsServer(t *testing.T) *nats.Conn {
	t.Helper()
	s, err := embedded.Start(embedded.Config{Store: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	nc, err := s.Connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		nc.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return nc
}

// Two sensors both answer; the service's own verbs know them.
func TestService(t *testing.T) {
	nc := natsServer(t)
	names := []string{"edge-1", "edge-2"}
	for _, name := range names {
		s := sample()
		s.Sensor = name
		stop, err := Offer(nc, func() *status.Status { return s })
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := stop(); err != nil {
				t.Error(err)
			}
		}()
	}
	if got := gather(t, nc, StatusSubject, len(names), func(data []byte) string {
		var s status.Status
		if err := json.Unmarshal(data, &s); err != nil || s.Ledger == nil {
			t.Errorf("%v: %s", err, data)
		}
		return s.Sensor
	}); !slices.Equal(got, names) {
		t.Errorf("status: %v", got)
	}
	for _, verb := range []micro.Verb{micro.PingVerb, micro.InfoVerb, micro.StatsVerb} {
		subject, err := micro.ControlSubject(verb, ServiceName, "")
		if err != nil {
			t.Fatal(err)
		}
		if got := gather(t, nc, subject, len(names), func(data []byte) string {
			var id micro.ServiceIdentity
			if err := json.Unmarshal(data, &id); err != nil {
				t.Error(err)
			}
			return id.Metadata["sensor"]
		}); !slices.Equal(got, names) {
			t.Errorf("%v: %v", verb, got)
		}
	}
}

// gather returns the names of all that answer: n are waited for, and then whether
// there are more.
func gather(t *testing.T, nc *nats.Conn, subject string, n int, name func([]byte) string) []string {
	t.Helper()
	inbox := nc.NewInbox()
	sub, err := nc.SubscribeSync(inbox)
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.PublishRequest(subject, inbox, nil); err != nil {
		t.Fatal(err)
	}
	var got []string
	for {
		patience := 300 * time.Millisecond
		if len(got) < n {
			patience = 20 * time.Second
		}
		msg, err := sub.NextMsg(patience)
		if errors.Is(err, nats.ErrTimeout) {
			slices.Sort(got)
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, name(msg.Data))
	}
}
