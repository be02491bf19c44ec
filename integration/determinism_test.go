package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vmihailenco/msgpack/v5"
)

// TestDeterminism says that the number of workers changes nothing: the same
// events with the same ids, times and contents, byte for byte, in whatever order
// the workers made them.
func TestDeterminism(t *testing.T) {
	for _, name := range conformanceCaptures(t) {
		t.Run(name, func(t *testing.T) { sameWhateverTheWorkers(t, capturePath(t, name)) })
	}
}

// TestLongDeterminism says the same of the larger captures.
func TestLongDeterminism(t *testing.T) {
	if os.Getenv("FLOWSCOPE_LONG") != "1" {
		t.Skip("takes long: FLOWSCOPE_LONG is not 1")
	}
	for _, path := range loadCaptures(t) {
		t.Run(filepath.Base(path), func(t *testing.T) { sameWhateverTheWorkers(t, path) })
	}
}

func sameWhateverTheWorkers(t *testing.T, path string) {
	want := sortedPayloads(record(t, path, 1))
	for _, workers := range []int{2, 8} {
		got := sortedPayloads(record(t, path, workers))
		if !slices.Equal(got, want) {
			t.Errorf("%d workers and 1 worker give different events (-1 +%d):\n%s",
				workers, workers, cmp.Diff(readable(t, want), readable(t, got)))
		}
	}
}

func sortedPayloads(rec *recording) []string {
	return slices.Sorted(slices.Values(rec.payloads))
}

// readable turns payloads into something that a person can compare.
func readable(t *testing.T, payloads []string) []string {
	t.Helper()
	var lines []string
	for _, p := range payloads {
		var m map[string]any
		if err := msgpack.Unmarshal([]byte(p), &m); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, fmt.Sprint(m))
	}
	return slices.Sorted(slices.Values(lines))
}
