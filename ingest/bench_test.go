package ingest

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket"
)

const benchPackets = 20_000

// benchPcap returns a capture of DNS-sized packets that differ in their first
// bytes.
func benchPcap() []byte {
	w := newPcapWriter(binary.LittleEndian, 0xa1b2c3d4, 2, 4, 0, 1)
	for i := range uint32(benchPackets) {
		w.packet(1700000000+i/1000, i%1000, 100, benchData(i))
	}
	return w.Bytes()
}

// benchPcapng returns the same as pcapng.
func benchPcapng() []byte {
	w := &ngWriter{}
	w.section(binary.LittleEndian)
	w.iface(1, 0)
	for i := range uint32(benchPackets) {
		w.enhanced(0, uint64(1700000000+i/1000)*1e6+uint64(i%1000), 100, benchData(i))
	}
	return w.Bytes()
}

// benchData returns 100 bytes.
func benchData(i uint32) string {
	return hex.EncodeToString(binary.BigEndian.AppendUint32(nil, i*2654435761)) + strings.Repeat("x", 92)
}

// looped repeats the records of a capture for ever, behind its header.
type looped struct {
	file   []byte
	header int
	at     int
}

func (l *looped) Read(b []byte) (int, error) {
	n := copy(b, l.file[l.at:])
	if l.at += n; l.at == len(l.file) {
		l.at = l.header
	}
	return n, nil
}

// onlyPackets lets n packets of a source through.
type onlyPackets struct {
	Source
	left int
}

func (o *onlyPackets) ReadBatch(packets []Packet) (int, error) {
	if o.left == 0 {
		return 0, io.EOF
	}
	n, err := o.Source.ReadBatch(packets[:min(len(packets), o.left)])
	o.left -= n
	return n, err
}

func openLooped(tb testing.TB, file []byte, header int) Source {
	tb.Helper()
	src, err := NewReader(&looped{file: file, header: header}, "bench")
	if err != nil {
		tb.Fatal(err)
	}
	return src
}

// pcapngHeader is a section header and an interface without options.
const pcapngHeader = 28 + 20

func benchmarkRead(b *testing.B, file []byte, header int) {
	src := openLooped(b, file, header)
	packets := make([]Packet, batchSize)
	b.SetBytes(int64((len(file) - header) / benchPackets))
	b.ReportAllocs()
	b.ResetTimer()
	for left := b.N; left > 0; {
		n, err := src.ReadBatch(packets)
		if err != nil {
			b.Fatal(err)
		}
		left -= n
	}
}

// BenchmarkReadPcap reads one record per operation, the copy into the read
// buffer included.
func BenchmarkReadPcap(b *testing.B) { benchmarkRead(b, benchPcap(), pcapHeaderSize) }

func BenchmarkReadPcapng(b *testing.B) { benchmarkRead(b, benchPcapng(), pcapngHeader) }

// BenchmarkCutPcap cuts one record per operation out of a full buffer.
func BenchmarkCutPcap(b *testing.B) {
	file := benchPcap()
	p, _ := newPcap(file, "bench", 0)
	benchmarkCut(b, p, file[pcapHeaderSize:])
}

func BenchmarkCutPcapng(b *testing.B) {
	p := &pcapng{}
	benchmarkCut(b, p, benchPcapng())
}

func benchmarkCut(b *testing.B, f format, file []byte) {
	packets := make([]Packet, batchSize)
	w := window{buf: file, end: len(file)}
	b.ReportAllocs()
	for left := b.N; left > 0; {
		n, _, bad := f.cut(&w, packets)
		if bad != nil {
			b.Fatal(bad.reason)
		}
		if left -= n; n == 0 || w.start > windowSize {
			w.start = 0
		}
	}
}

// quiet is a worker that does nothing.
type quiet struct{ packets int }

func (q *quiet) HandlePackets(packets []Packet) { q.packets += len(packets) }
func (q *quiet) Tick(Timestamp)                 {}
func (q *quiet) Close(error)                    {}

// firstBytes is a hash of a packet that differs for those of benchData.
func firstBytes(p *Packet) uint64 {
	return binary.LittleEndian.Uint64(p.Data) * 0x9e3779b97f4a7c15
}

func benchmarkRun(b *testing.B, workers int) {
	file := benchPcap()
	src := &onlyPackets{openLooped(b, file, pcapHeaderSize), b.N}
	handlers := make([]Handler, workers)
	for i := range handlers {
		handlers[i] = &quiet{}
	}
	r := NewRunner(src, firstBytes, handlers)
	b.SetBytes(int64(len(file) / benchPackets))
	b.ReportAllocs()
	b.ResetTimer()
	if err := r.Run(context.Background()); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkRun1 reads, stamps and hands over one packet per operation.
func BenchmarkRun1(b *testing.B) { benchmarkRun(b, 1) }

// BenchmarkRun4 copies one packet per operation to one of four workers.
func BenchmarkRun4(b *testing.B) { benchmarkRun(b, 4) }

// BenchmarkStamp stamps one packet per operation.
func BenchmarkStamp(b *testing.B) {
	packets := make([]Packet, batchSize)
	iface := &Interface{}
	for i := range packets {
		packets[i] = Packet{Interface: iface, Length: 100, Time: Timestamp(i)}
	}
	s := newStamper()
	b.ReportAllocs()
	for left := b.N; left > 0; {
		left -= s.stamp(packets)
	}
}

// BenchmarkDataSource reads one packet per operation through the adapter.
func BenchmarkDataSource(b *testing.B) {
	recorded := gopacket.CaptureInfo{Timestamp: time.Unix(1700000000, 0), Length: 100}
	src := FromDataSource(&handle{data: bytes.Repeat([]byte("x"), 100), info: recorded}, Interface{Name: "bench"})
	packets := make([]Packet, batchSize)
	b.ReportAllocs()
	for left := b.N; left > 0; {
		n, err := src.ReadBatch(packets)
		if err != nil {
			b.Fatal(err)
		}
		left -= n
	}
}
