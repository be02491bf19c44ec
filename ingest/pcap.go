package ingest

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
)

// The layout of a pcap file (draft-ietf-opsawg-pcap, sections 4 and 5).
const (
	pcapMicros       = 0xa1b2c3d4
	pcapNanos        = 0xa1b23c4d
	pcapHeaderSize   = 24
	pcapRecordHeader = 16

	pcapLinkTypeMask = 0x03ffffff
	pcapHasFCS       = 0x04000000
)

// maxPacket is the most bytes that may be captured of one packet, libpcap's
// MAXIMUM_SNAPLEN. What says more is damage.
const maxPacket = 262144

// pcap cuts the records of a pcap file.
type pcap struct {
	swapped  bool  // big-endian
	fraction int64 // nanoseconds per unit of a record's second time field
	fcs      int   // bytes of frame check sequence at the end of each frame
	iface    *Interface
}

// newPcap reads the file header, pcapHeaderSize bytes beginning with one of the
// magic numbers. The version is not looked at: 2.4 has been the only one since
// 1998, and files that say something else (1.4, 2.3) have the same layout.
func newPcap(header []byte, name string, input int) (*pcap, bool) {
	p := &pcap{}
	var order binary.ByteOrder = binary.LittleEndian
	magic := order.Uint32(header)
	if magic == bits.ReverseBytes32(pcapMicros) || magic == bits.ReverseBytes32(pcapNanos) {
		p.swapped = true
		order = binary.BigEndian
		magic = order.Uint32(header)
	}
	switch magic {
	case pcapMicros:
		p.fraction = 1000
	case pcapNanos:
		p.fraction = 1
	default:
		return nil, false
	}
	if len(header) < pcapHeaderSize {
		return nil, true
	}
	network := order.Uint32(header[20:])
	if network&pcapHasFCS != 0 {
		p.fcs = int(network>>28) * 2
	}
	p.iface = &Interface{
		Name:     name,
		LinkType: LinkType(network & pcapLinkTypeMask),
		Snaplen:  snaplen(order.Uint32(header[16:])),
		Input:    input,
	}
	return p, true
}

// snaplen converts a capture limit for platforms with a small int.
func snaplen(n uint32) int { return int(min(n, math.MaxInt32)) }

// limit is the size of the longest record.
func (p *pcap) limit() int { return pcapRecordHeader + maxPacket }

// cut implements format.
func (p *pcap) cut(w *window, packets []Packet) (n int, need int64, bad *fault) {
	b := w.unread()
	for n < len(packets) {
		if len(b) < pcapRecordHeader {
			need = pcapRecordHeader
			break
		}
		seconds := binary.LittleEndian.Uint32(b)
		fraction := binary.LittleEndian.Uint32(b[4:])
		captured := binary.LittleEndian.Uint32(b[8:])
		length := binary.LittleEndian.Uint32(b[12:])
		if p.swapped {
			seconds = bits.ReverseBytes32(seconds)
			fraction = bits.ReverseBytes32(fraction)
			captured = bits.ReverseBytes32(captured)
			length = bits.ReverseBytes32(length)
		}
		need = pcapRecordHeader + int64(captured)
		if captured > maxPacket || int64(len(b)) < need {
			break
		}
		size := int(need)
		packet := &packets[n]
		packet.Data = b[pcapRecordHeader:size:size]
		packet.Length = wireLength(captured, length)
		packet.Time = Timestamp(int64(seconds)*1e9 + int64(fraction)*p.fraction)
		packet.Interface = p.iface
		if p.fcs > 0 {
			packet.stripFCS(p.fcs)
		}
		b = b[size:]
		n++
	}
	w.start = w.end - len(b)
	return n, need, nil
}

// wireLength returns the frame's length. A record that claims to have captured
// more than there was is believed in what it has.
func wireLength(captured, length uint32) int {
	return int(min(max(captured, length), math.MaxInt32))
}

// stripFCS takes n bytes of frame check sequence off the end of the frame, as
// far as they were captured.
func (p *Packet) stripFCS(n int) {
	p.Length = max(p.Length-n, 0)
	if len(p.Data) > p.Length {
		p.Data = p.Data[:p.Length:p.Length]
	}
}

// short implements format.
func (p *pcap) short(rest []byte, need int64) (skip int, reason string) {
	if len(rest) < pcapRecordHeader {
		return 0, fmt.Sprintf("record header has %d bytes, file has %d left", pcapRecordHeader, len(rest))
	}
	return pcapRecordHeader, fmt.Sprintf("record says %d bytes, file has %d left",
		need-pcapRecordHeader, len(rest)-pcapRecordHeader)
}

// long implements format.
func (p *pcap) long(need int64) (skip int, reason string) {
	return pcapRecordHeader, fmt.Sprintf("record says %d bytes, more than the %d that a packet may have",
		need-pcapRecordHeader, maxPacket)
}
