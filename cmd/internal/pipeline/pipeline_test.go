package pipeline

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"flowscope/flow"
	"flowscope/ingest"
	"flowscope/parsers"
	"flowscope/publish"
	"flowscope/session"
)

const capture = "../../../integration/testdata/dns.pcap"

type event struct {
	ID   string    `json:"id"`
	TS   time.Time `json:"ts"`
	Kind string    `json:"kind"`
	Side string    `json:"side"`
}

// replay runs a capture with so many workers, shedding at a level, and returns the
// events as they came.
func replay(t *testing.T, workers int, level uint32) ([]byte, *publish.Ledger) {
	t.Helper()
	src, err := ingest.Open(capture)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	registry, err := session.NewRegistry(parsers.All()...)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	transport, err := publish.NewWriter(&out, publish.JSON)
	if err != nil {
		t.Fatal(err)
	}
	p, err := publish.New(publish.DefaultConfig(), publish.Options{
		Sensor: "s", Run: "r", Registry: registry, Workers: workers,
	}, transport)
	if err != nil {
		t.Fatal(err)
	}
	l, err := New(Config{
		Sensor: "s", Run: "r", Workers: workers, Flow: flow.DefaultConfig(),
		Session: session.DefaultConfig(), Registry: registry,
	}, src, p)
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range l.tables {
		table.Shed(level)
	}
	done := make(chan error)
	go func() { done <- p.Run(t.Context()) }()
	if err := l.Run(t.Context()); err != nil {
		t.Error(err)
	}
	if err := p.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	return out.Bytes(), l.Ledger()
}

// replayed runs a capture without shedding.
func replayed(t *testing.T, workers int) ([]event, *publish.Ledger) {
	t.Helper()
	out, ledger := replay(t, workers, 0)
	var events []event
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var e event
		if err := d.Decode(&e); err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	return events, ledger
}

// With one worker messages come in the order of the packets, whose times do not
// run backwards in this capture.
func TestOrderOfOneWorker(t *testing.T) {
	events, _ := replayed(t, 1)
	var last time.Time
	for _, e := range events {
		if e.Kind != "query" && e.Kind != "response" {
			continue
		}
		if e.TS.Before(last) {
			t.Errorf("%s at %v comes after %v", e.ID, e.TS, last)
		}
		last = e.TS
	}
}

func TestWorkersDoNotMatter(t *testing.T) {
	sorted := func(events []event) []string {
		var lines []string
		for _, e := range events {
			lines = append(lines, fmt.Sprint(e))
		}
		slices.Sort(lines)
		return lines
	}
	one, _ := replayed(t, 1)
	for _, workers := range []int{2, 8} {
		many, _ := replayed(t, workers)
		if diff := cmp.Diff(sorted(one), sorted(many)); diff != "" {
			t.Errorf("%d workers: %s", workers, diff)
		}
	}
}

// The counts of packets and messages are tshark's, over UDP and TCP.
func TestLedger(t *testing.T) {
	for _, workers := range []int{1, 3} {
		events, l := replayed(t, workers)
		if err := l.Balance(); err != nil {
			t.Error(err)
		}
		got := []uint64{l.Packets.Received, l.Packets.NotIP, l.Subjects["flowscope.dns.query"], l.Subjects["flowscope.dns.response"], l.Flows.Active}
		if diff := cmp.Diff([]uint64{241, 2, 89, 85, 0}, got); diff != "" {
			t.Errorf("%d workers: %s", workers, diff)
		}
		if l.Events.Written != uint64(len(events)) {
			t.Errorf("%d workers: written %d, came %d", workers, l.Events.Written, len(events))
		}
	}
}

func TestNoWorkers(t *testing.T) {
	if _, err := New(Config{}, nil, nil); err == nil {
		t.Error("no error")
	}
}
