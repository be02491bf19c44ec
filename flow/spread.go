package flow

import (
	"encoding/binary"

	"flowscope/ingest"
)

// Spread returns a hash of a packet's outermost IP addresses, the same for both
// directions and for every fragment, so that all packets of a flow reach one
// worker. Inside VXLAN, Geneve and GTP-U, whose outer addresses are those of a
// few gateways, the inner addresses count, unless the outer packet is a fragment.
// Packets without IP all give 0.
//
// It uses only what classic BPF can compute: 32-bit words of the packet, sums,
// products and shifts. The hash stands in the upper 32 bits.
func Spread(p *ingest.Packet) uint64 {
	h := header{data: p.Data, wire: p.Length}
	var layers path
	if linkHeader(p.Interface.LinkType, &h) != Handled || h.toIP(&layers) != Handled {
		return 0
	}
	if inner, ok := h.udpInner(&layers); ok {
		return spreadAddresses(inner.data)
	}
	return spreadAddresses(h.data)
}

// udpInner returns the IP packet inside a tunnel over UDP between gateways, if h
// is whole and carries one.
func (h *header) udpInner(p *path) (header, bool) {
	b, n := h.data, 0
	switch {
	case len(b) >= 20 && b[0]>>4 == 4 && b[9] == byte(UDP) && binary.BigEndian.Uint16(b[6:])&0x3fff == 0:
		n = int(b[0]&15) * 4
	case len(b) >= 40 && b[0]>>4 == 6 && b[6] == byte(UDP):
		n = 40
	default:
		return *h, false
	}
	if n < 20 || len(b) < n+8 {
		return *h, false
	}
	switch binary.BigEndian.Uint16(b[n+2:]) {
	case portVXLAN, portVXLANLinux, portGeneve, portGTPU:
	default:
		return *h, false
	}
	inner := *h
	inner.advance(n)
	if o, peeled := udpTunnel(&inner, p); !peeled || o != Handled {
		return *h, false
	}
	if inner.toIP(p) != Handled {
		return *h, false
	}
	return inner, true
}

// spreadAddresses hashes the addresses of an IP packet.
func spreadAddresses(b []byte) uint64 {
	if len(b) >= 20 && b[0]>>4 == 4 {
		return spreadHash(binary.BigEndian.Uint32(b[12:]), binary.BigEndian.Uint32(b[16:]))
	}
	if len(b) >= 40 && b[0]>>4 == 6 {
		return spreadHash(xorWords(b[8:24]), xorWords(b[24:40]))
	}
	return 0
}

func xorWords(b []byte) uint32 {
	return binary.BigEndian.Uint32(b) ^ binary.BigEndian.Uint32(b[4:]) ^
		binary.BigEndian.Uint32(b[8:]) ^ binary.BigEndian.Uint32(b[12:])
}

// spreadHash mixes two addresses without regard to their order.
func spreadHash(a, b uint32) uint64 {
	h := (a^b)*0x9e3779b1 + (a+b)*0x85ebca6b
	h ^= h >> 15
	h *= 0xc2b2ae35
	h ^= h >> 13
	return uint64(h) << 32
}
