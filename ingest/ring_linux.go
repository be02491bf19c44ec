package ingest

import (
	"encoding/binary"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The status bits of a block and of a packet (linux/if_packet.h).
const (
	statusKernel    = 0
	statusUser      = 1
	statusVLAN      = 1 << 4
	statusVLANProto = 1 << 6
	statusCardTime  = 1 << 31
)

const (
	packetHeaderSize = int(unsafe.Sizeof(unix.Tpacket3Hdr{}))
	packetAlignment  = 8 // V3_ALIGNMENT
	// blockHeader is where a block's header begins, after version and private
	// offset.
	blockHeader = int(unsafe.Offsetof(unix.TpacketBlockDesc{}.Hdr))
)

// blockRing reads packets from memory that the kernel fills, TPACKET_V3
// (Documentation/networking/packet_mmap.rst). The kernel hands over blocks of
// packets, in order and round; each is given back when what was read of it is no
// longer borrowed.
type blockRing struct {
	mem       []byte
	blockSize int
	blocks    int
	iface     *Interface
	retag     bool // VLAN tags are put back: the frames are Ethernet's

	free    int    // the first block that must be given back
	reading int    // the block that is being read, or comes next
	lent    int    // blocks from free on that are ours and read through
	open    bool   // reading is ours
	left    uint32 // packets left in it
	next    int    // where the next of them begins, in mem

	seen      uint64 // packets of all blocks that came
	damaged   uint64 // packets passed over, as what their block says of them made no sense
	unstamped uint64 // packets without a time of the network card
}

// newBlockRing returns a reader of memory that holds whole blocks.
func newBlockRing(mem []byte, blockSize int, iface *Interface) *blockRing {
	return &blockRing{
		mem: mem, blockSize: blockSize, blocks: len(mem) / blockSize, iface: iface,
		retag: iface.LinkType == linkTypeEthernet,
	}
}

// status is the word by which a block changes hands.
func (r *blockRing) status(block int) *uint32 {
	return (*uint32)(unsafe.Pointer(&r.mem[block*r.blockSize+blockHeader]))
}

// giveBack returns the blocks that were read through.
func (r *blockRing) giveBack() {
	for ; r.lent > 0; r.lent-- {
		atomic.StoreUint32(r.status(r.free), statusKernel)
		r.free = (r.free + 1) % r.blocks
	}
}

// peek makes the next packet available. It reports false if there is none.
func (r *blockRing) peek() bool {
	for r.left == 0 {
		if r.open {
			r.open = false
			r.lent++
			r.reading = (r.reading + 1) % r.blocks
		}
		if r.lent == r.blocks || atomic.LoadUint32(r.status(r.reading))&statusUser == 0 {
			return false
		}
		start := r.reading * r.blockSize
		head := (*unix.TpacketHdrV1)(unsafe.Pointer(&r.mem[start+blockHeader]))
		r.open, r.left = true, min(head.Num_pkts, uint32(r.blockSize/packetHeaderSize))
		r.seen += uint64(r.left)
		r.next = start + int(min(head.Offset_to_first_pkt, uint32(r.blockSize)))
	}
	return true
}

// header is the next packet's, nil if it does not lie within its block: the rest
// of the block is then passed over.
func (r *blockRing) header() *unix.Tpacket3Hdr {
	end := (r.reading + 1) * r.blockSize
	if r.next+packetHeaderSize <= end && r.next%packetAlignment == 0 {
		h := (*unix.Tpacket3Hdr)(unsafe.Pointer(&r.mem[r.next]))
		if uint64(r.next)+uint64(h.Mac)+uint64(h.Snaplen) <= uint64(end) {
			return h
		}
	}
	r.passOver()
	return nil
}

// take fills p with the next packet. It reports false if there is none that makes
// sense.
func (r *blockRing) take(p *Packet) bool {
	h := r.header()
	if h == nil {
		return false
	}
	start := r.next + int(h.Mac)
	end := start + int(h.Snaplen)
	p.Length = max(int(h.Len), int(h.Snaplen))
	if h.Status&statusVLAN != 0 && r.retag && h.Snaplen >= 12 && int(h.Mac) >= packetHeaderSize+4 {
		start = r.putTagBack(h, start)
		p.Length += 4
	}
	p.Data = r.mem[start:end:end]
	p.Time = timeOf(h)
	p.Interface = r.iface
	r.left--
	if h.Status&statusCardTime == 0 {
		r.unstamped++
	}
	if r.left > 0 && (h.Next_offset < uint32(packetHeaderSize) || h.Next_offset > uint32(r.blockSize)) {
		r.passOver()
	}
	r.next += int(h.Next_offset)
	return true
}

// passOver gives up the rest of a block.
func (r *blockRing) passOver() {
	r.damaged += uint64(r.left)
	r.left = 0
}

// putTagBack moves the two addresses to make room for the tag that the kernel keeps
// beside the frame. It returns where the frame begins then.
func (r *blockRing) putTagBack(h *unix.Tpacket3Hdr, start int) int {
	proto := uint16(etherTypeVLAN)
	if h.Status&statusVLANProto != 0 {
		proto = h.Hv1.Vlan_tpid
	}
	moved := start - 4
	copy(r.mem[moved:moved+12], r.mem[start:start+12])
	binary.BigEndian.PutUint16(r.mem[moved+12:], proto)
	binary.BigEndian.PutUint16(r.mem[moved+14:], uint16(h.Hv1.Vlan_tci))
	return moved
}

const etherTypeVLAN = 0x8100

// timeOf is when the kernel or the card has seen a packet.
func timeOf(h *unix.Tpacket3Hdr) Timestamp {
	return Timestamp(int64(h.Sec)*1e9 + int64(h.Nsec))
}

// fill reads packets of one ring.
func (r *blockRing) fill(packets []Packet) int {
	n := 0
	for n < len(packets) && r.peek() {
		if r.take(&packets[n]) {
			n++
		}
	}
	return n
}

// fillMerged reads packets of several rings, the earliest first.
func fillMerged(rings []*blockRing, packets []Packet) int {
	n := 0
	for n < len(packets) {
		var (
			best  *blockRing
			first Timestamp
		)
		for _, r := range rings {
			for r.peek() {
				h := r.header()
				if h == nil {
					continue
				}
				if t := timeOf(h); best == nil || t < first {
					best, first = r, t
				}
				break
			}
		}
		if best == nil {
			break
		}
		if best.take(&packets[n]) {
			n++
		}
	}
	return n
}
