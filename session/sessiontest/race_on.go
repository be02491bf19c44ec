//go:build race

package sessiontest

const raceEnabled = true
