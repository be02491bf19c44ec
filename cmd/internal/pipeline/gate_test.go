package pipeline

import (
	"testing"

	"flowscope/flow"
	"flowscope/ingest"
)

// counting is a handler that counts packets.
type counting struct{ packets int }

func (c *counting) HandlePackets(packets []ingest.Packet) { c.packets += len(packets) }
func (c *counting) Tick(ingest.Timestamp)                 {}
func (c *counting) Close(error)                           {}

var ethernet = &ingest.Interface{Name: "e", LinkType: 1}

// between is a frame of UDP between two hosts.
func between(a, b byte) ingest.Packet {
	data := make([]byte, 60)
	data[12], data[14], data[17], data[23] = 8, 0x45, 46, 17
	data[26], data[29], data[30], data[33] = 10, a, 10, b
	return ingest.Packet{Data: data, Length: 60, Interface: ethernet, Clock: 7}
}

func TestGateCountsWrongWorkers(t *testing.T) {
	next := &counting{}
	g := &gate{next: next, worker: 1, workers: 2}
	wrong := uint64(0)
	for i := range byte(100) {
		p := between(i, 250)
		if flow.Spread(&p)>>63 == 0 {
			wrong++
		}
		g.HandlePackets([]ingest.Packet{p})
	}
	if g.wrong.Load() != wrong || wrong == 0 || wrong == 100 || next.packets != 100 {
		t.Errorf("%d wrong, want %d; %d passed", g.wrong.Load(), wrong, next.packets)
	}
}

func TestGateAllocatesNothing(t *testing.T) {
	g := &gate{next: &counting{}, workers: 2}
	packets := []ingest.Packet{between(1, 2), between(3, 4), between(5, 6)}
	if n := testing.AllocsPerRun(100, func() { g.HandlePackets(packets) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkGate(b *testing.B) {
	g := &gate{next: &counting{}, workers: 2}
	var packets []ingest.Packet
	for i := range byte(64) {
		packets = append(packets, between(i, 250))
	}
	b.ReportAllocs()
	for n := 0; n < b.N; n += len(packets) {
		g.HandlePackets(packets)
	}
}
