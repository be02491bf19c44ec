package ingest

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// Block types of pcapng (draft-ietf-opsawg-pcapng, section 11.1). All others
// are skipped.
const (
	blockSection   = 0x0a0d0d0a // the same in either byte order
	blockInterface = 1
	blockPacket    = 2 // obsolete, section "Packet Block"
	blockSimple    = 3
	blockEnhanced  = 6
)

const (
	byteOrderMagic = 0x1a2b3c4d
	blockOverhead  = 12       // type, length, and the length again at the end
	maxBlock       = 16 << 20 // as libpcap; a longer block is damage
	maxInterfaces  = 4096     // per section
	packetHeader   = 20       // of an enhanced packet block, behind the block's
)

// pcapng cuts the blocks of a pcapng file.
type pcapng struct {
	name       string
	input      int
	swapped    bool // the section is big-endian
	interfaces []ngInterface
}

// u16 reads in the section's byte order.
func (p *pcapng) u16(b []byte) uint16 {
	v := binary.LittleEndian.Uint16(b)
	if p.swapped {
		return bits.ReverseBytes16(v)
	}
	return v
}

// u32 reads in the section's byte order.
func (p *pcapng) u32(b []byte) uint32 {
	v := binary.LittleEndian.Uint32(b)
	if p.swapped {
		return bits.ReverseBytes32(v)
	}
	return v
}

// limit is the size of the longest block.
func (p *pcapng) limit() int { return maxBlock }

// cut implements format.
func (p *pcapng) cut(w *window, packets []Packet) (n int, need int64, bad *fault) {
	b := w.unread()
	for n < len(packets) {
		if size := p.plain(b, &packets[n]); size > 0 {
			b = b[size:]
			n++
			continue
		}
		if need = blockOverhead; len(b) < blockOverhead {
			break
		}
		kind := p.u32(b)
		if kind == blockSection {
			if bad = p.section(b); bad != nil {
				break
			}
		}
		size := int64(p.u32(b[4:]))
		if size < blockOverhead || size%4 != 0 {
			bad = faultf(4, "block of type %#x says it is %d bytes long", kind, size)
			break
		}
		need = size
		if size > maxBlock || int64(len(b)) < size {
			break
		}
		if again := p.u32(b[size-4:]); again != uint32(size) {
			bad = faultf(int(size-4), "block of type %#x says %d bytes at its begin and %d at its end", kind, size, again)
			break
		}
		body := b[8 : size-4 : size-4]
		if kind == blockEnhanced && len(body) >= packetHeader {
			if bad = p.packet(p.u32(body), body, &packets[n]); bad == nil {
				n++
			}
		} else {
			var found bool
			if found, bad = p.block(kind, body, &packets[n]); found {
				n++
			}
		}
		if bad != nil {
			break
		}
		b = b[size:]
	}
	w.start = w.end - len(b)
	return n, need, bad
}

// plain takes the commonest record, a whole enhanced packet block without
// options in a little-endian section, and returns its size. Of anything else,
// and of anything that is wrong, it returns 0: then the general way has to
// look. It takes a third off the time per record.
func (p *pcapng) plain(b []byte, packet *Packet) (size int) {
	const header = 8 + packetHeader
	if p.swapped || len(b) < header+4 {
		return 0
	}
	h := (*[header]byte)(b)
	id := binary.LittleEndian.Uint32(h[8:])
	captured := binary.LittleEndian.Uint32(h[20:])
	total := header + 4 + (captured+3)&^3
	if binary.LittleEndian.Uint32(h[:]) != blockEnhanced || captured > maxPacket ||
		binary.LittleEndian.Uint32(h[4:]) != total || uint64(len(b)) < uint64(total) ||
		uint64(len(p.interfaces)) <= uint64(id) {
		return 0
	}
	from := &p.interfaces[id]
	if from.fcs > 0 || binary.LittleEndian.Uint32(b[total-4:]) != total {
		return 0
	}
	end := header + int(captured)
	packet.Data = b[header:end:end]
	packet.Length = wireLength(captured, binary.LittleEndian.Uint32(h[24:]))
	packet.Time = from.resolution.timestamp(
		uint64(binary.LittleEndian.Uint32(h[12:]))<<32 | uint64(binary.LittleEndian.Uint32(h[16:])))
	packet.Interface = from.shared
	return int(total)
}

// section begins a section, whose byte order is needed to read even the length
// of its own header.
func (p *pcapng) section(b []byte) *fault {
	switch magic := binary.LittleEndian.Uint32(b[8:]); magic {
	case byteOrderMagic:
		p.swapped = false
	case bits.ReverseBytes32(byteOrderMagic):
		p.swapped = true
	default:
		return faultf(8, "section header has byte-order magic %#08x, want 0x1a2b3c4d in either order", magic)
	}
	return nil
}

// block takes one block without its header and trailer. It reports whether the
// block was a packet.
func (p *pcapng) block(kind uint32, body []byte, packet *Packet) (found bool, bad *fault) {
	switch kind {
	case blockSimple:
		bad = p.simple(body, packet)
		return bad == nil, bad
	case blockPacket:
		bad = p.obsolete(body, packet)
		return bad == nil, bad
	case blockInterface:
		return false, p.addInterface(body)
	case blockSection:
		return false, p.sectionHeader(body)
	case blockEnhanced:
		return false, faultf(4, "enhanced packet block has %d bytes, want at least %d", len(body), packetHeader)
	default:
		return false, nil
	}
}

// sectionHeader takes the body of a section header block (section 4.1).
func (p *pcapng) sectionHeader(body []byte) *fault {
	if len(body) < 16 {
		return faultf(4, "section header has %d bytes, want at least 16", len(body))
	}
	if major := p.u16(body[4:]); major != 1 {
		return faultf(12, "pcapng version %d.%d is not known, only version 1", major, p.u16(body[6:]))
	}
	// Interfaces are told anew in each section. Earlier ones may still be in use.
	p.interfaces = nil
	return nil
}

// obsolete takes the body of a packet block (appendix A), which differs from an
// enhanced packet block in its first four bytes only.
func (p *pcapng) obsolete(body []byte, packet *Packet) *fault {
	if len(body) < packetHeader {
		return faultf(4, "packet block has %d bytes, want at least %d", len(body), packetHeader)
	}
	return p.packet(uint32(p.u16(body)), body, packet)
}

// packet takes the body of an enhanced packet block (section 4.3) of at least
// packetHeader bytes, all but its first four, the interface.
func (p *pcapng) packet(id uint32, body []byte, packet *Packet) *fault {
	high, low, captured, length := p.u32(body[4:]), p.u32(body[8:]), p.u32(body[12:]), p.u32(body[16:])
	if uint64(id) >= uint64(len(p.interfaces)) {
		return faultf(8, "packet of interface %d, the section has %d", id, len(p.interfaces))
	}
	from := &p.interfaces[id]
	end := packetHeader + int64(captured)
	if captured > maxPacket || end > int64(len(body)) {
		return badLength(captured, body, packetHeader)
	}
	packet.Data = body[packetHeader:end:end]
	packet.Length = wireLength(captured, length)
	packet.Time = from.resolution.timestamp(uint64(high)<<32 | uint64(low))
	packet.Interface = from.shared
	fcs := from.fcs
	if options := (int(end) + 3) &^ 3; options < len(body) {
		fcs = p.fcsOption(body[options:], fcs)
	}
	if fcs > 0 {
		packet.stripFCS(fcs)
	}
	return nil
}

// simple takes the body of a simple packet block (section 4.4): no time, the
// section's first interface, and its capture limit decides how much there is.
func (p *pcapng) simple(body []byte, packet *Packet) *fault {
	const header = 4
	if len(body) < header {
		return faultf(4, "simple packet block has %d bytes, want at least %d", len(body), header)
	}
	if len(p.interfaces) == 0 {
		return faultf(8, "packet of interface 0, the section has 0")
	}
	from := &p.interfaces[0]
	length := p.u32(body)
	captured := length
	if from.snaplen > 0 {
		captured = min(captured, from.snaplen)
	}
	end := header + int64(captured)
	if captured > maxPacket || end > int64(len(body)) {
		return badLength(captured, body, header)
	}
	packet.Data = body[header:end:end]
	packet.Length = wireLength(captured, length)
	packet.Time = 0
	packet.Interface = from.shared
	if from.fcs > 0 {
		packet.stripFCS(from.fcs)
	}
	return nil
}

// badLength says why so much cannot have been captured.
func badLength(captured uint32, body []byte, header int) *fault {
	if captured > maxPacket {
		return faultf(8+header, "record says %d bytes, more than the %d that a packet may have", captured, maxPacket)
	}
	return faultf(8+header, "record says %d bytes, block has %d left", captured, len(body)-header)
}

// short implements format.
func (p *pcapng) short(rest []byte, need int64) (skip int, reason string) {
	if len(rest) < blockOverhead {
		return 0, fmt.Sprintf("block has at least %d bytes, file has %d left", blockOverhead, len(rest))
	}
	return 0, fmt.Sprintf("block says %d bytes, file has %d left", need, len(rest))
}

// long implements format.
func (p *pcapng) long(need int64) (skip int, reason string) {
	return 0, fmt.Sprintf("block says %d bytes, more than the %d that a block may have", need, maxBlock)
}
