package flow

import (
	"encoding/binary"
	"fmt"
	"os"
	"testing"

	"flowscope/ingest"
)

// silent is a handler that does nothing.
type silent struct{}

func (silent) HandleEvent(*Event)    {}
func (silent) Tick(ingest.Timestamp) {}
func (silent) Close()                {}

// udpFlows returns packets of n flows in turn, in a scattered order.
func udpFlows(tb testing.TB, n int) []ingest.Packet {
	frame := udpFrame(tb, "10.0.0.1", 1, "10.0.0.2", 53, "0123456789012345678901234567890")
	packets := make([]ingest.Packet, n)
	data := make([]byte, n*len(frame))
	for i := range packets {
		b := data[i*len(frame) : (i+1)*len(frame)]
		copy(b, frame)
		j := uint32(i) * 2654435761
		binary.BigEndian.PutUint32(b[14+12:], 10<<24|j>>8)
		binary.BigEndian.PutUint16(b[14+20:], uint16(j))
		packets[i] = ingest.Packet{Data: b, Length: len(b), Time: second(0), Clock: second(0), Interface: ethernetInterface}
	}
	return packets
}

func BenchmarkTable(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000, 1_000_000, 4_000_000} {
		b.Run(fmt.Sprintf("flows=%d", n), func(b *testing.B) {
			if n > 1_000_000 && os.Getenv("FLOWSCOPE_LONG") != "1" {
				b.Skip("takes two gigabytes: only with FLOWSCOPE_LONG=1")
			}
			cfg := DefaultConfig()
			cfg.MaxFlows = 2 * n
			table, err := NewTable(cfg, "bench", silent{})
			if err != nil {
				b.Fatal(err)
			}
			packets := udpFlows(b, n)
			table.HandlePackets(packets)
			b.ReportAllocs()
			b.ResetTimer()
			for i := 0; i < b.N; {
				from := i % n
				batch := packets[from:min(from+64, n, from+b.N-i)]
				table.HandlePackets(batch)
				i += len(batch)
			}
		})
	}
}

func BenchmarkNewUDPFlow(b *testing.B) {
	const n = 1 << 16
	packets := udpFlows(b, n)
	cfg := DefaultConfig()
	table, err := NewTable(cfg, "bench", silent{})
	if err != nil {
		b.Fatal(err)
	}
	at := second(0)
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; {
		if i%n == 0 { // all earlier flows expire
			b.StopTimer()
			at = at.Add(2 * cfg.UDPIdle)
			table.Tick(at)
			for j := range packets {
				packets[j].Time, packets[j].Clock = at, at
			}
			b.StartTimer()
		}
		from := i % n
		batch := packets[from:min(from+64, n, from+b.N-i)]
		table.HandlePackets(batch)
		i += len(batch)
	}
}

func TestNoAllocationPerPacket(t *testing.T) {
	table, err := NewTable(DefaultConfig(), "test", silent{})
	if err != nil {
		t.Fatal(err)
	}
	packets := udpFlows(t, 64)
	table.HandlePackets(packets)
	if n := testing.AllocsPerRun(100, func() { table.HandlePackets(packets) }); n != 0 {
		t.Errorf("%v allocations per 64 packets, want none", n)
	}
	for _, p := range packets {
		if n := testing.AllocsPerRun(10, func() { Spread(&p) }); n != 0 {
			t.Fatalf("%v allocations per spread, want none", n)
		}
	}
}
