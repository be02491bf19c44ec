package publish

import (
	"math"
	"testing"
	"time"

	"flowscope/session/pack"
)

func TestTimesOfTheEnvelope(t *testing.T) {
	for name, ns := range map[string]int64{
		"epoch": 0, "just before": -1, "earliest": math.MinInt64, "latest": math.MaxInt64, "a second before": -1e9, "whole": 1_700_000_000e9,
	} {
		f := fields{reader: reader{b: pack.Time(nil, ns)}}
		if got := f.time(); got != ns || f.err != nil {
			t.Errorf("%s: %d, %v; want %d", name, got, f.err, ns)
		}
	}
	for name, at := range map[string]time.Time{
		"year 3000": time.Date(3000, 1, 1, 0, 0, 0, 0, time.UTC), "year 1000": time.Date(1000, 1, 1, 0, 0, 0, 0, time.UTC),
		"one after the latest": time.Unix(0, math.MaxInt64).Add(1), "one before the earliest": time.Unix(0, math.MinInt64).Add(-1),
		"far": time.Unix(1<<60, 5),
	} {
		f := fields{reader: reader{b: pack.TimeOf(nil, at)}}
		if got := f.time(); f.err == nil {
			t.Errorf("%s: read as %d", name, got)
		}
	}
}
