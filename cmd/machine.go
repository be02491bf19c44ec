package cmd

import (
	"crypto/rand"
	"fmt"
	"os"
	"runtime"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"

	"golang.org/x/term"
)

// processors is the number of workers where nothing else is said.
func processors() int { return runtime.GOMAXPROCS(0) }

// heapBytes is the memory of live and not yet collected objects.
func heapBytes() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

func hostName() (string, error) {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "", fmt.Errorf("find the host's name: %w: give --sensor NAME", err)
	}
	return name, nil
}

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// newRun returns an id for this run, of a-z and 0-9: the second, so that ids of
// one sensor can be sorted, and enough chance that no two are alike.
func newRun() string {
	return strconv.FormatInt(time.Now().Unix(), 36) + strings.ToLower(rand.Text()[:8])
}
