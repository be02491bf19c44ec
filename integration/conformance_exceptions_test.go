package integration

import (
	"os"
	"strings"
	"testing"
)

// exception is a fact that we do not agree with, and why we are right.
type exception struct {
	capture, kind, what, reason, proof string
}

// loadExceptions reads testdata/exceptions.tsv: id of the fact, capture, project
// and kind, what it says, the reason, and the proof: a command and what it
// prints.
func loadExceptions(tb testing.TB) map[string]exception {
	tb.Helper()
	text, err := os.ReadFile("testdata/exceptions.tsv")
	if err != nil {
		tb.Fatal(err)
	}
	exceptions := map[string]exception{}
	for n, line := range strings.Split(string(text), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		cells := strings.Split(line, "\t")
		if len(cells) != 6 {
			tb.Fatalf("exceptions.tsv:%d: %d cells, want 6", n+1, len(cells))
		}
		for i, c := range cells {
			if strings.TrimSpace(c) == "" {
				tb.Fatalf("exceptions.tsv:%d: cell %d is empty", n+1, i+1)
			}
		}
		if _, twice := exceptions[cells[0]]; twice {
			tb.Fatalf("exceptions.tsv:%d: %s is listed twice", n+1, cells[0])
		}
		exceptions[cells[0]] = exception{cells[1], cells[2], cells[3], cells[4], cells[5]}
	}
	return exceptions
}
