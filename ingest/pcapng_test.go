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

var bothOrders = []struct {
	name  string
	order binary.AppendByteOrder
}{
	{"little-endian", binary.LittleEndian},
	{"big-endian", binary.BigEndian},
}

// at returns an if_tsresol option.
func (w *ngWriter) tsresol(v byte) []byte { return w.option(9, string([]byte{v})) }

// tsoffset returns an if_tsoffset option.
func (w *ngWriter) tsoffset(v int64) []byte { return w.option(14, string(w.body(uint64(v)))) }

func TestPcapngVariants(t *testing.T) {
	for _, o := range bothOrders {
		t.Run(o.name, func(t *testing.T) {
			w := &ngWriter{}
			w.section(o.order)
			w.iface(1, 0)
			w.iface(101, 4, w.option(2, "eth0"), w.tsresol(9), w.body(uint16(0), uint16(0)))
			w.block(0x0bad, w.body("an unknown block"))
			w.enhanced(0, 1700000000_123456, 5, "hello")
			w.enhanced(1, 1700000000_123456789, 1500, "cut", w.option(1, "a comment"), w.body(uint32(0)))
			w.block(5, w.body(uint32(0), uint64(0))) // interface statistics
			w.obsolete(1, 1700000000_123456789, 6, "packet")
			w.simple(3, "abc")
			w.block(4, w.body(uint32(0))) // name resolution
			w.enhanced(0, 1700000000_123456, 0, "")
			got, err := readBytes(w.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			first := Interface{Name: "test", LinkType: 1}
			second := Interface{Name: "test", Device: "eth0", LinkType: 101, Snaplen: 4}
			want := []seen{
				{"hello", 5, 1700000000_123456000, first},
				{"cut", 1500, 1700000000_123456789, second},
				{"packet", 6, 1700000000_123456789, second},
				{"abc", 3, 0, first},
				{"", 0, 1700000000_123456000, first},
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPcapngSections(t *testing.T) {
	w := &ngWriter{}
	w.section(binary.LittleEndian)
	w.iface(1, 0)
	w.iface(113, 0)
	w.enhanced(1, 1_000_000, 3, "one")
	w.section(binary.BigEndian)
	w.iface(276, 0, w.tsresol(9))
	w.enhanced(0, 2_000_000_000, 3, "two")
	w.section(binary.BigEndian)
	w.section(binary.LittleEndian)
	w.iface(0, 0)
	w.enhanced(0, 3_000_000, 5, "three")
	w.enhanced(1, 3_000_000, 5, "of an interface of another section")
	got, err := readBytes(w.Bytes())
	want := []seen{
		{"one", 3, 1e9, Interface{Name: "test", LinkType: 113}},
		{"two", 3, 2e9, Interface{Name: "test", LinkType: 276}},
		{"three", 5, 3e9, Interface{Name: "test", LinkType: 0}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if err == nil || !strings.HasSuffix(err.Error(), "packet of interface 1, the section has 1") {
		t.Errorf("error %v", err)
	}
}

func TestPcapngSimplePacket(t *testing.T) {
	tests := []struct {
		name    string
		snaplen uint32
		length  uint32
		data    string
		want    string
	}{
		{"whole", 0, 5, "hello", "hello"},
		{"below the limit", 8, 5, "hello", "hello"},
		{"cut at the limit", 5, 100, "hello", "hello"},
		{"padding is not data", 5, 100, "hello123", "hello"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := &ngWriter{}
			w.section(binary.LittleEndian)
			w.iface(1, tt.snaplen)
			w.simple(tt.length, tt.data)
			got, err := readBytes(w.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			want := []seen{{tt.want, int(tt.length), 0, Interface{Name: "test", LinkType: 1, Snaplen: int(tt.snaplen)}}}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPcapngFCS(t *testing.T) {
	for _, o := range bothOrders {
		t.Run(o.name, func(t *testing.T) {
			w := &ngWriter{}
			w.section(o.order)
			w.iface(1, 0, w.option(13, "\x20")) // 32 bits
			w.iface(1, 0, w.option(13, "\x04")) // 4, as some write it
			w.iface(1, 0)
			w.enhanced(0, 0, 9, "helloFCS!")
			w.enhanced(1, 0, 9, "helloFCS!")
			w.enhanced(2, 0, 9, "helloFCS!")
			w.enhanced(2, 0, 9, "helloFCS!", w.option(1, "x"), w.option(2, string(w.body(uint32(4<<5|1)))))
			w.enhanced(0, 0, 7, "helloFC", w.option(2, string(w.body(uint32(2<<5)))), w.body(uint32(0)))
			w.enhanced(2, 0, 5, "hello", []byte{1, 2, 3, 4}) // options that make no sense
			got, err := readBytes(w.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			want := []string{"hello", "hello", "helloFCS!", "hello", "hello", "hello"}
			for i, data := range want {
				if got[i].Data != data || got[i].Length != len(data) {
					t.Errorf("packet %d: %q of %d bytes, want %q", i, got[i].Data, got[i].Length, data)
				}
			}
		})
	}
}

func TestPcapngDevice(t *testing.T) {
	tests := []struct{ name, option, want string }{
		{"plain", "eth0", "eth0"},
		{"none", "", ""},
		{"zero-terminated", "en0\x00\x00", "en0"},
		{"not UTF-8", "a\xff\xfeb", "a\uFFFDb"},
		{"long", strings.Repeat("x", 1000), strings.Repeat("x", 255)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := &ngWriter{}
			w.section(binary.LittleEndian)
			w.iface(1, 0, w.option(2, tt.option))
			w.enhanced(0, 1, 0, "")
			got, err := readBytes(w.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			if got[0].Interface.Device != tt.want {
				t.Errorf("device %q, want %q", got[0].Interface.Device, tt.want)
			}
		})
	}
}

func TestPcapngDamage(t *testing.T) {
	const at = 28 + 20 + 36 // where the tail begins: section, interface, packet
	tests := []struct {
		name   string
		tail   func(*ngWriter)
		offset int64
		text   string
	}{
		{
			"block header cut", func(w *ngWriter) { w.Write(w.body(uint32(6), uint32(32))) }, at,
			"block has at least 12 bytes, file has 8 left",
		},
		{
			"block cut", func(w *ngWriter) { w.enhanced(0, 0, 1, "a"); w.Truncate(w.Len() - 5) }, at,
			"block says 36 bytes, file has 31 left",
		},
		{
			"block longer than allowed, file ends", func(w *ngWriter) { w.Write(w.body(uint32(6), uint32(1<<31), "abcd")) }, at,
			"block says 2147483648 bytes, file has 12 left",
		},
		{
			"block longer than allowed", func(w *ngWriter) {
				w.Write(w.body(uint32(6), uint32(1<<31), strings.Repeat("x", windowSize)))
			}, at,
			"block says 2147483648 bytes, more than the 16777216 that a block may have",
		},
		{
			"block shorter than its header", func(w *ngWriter) { w.Write(w.body(uint32(6), uint32(8), uint32(8))) }, at + 4,
			"block of type 0x6 says it is 8 bytes long",
		},
		{
			"block of odd length", func(w *ngWriter) { w.Write(w.body(uint32(9), uint32(13), uint32(13))) }, at + 4,
			"block of type 0x9 says it is 13 bytes long",
		},
		{
			"lengths differ", func(w *ngWriter) { w.Write(w.body(uint32(9), uint32(16), "abcd", uint32(20))) }, at + 12,
			"block of type 0x9 says 16 bytes at its begin and 20 at its end",
		},
		{
			"packet longer than its block", func(w *ngWriter) { w.block(6, w.body(uint32(0), uint64(0), uint32(9), uint32(9), "12345678")) }, at + 28,
			"record says 9 bytes, block has 8 left",
		},
		{
			"packet longer than allowed", func(w *ngWriter) {
				w.enhanced(0, 0, 1, strings.Repeat("x", maxPacket+1))
			}, at + 28,
			"record says 262145 bytes, more than the 262144 that a packet may have",
		},
		{
			"simple packet longer than its block", func(w *ngWriter) { w.simple(9, "12345678") }, at + 12,
			"record says 9 bytes, block has 8 left",
		},
		{
			"enhanced packet too small", func(w *ngWriter) { w.block(6, w.body("abcd")) }, at + 4,
			"enhanced packet block has 4 bytes, want at least 20",
		},
		{
			"packet too small", func(w *ngWriter) { w.block(2, w.body("abcd")) }, at + 4,
			"packet block has 4 bytes, want at least 20",
		},
		{
			"simple packet too small", func(w *ngWriter) { w.block(3, nil) }, at + 4,
			"simple packet block has 0 bytes, want at least 4",
		},
		{
			"simple packet of no interface", func(w *ngWriter) { w.section(binary.BigEndian); w.simple(1, "a") }, at + 28 + 8,
			"packet of interface 0, the section has 0",
		},
		{
			"unknown interface", func(w *ngWriter) { w.enhanced(1<<32-1, 0, 1, "a") }, at + 8,
			"packet of interface 4294967295, the section has 1",
		},
		{
			"interface too small", func(w *ngWriter) { w.block(1, w.body("abcd")) }, at + 4,
			"interface description has 4 bytes, want at least 8",
		},
		{
			"interface option too long", func(w *ngWriter) { w.iface(1, 0, w.tsresol(9), w.body(uint16(2), uint16(5), "abcd")) }, at + 24,
			"interface option does not fit its block",
		},
		{
			"byte-order magic", func(w *ngWriter) { w.block(0x0a0d0d0a, w.body("abcd", uint32(1), uint64(0))) }, at + 8,
			"section header has byte-order magic 0x64636261, want 0x1a2b3c4d in either order",
		},
		{
			"version", func(w *ngWriter) {
				w.block(0x0a0d0d0a, w.body(uint32(0x1a2b3c4d), uint16(2), uint16(1), uint64(0)))
			}, at + 12,
			"pcapng version 2.1 is not known, only version 1",
		},
		{
			"section header too small", func(w *ngWriter) { w.block(0x0a0d0d0a, w.body(uint32(0x1a2b3c4d))) }, at + 4,
			"section header has 4 bytes, want at least 16",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := &ngWriter{}
			w.section(binary.LittleEndian)
			w.iface(1, 0)
			w.enhanced(0, 1, 1, "a")
			tt.tail(w)
			got, err := readBytes(w.Bytes())
			if len(got) != 1 || got[0].Data != "a" {
				t.Errorf("%d packets before the damage, want 1", len(got))
			}
			where := &DamageError{File: "test", Offset: tt.offset, Reason: tt.text}
			wantDamage(t, err, tt.offset, where.Error())
		})
	}
}

func TestPcapngCaps(t *testing.T) {
	tests := []struct {
		name   string
		write  func(*ngWriter)
		reason string
	}{
		{"interfaces", func(w *ngWriter) {
			for range maxInterfaces + 1 {
				w.iface(1, 0)
			}
		}, "section has more than 4096 interfaces"},
		{"options of an interface", func(w *ngWriter) {
			w.iface(1, 0, bytes.Repeat(w.option(1, "comment"), maxOptions))
		}, "interface has too many options"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := &ngWriter{}
			w.section(binary.LittleEndian)
			tt.write(w)
			if _, err := readBytes(w.Bytes()); err == nil || !strings.HasSuffix(err.Error(), tt.reason) {
				t.Errorf("error %v, want %s", err, tt.reason)
			}
		})
	}
}

// TestPcapngBigBlock skips a block that is longer than the buffer, reading in
// pieces of all sizes.
func TestPcapngBigBlock(t *testing.T) {
	w := &ngWriter{}
	w.section(binary.LittleEndian)
	w.iface(1, 0)
	w.enhanced(0, 1, 3, "one")
	w.block(0x40000bad, make([]byte, 5*windowSize))
	w.enhanced(0, 1, 3, "two")
	src, err := NewReader(iotest.HalfReader(bytes.NewReader(w.Bytes())), "test")
	if err != nil {
		t.Fatal(err)
	}
	got, err := readAll(src, 4)
	if err != nil || len(got) != 2 || got[1].Data != "two" {
		t.Errorf("%d packets, error %v", len(got), err)
	}
}

// TestPcapngAgainstWriter reads what another implementation wrote.
func TestPcapngAgainstWriter(t *testing.T) {
	var file bytes.Buffer
	w, err := pcapgo.NewNgWriter(&file, layers.LinkTypeEthernet)
	if err != nil {
		t.Fatal(err)
	}
	second, err := w.AddInterface(pcapgo.NgInterface{Name: "wlan0", LinkType: layers.LinkTypeRaw, SnapLength: 1500})
	if err != nil {
		t.Fatal(err)
	}
	from := []Interface{
		{Name: "test", Device: "intf0", LinkType: 1},
		{Name: "test", Device: "wlan0", LinkType: 101, Snaplen: 1500},
	}
	var want []seen
	for i := range 300 {
		data := bytes.Repeat([]byte{byte(i)}, 5*i)
		at := time.Unix(1700000000, int64(i)*1234567)
		id := i % 2 * second
		info := gopacket.CaptureInfo{Timestamp: at, CaptureLength: len(data), Length: len(data) + i, InterfaceIndex: id}
		if err := w.WritePacket(info, data); err != nil {
			t.Fatal(err)
		}
		want = append(want, seen{string(data), len(data) + i, TimestampOf(at), from[id]})
	}
	if err := w.WriteInterfaceStats(0, pcapgo.NgInterfaceStatistics{PacketsReceived: 300}); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	got, err := readBytes(file.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
