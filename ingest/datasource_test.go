package ingest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/pcapgo"
)

// handle is an endless gopacket handle that overwrites its bytes at each call.
type handle struct {
	data []byte
	info gopacket.CaptureInfo
	buf  []byte
}

func (h *handle) ZeroCopyReadPacketData() ([]byte, gopacket.CaptureInfo, error) {
	h.buf = append(h.buf[:0], h.data...)
	return h.buf, h.info, nil
}

// script is a gopacket handle that plays its steps and then ends.
type script struct {
	steps []step
	buf   []byte
}

type step struct {
	data string
	info gopacket.CaptureInfo
	err  error
}

func (s *script) ZeroCopyReadPacketData() ([]byte, gopacket.CaptureInfo, error) {
	for i := range s.buf {
		s.buf[i] = '!'
	}
	if len(s.steps) == 0 {
		return nil, gopacket.CaptureInfo{}, io.EOF
	}
	next := s.steps[0]
	s.steps = s.steps[1:]
	s.buf = append(s.buf[:0], next.data...)
	return s.buf, next.info, next.err
}

func TestFromDataSource(t *testing.T) {
	at := time.Unix(1700000000, 123456789)
	src := FromDataSource(&script{steps: []step{
		{data: "one", info: gopacket.CaptureInfo{Timestamp: at, Length: 3, InterfaceIndex: 2}},
		{data: "two", info: gopacket.CaptureInfo{Timestamp: at, Length: 1500, InterfaceIndex: 7}},
		{data: "three", info: gopacket.CaptureInfo{Length: 0, InterfaceIndex: 2}},
	}}, Interface{Name: "eth0", LinkType: 1, Snaplen: 96, Input: 3})
	packets := make([]Packet, 10)
	n, err := src.ReadBatch(packets)
	if n != 3 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	var got []seen
	for _, p := range packets[:n] {
		got = append(got, seen{string(p.Data), p.Length, p.Time, *p.Interface})
	}
	first := Interface{Name: "eth0", LinkType: 1, Snaplen: 96, Input: 3}
	second := first
	second.Name = "eth0#7"
	want := []seen{
		{"one", 3, 1700000000_123456789, first},
		{"two", 1500, 1700000000_123456789, second},
		{"three", 5, 0, first},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if packets[0].Interface != packets[2].Interface {
		t.Error("packets of one interface do not share it")
	}
	for range 2 {
		if n, err := src.ReadBatch(packets); n != 0 || err != io.EOF {
			t.Errorf("at the end: %d, %v", n, err)
		}
	}
	if err := errors.Join(src.Close(), src.Close()); err != nil {
		t.Error(err)
	}
}

// text is an error that is known by its text only.
type text string

func (e text) Error() string { return string(e) }

func TestDataSourceErrors(t *testing.T) {
	broken := errors.New("broken")
	tests := []struct {
		name string
		err  error
		end  bool
	}{
		{"time-out of libpcap", text("Timeout Expired"), false},
		{"time-out of AF_PACKET", text("packet poll timeout expired"), false},
		{"deadline", os.ErrDeadlineExceeded, false},
		{"would block", syscall.EAGAIN, false},
		{"other", broken, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			src := FromDataSource(&script{steps: []step{{data: "one"}, {err: tt.err}, {data: "two"}}}, Interface{Name: "eth0"})
			packets := make([]Packet, 10)
			if n, err := src.ReadBatch(packets); n != 1 || err != nil || string(packets[0].Data) != "one" {
				t.Errorf("first: %d, %v", n, err)
			}
			n, err := src.ReadBatch(packets)
			if !tt.end {
				if n != 1 || err != nil || string(packets[0].Data) != "two" {
					t.Errorf("second: %d, %v", n, err)
				}
				return
			}
			if n != 0 || !errors.Is(err, tt.err) || err.Error() != "read eth0: broken" {
				t.Errorf("second: %d, %v", n, err)
			}
		})
	}
	t.Run("time-out first", func(t *testing.T) {
		src := FromDataSource(&script{steps: []step{{err: syscall.EAGAIN}, {data: "one"}}}, Interface{})
		packets := make([]Packet, 10)
		if n, err := src.ReadBatch(packets); n != 0 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		if n, err := src.ReadBatch(packets); n != 1 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	})
}

// TestDataSourceLive hands packets of live capture on one by one.
func TestDataSourceLive(t *testing.T) {
	packets := make([]Packet, 10)
	recorded := gopacket.CaptureInfo{Timestamp: time.Now().Add(-time.Hour)}
	now := gopacket.CaptureInfo{Timestamp: time.Now()}
	src := FromDataSource(&script{steps: []step{{"a", recorded, nil}, {"b", now, nil}, {"c", now, nil}, {"d", recorded, nil}}}, Interface{})
	for i, want := range []struct {
		n    int
		live bool
	}{{2, true}, {1, true}, {1, false}} {
		n, err := src.ReadBatch(packets)
		if live := src.(Live).Live(); n != want.n || live != want.live || err != nil {
			t.Errorf("batch %d: %d packets, live %v, %v; want %v", i, n, live, err, want)
		}
	}
}

// TestDataSourceBytes fills more than one buffer in one batch.
func TestDataSourceBytes(t *testing.T) {
	var steps []step
	for i := range 200 {
		steps = append(steps, step{data: string(bytes.Repeat([]byte{byte(i)}, i*i*10))})
	}
	src := FromDataSource(&script{steps: steps}, Interface{})
	packets := make([]Packet, 1000)
	i := 0
	for {
		n, err := src.ReadBatch(packets)
		for _, p := range packets[:n] {
			if string(p.Data) != steps[i].data {
				t.Fatalf("packet %d differs", i)
			}
			i++
		}
		if err == io.EOF {
			break
		}
	}
	if i != len(steps) {
		t.Errorf("%d packets, want %d", i, len(steps))
	}
}

// pcapgoHandle makes pcapgo's file reader a zero-copy handle.
type pcapgoHandle struct{ *pcapgo.Reader }

func (h pcapgoHandle) ZeroCopyReadPacketData() ([]byte, gopacket.CaptureInfo, error) {
	return h.ReadPacketData()
}

// TestDataSourceAgainstReader reads a real capture through gopacket and
// directly.
func TestDataSourceAgainstReader(t *testing.T) {
	file, err := os.ReadFile(filepath.Join(corpus(t), "conformance", "zeek", "wikipedia.pcap"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := pcapgo.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	iface := Interface{Name: "test", LinkType: LinkType(r.LinkType()), Snaplen: int(r.Snaplen())}
	got, err := readAll(FromDataSource(pcapgoHandle{r}, iface), 100)
	if err != nil {
		t.Fatal(err)
	}
	want, err := readBytes(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestReadAllocations(t *testing.T) {
	ng := &ngWriter{}
	ng.section(binary.LittleEndian)
	ng.iface(1, 0)
	for i := range uint32(benchPackets) {
		ng.enhanced(0, uint64(i), 100, benchData(i), ng.option(2, "\x01\x00\x00\x00"), ng.body(uint32(0)))
	}
	sources := map[string]Source{
		"pcap":           openLooped(t, benchPcap(), pcapHeaderSize),
		"pcapng":         openLooped(t, benchPcapng(), pcapngHeader),
		"pcapng options": openLooped(t, ng.Bytes(), pcapngHeader),
		"data source":    FromDataSource(&handle{data: make([]byte, 100)}, Interface{}),
	}
	packets := make([]Packet, batchSize)
	for name, src := range sources {
		t.Run(name, func(t *testing.T) {
			if allocs := testing.AllocsPerRun(500, func() {
				if n, err := src.ReadBatch(packets); n == 0 || err != nil {
					t.Fatalf("%d, %v", n, err)
				}
			}); allocs > 0 {
				t.Errorf("%v allocations per batch", allocs)
			}
		})
	}
}
