package integration

import "testing"

// withoutRace skips under the race detector what takes long and is not looked at by
// it: comparisons of every capture with another program, and containers that hold
// programs of their own. It runs without the detector in the same breath.
func withoutRace(t *testing.T) {
	t.Helper()
	if raceEnabled {
		t.Skip("run without the race detector")
	}
}
