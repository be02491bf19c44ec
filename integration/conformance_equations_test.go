package integration

import (
	"path/filepath"
	"testing"

	"flowscope/flow"
	"flowscope/session"
)

// TestConformanceEquations holds what must be true of every run, whatever is in
// the capture: all packets, flows and payload bytes are accounted for, and every
// flow is told from its first event to its last.
func TestConformanceEquations(t *testing.T) {
	for _, name := range conformanceCaptures(t) {
		t.Run(name, func(t *testing.T) {
			checkEquations(t, record(t, capturePath(t, name), 2))
		})
	}
	for _, path := range loadCaptures(t) {
		t.Run("load/"+filepath.Base(path), func(t *testing.T) {
			checkEquations(t, record(t, path, 2))
		})
	}
}

func checkEquations(t *testing.T, rec *recording) {
	t.Helper()
	equal := func(what string, got, want uint64) {
		if got != want {
			t.Errorf("%s: %d, want %d", what, got, want)
		}
	}
	outcomes := uint64(0)
	for _, n := range rec.table.Packets {
		outcomes += n
	}
	equal("sum of packet outcomes", outcomes, rec.ingest.Packets)

	ended := uint64(0)
	for _, n := range rec.table.FlowsEnded {
		ended += n
	}
	equal("flows active at the end", rec.table.FlowsActive, 0)
	equal("flows ended", ended, rec.table.FlowsStarted)
	equal("flows told of", uint64(len(rec.flows)), rec.table.FlowsStarted)

	tb, s := &rec.table, &rec.session
	equal("payload accounted for", tb.PayloadAccounted(), tb.PayloadSeen)
	equal("payload buffered at the end", tb.PayloadBuffered, 0)
	equal("payload delivered, unread and buffered", s.PayloadDelivered+s.PayloadNoParser+s.PayloadBuffered, tb.PayloadUp)
	equal("payload buffered at the end", s.PayloadBuffered, 0)
	equal("parsers that panicked", s.ParserPanics, 0)

	ids := map[string]bool{}
	for _, ev := range rec.events {
		if ids[ev.ID()] {
			t.Errorf("id %s was given twice", ev.ID())
		}
		ids[ev.ID()] = true
	}
	packets, payload := uint64(0), uint64(0)
	for _, f := range rec.flows {
		checkStory(t, f)
		if f.stats != nil {
			for _, side := range f.stats.Sides {
				packets += side.Packets
				payload += side.PayloadBytes
			}
		}
	}
	equal("fragments held at the end", tb.Packets[flow.FragmentHeld], 0)
	equal("packets of all flows", packets, tb.Packets[flow.Handled])
	equal("payload of all flows", payload, tb.PayloadSeen)
}

// checkStory checks the events of one flow: one started first, one closed last,
// numbered without a hole.
func checkStory(t *testing.T, f *flowRecord) {
	t.Helper()
	id := f.info.ID
	for i, ev := range f.events {
		first, last := i == 0, i == len(f.events)-1
		if ev.Seq != uint64(i) {
			t.Errorf("flow %s: event %d has seq %d", id, i, ev.Seq)
		}
		if first != (ev.Type == session.Started) {
			t.Errorf("flow %s: event %d of %d is %s", id, i, len(f.events), ev.Kind)
		}
		if last != (ev.Type == session.Closed) {
			t.Errorf("flow %s: event %d of %d is %s", id, i, len(f.events), ev.Kind)
		}
		if ev.Protocol != f.protocol {
			t.Errorf("flow %s: event %d is of protocol %s, the first of %s", id, i, ev.Protocol, f.protocol)
		}
		if last && ev.Events != uint64(len(f.events)) {
			t.Errorf("flow %s: closed counts %d events of %d", id, ev.Events, len(f.events))
		}
	}
	if f.stats != nil && f.events[0].Time != f.stats.First {
		t.Errorf("flow %s: started at %v, its first packet came at %v", id, f.events[0].Time, f.stats.First)
	}
}
