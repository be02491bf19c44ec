package integration

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"testing"
	"time"

	"flowscope/ingest"
	"flowscope/session"
)

// captureHeader is how many bytes at the front of a capture are left alone, so
// that damage strikes packets and not only the file.
const captureHeader = 24

// What a damaged capture may take: time, events in relation to its size, and memory
// that stays when all is over.
const (
	mutationTime   = time.Minute
	mutationEvents = 50
	mutationGrowth = 32 << 20
)

// TestMutations damages every capture in seeded ways. Whatever comes of it,
// nothing panics or hangs, events and memory stay in bounds, and every packet,
// flow, byte and event is accounted for.
func TestMutations(t *testing.T) {
	seeds := 4
	if os.Getenv("FLOWSCOPE_LONG") == "1" {
		seeds = 100
	}
	var variants, unreadable int
	var slowest time.Duration
	var most float64
	goroutines, memory := runtime.NumGoroutine(), uint64(0)
	for _, path := range damagedCaptures(t) {
		name := captureName(path)
		t.Run(name, func(t *testing.T) {
			whole, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for seed := range seeds {
				damaged := mutate(whole, uint64(seed))
				src, err := ingest.NewReader(bytes.NewReader(damaged), name)
				if err != nil {
					unreadable++
					continue // no capture any more
				}
				began := time.Now()
				rec := recordSource(t, fmt.Sprintf("%s, seed %d", name, seed), src, 1+seed%2)
				took := time.Since(began)
				checkEquations(t, rec)
				if err := src.Close(); err != nil {
					t.Error(err)
				}
				size := 0
				for _, payload := range rec.payloads {
					size += len(payload)
				}
				variants, slowest = variants+1, max(slowest, took)
				most = max(most, float64(size)/float64(len(damaged)))
				if took > mutationTime || size > 1<<20+mutationEvents*len(damaged) {
					t.Errorf("%d bytes give %d bytes of events in %v", len(damaged), size, took)
				}
				if t.Failed() {
					t.Fatalf("with seed %d", seed)
				}
			}
		})
		if live := liveMemory(); memory == 0 {
			memory = live
		} else if live > memory+mutationGrowth {
			t.Fatalf("%s: %d bytes stay, %d after the first capture", name, live, memory)
		}
	}
	t.Logf("%d variants, %d more no captures any more; the slowest took %v; events of up to %.1f times the bytes of their capture; %d goroutines before, %d after",
		variants, unreadable, slowest, most, goroutines, runtime.NumGoroutine())
	if variants < 9*seeds {
		t.Errorf("only %d variants could be read", variants)
	}
	if n := runtime.NumGoroutine(); n > goroutines+10 { // some may just be ending
		t.Errorf("%d goroutines before, %d after", goroutines, n)
	}
}

// liveMemory is how many bytes are reachable.
func liveMemory() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// damagedCaptures returns the captures of others and our own, which hold every
// protocol.
func damagedCaptures(tb testing.TB) []string {
	files := recordings(tb)
	for _, name := range conformanceCaptures(tb) {
		files = append(files, capturePath(tb, name))
	}
	return files
}

// TestDamageLater damages captures from some packet on. The messages of the
// packets before it come out as they do from a capture that ends there.
func TestDamageLater(t *testing.T) {
	compared := map[string]int{}
	for _, path := range damagedCaptures(t) {
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		records := pcapRecords(whole)
		if len(records) < 2 {
			continue // no pcap, or nothing to come before
		}
		r := rand.New(rand.NewPCG(1, uint64(len(whole))))
		for range 2 {
			at := records[1+r.IntN(len(records)-1)]
			damaged := bytes.Clone(whole)
			for i := at + pcapRecordHeader; i < len(damaged); i += 1 + r.IntN(20) {
				damaged[i] = byte(r.Uint32())
			}
			after := map[string]bool{}
			for _, payload := range recordBytes(t, path, damaged).payloads {
				after[payload] = true
			}
			before := recordBytes(t, path, whole[:at])
			for i, ev := range before.events {
				// What the end of the input makes is not of a packet.
				if ev.Type != session.Application || ev.Truncated || ev.Kind == "unanswered" || ev.Kind == "handshake" {
					continue
				}
				compared[ev.Protocol]++
				if !after[before.payloads[i]] {
					t.Errorf("%s damaged from %d on: %s %s %s is missing", path, at, ev.ID(), ev.Protocol, ev.Kind)
				}
			}
		}
	}
	t.Log(compared)
	for _, protocol := range []string{"dns", "mdns", "llmnr", "ntp", "snmp", "syslog", "http", "tls"} {
		if compared[protocol] == 0 {
			t.Errorf("no messages of %s", protocol)
		}
	}
}

func recordBytes(t *testing.T, path string, capture []byte) *recording {
	t.Helper()
	src, err := ingest.NewReader(bytes.NewReader(capture), path)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	return recordSource(t, path, src, 1)
}

// pcapRecordHeader is the length of a record's header in a pcap file.
const pcapRecordHeader = 16

// pcapRecords returns where the records of a pcap file begin; nothing for files of
// other formats.
func pcapRecords(b []byte) (offsets []int) {
	if len(b) < captureHeader {
		return nil
	}
	var order binary.ByteOrder = binary.LittleEndian
	switch binary.BigEndian.Uint32(b) {
	case 0xa1b2c3d4, 0xa1b23c4d:
		order = binary.BigEndian
	case 0xd4c3b2a1, 0x4d3cb2a1:
	default:
		return nil
	}
	for off := captureHeader; off+pcapRecordHeader <= len(b); {
		offsets = append(offsets, off)
		size := int(order.Uint32(b[off+8:]))
		if size > len(b) {
			break
		}
		off += pcapRecordHeader + size
	}
	return offsets
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
