//go:build !race

package sessiontest

const raceEnabled = false

// maxPoints is how many places of a stream are tried; all of a small one.
const maxPoints = 500
