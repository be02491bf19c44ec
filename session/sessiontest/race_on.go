//go:build race

package sessiontest

const raceEnabled = true

// maxPoints is how many places of a stream are tried: fewer than without the race
// detector, which looks for something else and makes each take ten times as long.
const maxPoints = 100
