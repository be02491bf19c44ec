package ingest

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

func TestPcapVariants(t *testing.T) {
	little, big := binary.LittleEndian, binary.BigEndian
	tests := []struct {
		name         string
		order        binary.AppendByteOrder
		magic        uint32
		major, minor uint16
		want         Timestamp // of 1700000000 s and 123456 units
	}{
		{"microseconds", little, 0xa1b2c3d4, 2, 4, 1700000000_123456000},
		{"microseconds, big-endian", big, 0xa1b2c3d4, 2, 4, 1700000000_123456000},
		{"nanoseconds", little, 0xa1b23c4d, 2, 4, 1700000000_000123456},
		{"nanoseconds, big-endian", big, 0xa1b23c4d, 2, 4, 1700000000_000123456},
		{"version 2.3", little, 0xa1b2c3d4, 2, 3, 1700000000_123456000},
		{"version 1.4", big, 0xa1b2c3d4, 1, 4, 1700000000_123456000},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newPcapWriter(tt.order, tt.magic, tt.major, tt.minor, 96, 113)
			w.packet(1700000000, 123456, 5, "hello")
			w.packet(1700000000, 123456, 1500, "cut")
			w.packet(1700000000, 123456, 0, "")
			got, err := readBytes(w.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			from := Interface{Name: "test", LinkType: 113, Snaplen: 96}
			want := []seen{
				{"hello", 5, tt.want, from},
				{"cut", 1500, tt.want, from},
				{"", 0, tt.want, from},
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPcapOddities(t *testing.T) {
	const sec = 1700000000
	tests := []struct {
		name    string
		network uint32
		sec     uint32
		frac    uint32
		length  uint32
		data    string
		want    seen
	}{
		{
			"more captured than there was", 1, sec, 0, 3, "hello",
			seen{"hello", 5, sec * 1e9, Interface{LinkType: 1}},
		},
		{
			"microseconds beyond the second", 1, sec, 2_500_000, 5, "hello",
			seen{"hello", 5, (sec+2)*1e9 + 5e8, Interface{LinkType: 1}},
		},
		{
			"after 2038", 1, 1<<32 - 1, 0, 5, "hello",
			seen{"hello", 5, Timestamp(time.Date(2106, 2, 7, 6, 28, 15, 0, time.UTC).UnixNano()), Interface{LinkType: 1}},
		},
		{
			"FCS of 4 bytes", 0x24000001, sec, 0, 9, "helloFCS!",
			seen{"hello", 5, sec * 1e9, Interface{LinkType: 1}},
		},
		{
			"FCS partly cut off", 0x24000001, sec, 0, 9, "helloFC",
			seen{"hello", 5, sec * 1e9, Interface{LinkType: 1}},
		},
		{
			"FCS cut off with more", 0x24000001, sec, 0, 9, "hel",
			seen{"hel", 5, sec * 1e9, Interface{LinkType: 1}},
		},
		{
			"frame shorter than its FCS", 0x24000001, sec, 0, 3, "FCS",
			seen{"", 0, sec * 1e9, Interface{LinkType: 1}},
		},
		{
			"FCS length without its flag", 0x20000001, sec, 0, 9, "helloFCS!",
			seen{"helloFCS!", 9, sec * 1e9, Interface{LinkType: 1}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newPcapWriter(binary.LittleEndian, 0xa1b2c3d4, 2, 4, 0, tt.network)
			w.packet(tt.sec, tt.frac, tt.length, tt.data)
			got, err := readBytes(w.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			tt.want.Interface.Name = "test"
			if diff := cmp.Diff([]seen{tt.want}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPcapDamage(t *testing.T) {
	whole := func() *pcapWriter {
		w := newPcapWriter(binary.LittleEndian, 0xa1b2c3d4, 2, 4, 0, 1)
		w.packet(1, 2, 5, "hello")
		return w
	}
	tests := []struct {
		name   string
		tail   func(*pcapWriter)
		offset int64
		text   string
	}{
		{
			"record header cut", func(w *pcapWriter) { w.u32(1, 2, 3) }, 45,
			"test: damaged at byte 45: record header has 16 bytes, file has 12 left",
		},
		{
			"record cut", func(w *pcapWriter) { w.u32(1, 2, 10, 10); w.WriteString("abc") }, 61,
			"test: damaged at byte 61: record says 10 bytes, file has 3 left",
		},
		{
			"record cut before its first byte", func(w *pcapWriter) { w.u32(1, 2, 10, 10) }, 61,
			"test: damaged at byte 61: record says 10 bytes, file has 0 left",
		},
		{
			"absurd length", func(w *pcapWriter) { w.u32(1, 2, 1<<32-1, 10); w.WriteString("abc") }, 61,
			"test: damaged at byte 61: record says 4294967295 bytes, file has 3 left",
		},
		{
			"absurd length, much behind it", func(w *pcapWriter) {
				w.u32(1, 2, maxPacket+1, 10)
				w.WriteString(strings.Repeat("x", 3*windowSize))
			}, 61,
			"test: damaged at byte 61: record says 262145 bytes, more than the 262144 that a packet may have",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := whole()
			tt.tail(w)
			src, err := NewReader(bytes.NewReader(w.Bytes()), "test")
			if err != nil {
				t.Fatal(err)
			}
			got, err := readAll(src, 3)
			if len(got) != 1 || got[0].Data != "hello" {
				t.Errorf("%d packets before the damage, want 1", len(got))
			}
			wantDamage(t, err, tt.offset, tt.text)
			if _, again := src.ReadBatch(make([]Packet, 1)); again != err {
				t.Errorf("the next ReadBatch returns %v, want the same error", again)
			}
		})
	}
}

// TestPcapLongest reads packets of the greatest length through every kind of
// reader: they are longer than the buffer.
func TestPcapLongest(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", maxPacket/16)
	w := newPcapWriter(binary.LittleEndian, 0xa1b2c3d4, 2, 4, 0, 1)
	var want []string
	for _, size := range []int{maxPacket, 1, maxPacket - 1, 0, 70000, maxPacket} {
		w.packet(1, 2, uint32(size), long[:size])
		want = append(want, long[:size])
	}
	src, err := NewReader(iotest.HalfReader(iotest.DataErrReader(bytes.NewReader(w.Bytes()))), "test")
	if err != nil {
		t.Fatal(err)
	}
	got, err := readAll(src, 4)
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		if got[i].Data != want[i] {
			t.Errorf("packet %d differs", i)
		}
	}
}

// TestPcapAgainstWriter reads what another implementation wrote.
func TestPcapAgainstWriter(t *testing.T) {
	tests := []struct {
		name string
		make func(*bytes.Buffer) *pcapgo.Writer
		unit time.Duration
	}{
		{"microseconds", func(b *bytes.Buffer) *pcapgo.Writer { return pcapgo.NewWriter(b) }, time.Microsecond},
		{"nanoseconds", func(b *bytes.Buffer) *pcapgo.Writer { return pcapgo.NewWriterNanos(b) }, time.Nanosecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var file bytes.Buffer
			w := tt.make(&file)
			if err := w.WriteFileHeader(65535, layers.LinkTypeLinuxSLL); err != nil {
				t.Fatal(err)
			}
			from := Interface{Name: "test", LinkType: 113, Snaplen: 65535}
			var want []seen
			for i := range 300 {
				data := bytes.Repeat([]byte{byte(i)}, 5*i)
				at := time.Unix(1700000000, int64(i)*1234567).Truncate(tt.unit)
				info := gopacket.CaptureInfo{Timestamp: at, CaptureLength: len(data), Length: len(data) + i}
				if err := w.WritePacket(info, data); err != nil {
					t.Fatal(err)
				}
				want = append(want, seen{string(data), len(data) + i, TimestampOf(at), from})
			}
			got, err := readBytes(file.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
