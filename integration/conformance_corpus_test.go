package integration

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// corpusDir returns the folder of captures that other projects recorded.
func corpusDir(tb testing.TB) string {
	tb.Helper()
	dir := os.Getenv("FLOWSCOPE_CORPUS")
	if dir == "" {
		dir = "../../shared/captures"
	}
	if _, err := os.Stat(filepath.Join(dir, "conformance", "FACTS.jsonl")); err != nil {
		if os.Getenv("FLOWSCOPE_REQUIRE_CORPUS") == "1" {
			tb.Fatalf("FLOWSCOPE_REQUIRE_CORPUS=1, and there is no corpus: %v", err)
		}
		tb.Skipf("no corpus of captures (set FLOWSCOPE_CORPUS): %v", err)
	}
	return dir
}

// conformanceCaptures returns the captures that facts speak of, as INDEX.tsv
// lists them: paths below the folder conformance, sorted.
func conformanceCaptures(tb testing.TB) []string {
	tb.Helper()
	index, err := os.ReadFile(filepath.Join(corpusDir(tb), "conformance", "INDEX.tsv"))
	if err != nil {
		tb.Fatal(err)
	}
	var captures []string
	for _, line := range strings.Split(strings.TrimSpace(string(index)), "\n")[1:] {
		name, _, _ := strings.Cut(line, "\t")
		captures = append(captures, name)
	}
	slices.Sort(captures)
	if len(captures) == 0 {
		tb.Fatal("INDEX.tsv lists no captures")
	}
	return captures
}

// loadCaptures returns the paths of the larger captures, sorted.
func loadCaptures(tb testing.TB) []string {
	tb.Helper()
	var captures []string
	for _, pattern := range []string{"*.pcap", "*.mcap"} {
		found, err := filepath.Glob(filepath.Join(corpusDir(tb), "load", pattern))
		if err != nil {
			tb.Fatal(err)
		}
		captures = append(captures, found...)
	}
	slices.Sort(captures)
	if len(captures) == 0 {
		tb.Fatal("the corpus has no load captures")
	}
	return captures
}

// capturePath returns where a conformance capture is.
func capturePath(tb testing.TB, name string) string {
	return filepath.Join(corpusDir(tb), "conformance", filepath.FromSlash(name))
}

// expectation returns the text of a file beside a capture: what the project that
// recorded it says about it.
func expectation(tb testing.TB, capture, name string) string {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join(capturePath(tb, capture)+".expect", name))
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}
