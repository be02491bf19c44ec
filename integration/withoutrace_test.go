package integration

import "testing"

// withoutRace skips comparisons of every capture with another program under the
// race detector: they take minutes, and run without it in the same breath.
func withoutRace(t *testing.T) {
	t.Helper()
	if raceEnabled {
		t.Skip("compared without the race detector")
	}
}
