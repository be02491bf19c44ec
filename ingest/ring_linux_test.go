package ingest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"testing"
	"unsafe"
)

const (
	mockBlock  = 4096
	mockBlocks = 4
)

// mockKernel fills the memory of a ring as the kernel does (net/packet/af_packet.c).
type mockKernel struct {
	mem   []byte
	block int
	drops int
}

func newMock(link LinkType) (*mockKernel, *blockRing) {
	words := make([]uint64, mockBlock*mockBlocks/8) // aligned
	mem := unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), mockBlock*mockBlocks)
	return &mockKernel{mem: mem}, newBlockRing(mem, mockBlock, &Interface{Name: "mock", LinkType: link})
}

// mockPacket is a frame as the kernel sees it.
type mockPacket struct {
	data      []byte
	length    int // 0 is all of data
	sec, nsec uint32
	vlan      bool
	tpid, tci uint16
	card      bool // sec and nsec are the network card's
}

// hand fills the next block and hands it over. It reports false if it is not the
// kernel's.
func (m *mockKernel) hand(packets ...mockPacket) bool {
	start := m.block * mockBlock
	status := (*uint32)(unsafe.Pointer(&m.mem[start+8]))
	if atomic.LoadUint32(status) != statusKernel {
		m.drops += len(packets)
		return false
	}
	b := m.mem[start : start+mockBlock]
	e := binary.NativeEndian
	e.PutUint32(b[12:], uint32(len(packets)))
	e.PutUint32(b[16:], 48)
	at := 48
	for i, p := range packets {
		const mac = 48 + 34
		size := (mac + len(p.data) + 7) &^ 7
		h := b[at : at+size]
		clear(h)
		if i < len(packets)-1 {
			e.PutUint32(h[0:], uint32(size))
		}
		e.PutUint32(h[4:], p.sec)
		e.PutUint32(h[8:], p.nsec)
		e.PutUint32(h[12:], uint32(len(p.data)))
		e.PutUint32(h[16:], uint32(max(p.length, len(p.data))))
		flags := uint32(statusUser)
		if p.vlan {
			flags |= statusVLAN
			if p.tpid != 0 {
				flags |= statusVLANProto
			}
			e.PutUint32(h[32:], uint32(p.tci))
			e.PutUint16(h[36:], p.tpid)
		}
		if p.card {
			flags |= statusCardTime
		}
		e.PutUint32(h[20:], flags)
		e.PutUint16(h[24:], mac)
		e.PutUint16(h[26:], mac+14)
		copy(h[mac:], p.data)
		at += size
	}
	e.PutUint32(b[20:], uint32(at))
	atomic.StoreUint32(status, statusUser)
	m.block = (m.block + 1) % mockBlocks
	return true
}

func mockFrame(n int) []byte { return fmt.Appendf(nil, "dstmacsrcmac%c%cpayload %d", 8, 0, n) }

// TestRingGoesRound reads many blocks; what is borrowed stays as it is until the
// next reading, though the kernel would like to have the blocks.
func TestRingGoesRound(t *testing.T) {
	m, r := newMock(linkTypeEthernet)
	sent, got := 0, 0
	packets := make([]Packet, 5)
	for round := range 200 {
		for range round % (mockBlocks + 2) {
			var batch []mockPacket
			for range 1 + (sent % 3) {
				batch = append(batch, mockPacket{data: mockFrame(sent), sec: 1, nsec: uint32(sent)})
				sent++
			}
			if !m.hand(batch...) {
				sent -= len(batch)
			}
		}
		r.giveBack()
		n := r.fill(packets)
		m.hand() // an empty block, or none
		for i := range packets[:n] {
			if p := &packets[i]; !bytes.Equal(p.Data, mockFrame(got)) || p.Time != Timestamp(1e9+got) || p.Length != len(p.Data) {
				t.Fatalf("packet %d: %+v", got, p)
			}
			got++
		}
	}
	for r.giveBack(); ; r.giveBack() {
		n := r.fill(packets)
		if got += n; n == 0 {
			break
		}
	}
	if got != sent || sent < 200 || m.drops == 0 || r.damaged != 0 {
		t.Errorf("%d of %d packets, %d dropped, %d blocks damaged", got, sent, m.drops, r.damaged)
	}
}

func TestRingPutsTagsBack(t *testing.T) {
	plain := mockFrame(1)
	tagged := append(append([]byte{}, plain[:12]...), append([]byte{0x88, 0xa8, 0x20, 0x05}, plain[12:]...)...)
	old := bytes.Clone(tagged)
	old[12], old[13] = 0x81, 0
	m, r := newMock(linkTypeEthernet)
	m.hand(
		mockPacket{data: plain, vlan: true, tpid: 0x88a8, tci: 0x2005, length: 100},
		mockPacket{data: plain, vlan: true, tci: 0x2005},
		mockPacket{data: plain},
		mockPacket{data: plain[:8], vlan: true, tci: 5},
	)
	packets := make([]Packet, 10)
	if n := r.fill(packets); n != 4 {
		t.Fatalf("%d packets", n)
	}
	for i, want := range []struct {
		data   []byte
		length int
	}{{tagged, 104}, {old, len(old)}, {plain, len(plain)}, {plain[:8], 8}} {
		if p := &packets[i]; !bytes.Equal(p.Data, want.data) || p.Length != want.length {
			t.Errorf("packet %d: %q, %d bytes", i, p.Data, p.Length)
		}
	}
	// A packet without addresses has no place for a tag.
	m, r = newMock(linkTypeRaw)
	m.hand(mockPacket{data: plain, vlan: true, tci: 5})
	if r.fill(packets); !bytes.Equal(packets[0].Data, plain) {
		t.Errorf("%q", packets[0].Data)
	}
}

// TestRingDoesNotTrust has headers that point out of their block.
func TestRingDoesNotTrust(t *testing.T) {
	for offset, value := range map[int]uint32{48 + 0: 1 << 31, 48 + 12: 1 << 20, 48 + 24: 0xffff, 16: 1 << 30, 12: 1 << 31} {
		m, r := newMock(linkTypeEthernet)
		m.hand(mockPacket{data: mockFrame(1)}, mockPacket{data: mockFrame(2)})
		binary.NativeEndian.PutUint32(m.mem[offset:], value)
		m.hand(mockPacket{data: mockFrame(3)})
		packets := make([]Packet, 10)
		n := 0
		for range 5 {
			n += r.fill(packets[n:])
		}
		if n == 0 || n > 3 || !bytes.Equal(packets[n-1].Data, mockFrame(3)) || r.damaged == 0 {
			t.Errorf("offset %d: %d packets, the last %q, %d damaged", offset, n, packets[max(0, n-1)].Data, r.damaged)
		}
	}
}

func TestRingsMergeByTime(t *testing.T) {
	m1, r1 := newMock(linkTypeEthernet)
	m2, r2 := newMock(linkTypeEthernet)
	at := func(n int) mockPacket { return mockPacket{data: mockFrame(n), sec: uint32(n)} }
	m1.hand(at(1), at(4))
	m1.hand(at(5))
	m2.hand(at(2), at(3), at(6))
	packets := make([]Packet, 10)
	if n := fillMerged([]*blockRing{r1, r2}, packets); n != 6 {
		t.Fatalf("%d packets", n)
	}
	for i := range 6 {
		if packets[i].Time != Timestamp((i+1)*1e9) {
			t.Errorf("packet %d at %d", i, packets[i].Time)
		}
	}
}

// TestRingCountsDamage counts what is passed over of a block.
func TestRingCountsDamage(t *testing.T) {
	m, r := newMock(linkTypeEthernet)
	m.hand(mockPacket{data: mockFrame(1)}, mockPacket{data: mockFrame(2)}, mockPacket{data: mockFrame(3)})
	binary.NativeEndian.PutUint32(m.mem[48:], 61) // not aligned
	packets := make([]Packet, 10)
	if n := r.fill(packets); n != 1 || r.damaged != 2 {
		t.Errorf("%d packets, %d damaged", n, r.damaged)
	}
}

// TestRingTellsClocks tells the time of the card from the kernel's.
func TestRingTellsClocks(t *testing.T) {
	m, r := newMock(linkTypeEthernet)
	m.hand(mockPacket{data: mockFrame(1), sec: 5, nsec: 6, card: true}, mockPacket{data: mockFrame(2), sec: 7})
	packets := make([]Packet, 10)
	if n := r.fill(packets); n != 2 || packets[0].Time != 5e9+6 || packets[1].Time != 7e9 || r.unstamped != 1 {
		t.Errorf("%d packets, %d without the card's time", n, r.unstamped)
	}
}

func TestRingAllocatesNothing(t *testing.T) {
	m, r := newMock(linkTypeEthernet)
	packets := make([]Packet, 64)
	var batch []mockPacket
	for i := range 20 {
		batch = append(batch, mockPacket{data: mockFrame(i), vlan: i%2 == 0, tci: 7})
	}
	if n := testing.AllocsPerRun(100, func() {
		r.giveBack()
		m.hand(batch...)
		r.fill(packets)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestCutTo(t *testing.T) {
	cut := cutTo(append(passAll, dropAll...), 96)
	if cut[0].K != 96 || cut[1].K != 0 || passAll[0].K != 1<<32-1 {
		t.Errorf("%v, %v", cut, passAll)
	}
}

// BenchmarkRingWalk is the cost of one packet in the memory shared with the kernel,
// with its first bytes read as a decoder would.
func BenchmarkRingWalk(b *testing.B) {
	for _, vlan := range []bool{false, true} {
		b.Run(fmt.Sprintf("vlan=%v", vlan), func(b *testing.B) {
			m, r := newMock(linkTypeEthernet)
			var batch []mockPacket
			for i := range 24 {
				batch = append(batch, mockPacket{data: mockFrame(i), vlan: vlan, tci: 7})
			}
			for range mockBlocks {
				m.hand(batch...)
			}
			packets := make([]Packet, 24)
			b.ReportAllocs()
			sum := byte(0)
			for n := 0; n < b.N; {
				r.giveBack()
				for i := range mockBlocks { // as if the kernel had filled them again
					atomic.StoreUint32(r.status(i), statusUser)
				}
				got := r.fill(packets)
				for i := range packets[:got] {
					sum += packets[i].Data[12]
				}
				n += got
			}
			_ = sum
		})
	}
}
