package flow

import (
	"os"
	"path/filepath"
	"testing"

	"flowscope/ingest"
)

// corpusFiles returns the conformance captures, or nothing where there are none.
func corpusFiles(tb testing.TB) []string {
	dir := os.Getenv("FLOWSCOPE_CORPUS")
	if dir == "" {
		dir = "../../shared/captures"
	}
	files, err := filepath.Glob(filepath.Join(dir, "conformance", "*", "*.pcap*"))
	if err != nil {
		tb.Fatal(err)
	}
	var captures []string
	for _, f := range files {
		if info, err := os.Stat(f); err == nil && info.Mode().IsRegular() {
			captures = append(captures, f)
		}
	}
	if len(captures) == 0 && os.Getenv("FLOWSCOPE_REQUIRE_CORPUS") == "1" {
		tb.Fatalf("no captures under %s", dir)
	}
	return captures
}

// eachPacket calls f with every packet of a capture, owned.
func eachPacket(tb testing.TB, path string, f func(ingest.Packet)) {
	src, err := ingest.Open(path)
	if err != nil {
		return // what is not a capture holds no packets
	}
	defer src.Close()
	batch := make([]ingest.Packet, 64)
	for {
		n, err := src.ReadBatch(batch)
		for _, p := range batch[:n] {
			p.Data = append([]byte(nil), p.Data...)
			f(p)
		}
		if err != nil {
			return
		}
	}
}

// seedCorpus adds the first packets of each capture.
func seedCorpus(f *testing.F) {
	for _, path := range corpusFiles(f) {
		n := 0
		eachPacket(f, path, func(p ingest.Packet) {
			if n++; n <= 3 {
				f.Add(uint32(p.Interface.LinkType), p.Data)
			}
		})
	}
}
