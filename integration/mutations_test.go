package integration

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"flowscope/ingest"
)

// captureHeader is how many bytes at the front of a capture are left alone, so
// that damage strikes packets and not only the file.
const captureHeader = 24

// TestMutations damages every capture in seeded ways. Whatever comes of it,
// nothing panics and every packet, flow, byte and event is accounted for.
func TestMutations(t *testing.T) {
	seeds := 4
	if os.Getenv("FLOWSCOPE_LONG") == "1" {
		seeds = 100
	}
	for _, name := range conformanceCaptures(t) {
		t.Run(name, func(t *testing.T) {
			whole, err := os.ReadFile(capturePath(t, name))
			if err != nil {
				t.Fatal(err)
			}
			for seed := range seeds {
				damaged := mutate(whole, uint64(seed))
				src, err := ingest.NewReader(bytes.NewReader(damaged), name)
				if err != nil {
					continue // no capture any more
				}
				checkEquations(t, recordSource(t, fmt.Sprintf("%s, seed %d", name, seed), src, 1+seed%2))
				if err := src.Close(); err != nil {
					t.Error(err)
				}
				if t.Failed() {
					t.Fatalf("with seed %d", seed)
				}
			}
		})
	}
}

// mutate returns a damaged copy: bytes changed, a stretch doubled or cut out, the
// end missing.
func mutate(whole []byte, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, uint64(len(whole))))
	b := bytes.Clone(whole)
	if len(b) <= captureHeader+1 {
		return b
	}
	place := func() int { return captureHeader + r.IntN(len(b)-captureHeader) }
	for range 1 + r.IntN(1+len(b)/200) {
		b[place()] = byte(r.Uint32())
	}
	from := place()
	to := min(len(b), from+r.IntN(200))
	switch r.IntN(4) {
	case 0:
		b = append(b[:to:to], b[from:]...)
	case 1:
		b = append(b[:from:from], b[to:]...)
	case 2:
		b = b[:from]
	}
	return b
}
