package cmd

import (
	"bytes"
	"os"
	"strconv"
)

// peakMemory is the largest resident memory of the process so far in bytes, 0 if
// the system does not say. The resource usage would count what this process was
// before it became flowscope.
func peakMemory() uint64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(text) {
		if fields := bytes.Fields(line); len(fields) == 3 && string(fields[0]) == "VmHWM:" {
			kib, _ := strconv.ParseUint(string(fields[1]), 10, 64)
			return kib << 10
		}
	}
	return 0
}
