package pipeline

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"flowscope/flow"
)

func TestShedderLevels(t *testing.T) {
	var s shedder
	at := time.Unix(1000, 0)
	for i, step := range []struct {
		after time.Duration
		fill  float64
		level uint32
	}{
		{0, 0.79, 0},
		{time.Second, 0.8, 1},
		{500 * time.Millisecond, 0.9, 1}, // a level has a second to help
		{500 * time.Millisecond, 0.9, 2},
		{time.Second, 0.7, 2},
		{time.Second, 0.5, 2},
		{9 * time.Second, 0.4, 2},
		{500 * time.Millisecond, 0.6, 2}, // not calm for ten seconds
		{time.Second, 0.3, 2},
		{9900 * time.Millisecond, 0.3, 2},
		{100 * time.Millisecond, 0.3, 0},
		{time.Millisecond, 0.95, 1},
	} {
		at = at.Add(step.after)
		before := s.level.Load()
		if changed := s.look(step.fill, at); s.level.Load() != step.level || changed != (before != step.level) {
			t.Errorf("step %d: level %d, want %d, changed %v", i, s.level.Load(), step.level, changed)
		}
	}
	for range 20 {
		at = at.Add(2 * time.Second)
		s.look(1, at)
	}
	if s.level.Load() != flow.MaxShedding {
		t.Errorf("level %d", s.level.Load())
	}
}

// shedEvent is what an event of a flow says, without the weight.
func shedEvents(t *testing.T, out []byte) (events map[string]map[string]any, weights map[string]float64) {
	t.Helper()
	events, weights = map[string]map[string]any{}, map[string]float64{}
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		e := map[string]any{}
		if err := d.Decode(&e); err != nil {
			t.Fatal(err)
		}
		id := e["id"].(string)
		if w, ok := e["weight"]; ok {
			weights[id] = w.(float64)
		}
		delete(e, "weight")
		events[id] = e
	}
	return events, weights
}

// TestShedEvents replays a capture with and without shedding: each event of a flow
// that is followed is the same to the last key, and has the weight; the ledger
// closes.
func TestShedEvents(t *testing.T) {
	out, _ := replay(t, 2, 0)
	whole, weights := shedEvents(t, out)
	if len(weights) > 0 {
		t.Errorf("weights %v without shedding", weights)
	}
	for _, level := range []uint32{1, 2, 3} {
		out, ledger := replay(t, 2, level)
		events, weights := shedEvents(t, out)
		for id, e := range events {
			if diff := cmp.Diff(whole[id], e); diff != "" {
				t.Errorf("level %d: (-whole +shed):\n%s", level, diff)
			}
			if weights[id] != float64(int(1)<<level) {
				t.Errorf("level %d: weight %v", level, weights[id])
			}
		}
		if err := ledger.Balance(); err != nil {
			t.Error(err)
		}
		if ledger.Packets.Received != 241 || ledger.Packets.Shed == 0 || ledger.Flows.Shed == 0 || len(events) == 0 || len(events) >= len(whole) {
			t.Errorf("level %d: %d of %d events, %+v %+v", level, len(events), len(whole), ledger.Packets, ledger.Flows)
		}
	}
}
