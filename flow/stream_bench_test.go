package flow

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"flowscope/ingest"
)

// tcpLoad is n connections that are established, and one segment of each, in a
// scattered order; next moves their sequence numbers on.
type tcpLoad struct {
	table    *Table
	segments []ingest.Packet
	acks     []ingest.Packet
	size     uint32
}

func newTCPLoad(tb testing.TB, cfg Config, n, size int) *tcpLoad {
	table, err := NewTable(cfg, "bench", silent{})
	if err != nil {
		tb.Fatal(err)
	}
	l := &tcpLoad{table: table, size: uint32(size)}
	begin := modelPacket{side: Initiator, syn: true}
	answer := modelPacket{side: Responder, syn: true, ack: true, ackTo: 1}
	segment := modelPacket{side: Initiator, seq: 1, ack: true, ackTo: 1, data: make([]byte, size), captured: size}
	ack := modelPacket{side: Responder, seq: 1, ack: true, ackTo: 1 + int64(size)}
	l.send(l.packets(begin, n))
	l.send(l.packets(answer, n))
	l.segments, l.acks = l.packets(segment, n), l.packets(ack, n)
	return l
}

func (l *tcpLoad) packets(p modelPacket, n int) []ingest.Packet {
	frame, _ := p.frame([2]uint32{})
	list := make([]ingest.Packet, n)
	data := make([]byte, n*len(frame))
	for i := range list {
		b := data[i*len(frame) : (i+1)*len(frame)]
		copy(b, frame)
		j := uint32(i) * 2654435761
		binary.BigEndian.PutUint32(b[14+12+4*int(p.side):], 10<<24|j>>8)
		binary.BigEndian.PutUint16(b[34+2*int(p.side):], uint16(j))
		list[i] = ingest.Packet{Data: b, Length: len(b), Time: second(0), Clock: second(0), Interface: ethernetInterface}
	}
	return list
}

func (l *tcpLoad) send(list []ingest.Packet) {
	for i := 0; i < len(list); i += lookAhead {
		l.table.HandlePackets(list[i:min(i+lookAhead, len(list))])
	}
}

// move adds to the number at an offset of TCP headers.
func move(list []ingest.Packet, offset int, by uint32) {
	for i := range list {
		b := list[i].Data[34+offset:]
		binary.BigEndian.PutUint32(b, binary.BigEndian.Uint32(b)+by)
	}
}

// In-order segments, each acknowledged before the next; the time is that of both.
func BenchmarkStreamInOrder(b *testing.B) {
	for _, size := range []int{100, 1400} {
		for _, n := range []int{1, 1_000, 1_000_000} {
			for _, history := range []int{0, 16384} {
				b.Run(fmt.Sprintf("size=%d/flows=%d/history=%d", size, n, history), func(b *testing.B) {
					if n*size > 1<<28 {
						b.Skip("its frames do not fit in memory")
					}
					cfg := DefaultConfig()
					cfg.MaxFlows, cfg.Reassembly.History = 2*n, history
					cfg.Checksums = ChecksumsOff
					l := newTCPLoad(b, cfg, n, size)
					b.ReportAllocs()
					b.ResetTimer()
					for i := 0; i < b.N; i += n {
						part := min(n, b.N-i)
						l.send(l.segments[:part])
						l.send(l.acks[:part])
						b.StopTimer()
						move(l.segments[:part], 4, l.size)
						move(l.acks[:part], 8, l.size)
						b.StartTimer()
					}
				})
			}
		}
	}
}

// The same through the reassembly alone: what it adds to a packet that is decoded
// and counted.
func BenchmarkStreamAlone(b *testing.B) {
	for _, size := range []int{100, 1400} {
		for _, history := range []int{0, 16384} {
			b.Run(fmt.Sprintf("size=%d/history=%d", size, history), func(b *testing.B) {
				cfg := DefaultConfig()
				cfg.Reassembly.History = history
				l := newTCPLoad(b, cfg, 1, size)
				t := l.table
				t.decoder.decode(&l.segments[0], &t.batch[0])
				t.decoder.decode(&l.acks[0], &t.batch[1])
				n := t.find(&l.segments[0], &t.batch[0])
				f := t.store.at(n)
				segment := waiting{packet: &l.segments[0], d: &t.batch[0], n: n, side: Initiator}
				ack := waiting{packet: &l.acks[0], d: &t.batch[1], n: n, side: Responder}
				b.ReportAllocs()
				b.ResetTimer()
				for range b.N {
					t.stream(&segment, f)
					t.stream(&ack, f)
					t.batch[0].seq += l.size
					t.batch[1].ack += l.size
				}
			})
		}
	}
}

// A pair out of order: the second segment first.
func BenchmarkStreamOutOfOrder(b *testing.B) {
	for _, size := range []int{100, 1400} {
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			const n = 1000
			cfg := DefaultConfig()
			cfg.Checksums = ChecksumsOff
			l := newTCPLoad(b, cfg, n, size)
			b.ReportAllocs()
			b.ResetTimer()
			for i := 0; i < b.N; i += n {
				part := min(n, b.N-i)
				b.StopTimer()
				move(l.segments[:part], 4, l.size)
				b.StartTimer()
				l.send(l.segments[:part])
				b.StopTimer()
				move(l.segments[:part], 4, -l.size)
				b.StartTimer()
				l.send(l.segments[:part])
				b.StopTimer()
				move(l.segments[:part], 4, 2*l.size)
				b.StartTimer()
			}
		})
	}
}

func TestNoAllocationPerSegment(t *testing.T) {
	l := newTCPLoad(t, DefaultConfig(), 64, 300)
	clock := second(0)
	round := func() {
		clock = clock.Add(time.Millisecond)
		for _, list := range [][]ingest.Packet{l.segments, l.acks} {
			for i := range list {
				list[i].Clock = clock
			}
		}
		l.send(l.segments) // in order
		move(l.segments, 4, 2*l.size)
		l.send(l.segments) // past a hole
		move(l.segments, 4, -l.size)
		l.send(l.segments) // which is filled
		l.send(l.segments) // and once more
		move(l.segments, 4, 2*l.size)
		move(l.acks, 8, 3*l.size)
		l.send(l.acks)
	}
	for range 10 {
		round()
	}
	if n := testing.AllocsPerRun(100, round); n != 0 {
		t.Errorf("%v allocations per 320 packets, want none", n)
	}
}
