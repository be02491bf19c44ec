//go:build !linux

package cmd

import "runtime"

// peakMemory is what the runtime took from the system so far in bytes, which is
// at least the largest resident memory.
func peakMemory() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Sys
}
