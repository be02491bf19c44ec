package flow

import (
	"encoding/binary"

	"flowscope/ingest"
)

// Spread returns a hash of a packet's outermost IP addresses, the same for both
// directions and for every fragment, so that all packets of a flow reach one
// worker. Inside VXLAN, Geneve and GTP-U, whose outer addresses are those of a
// few gateways, and Teredo, the inner addresses count, unless the outer packet is
// a fragment. Packets without IP all give 0.
//
// It uses only what classic BPF can compute: 32-bit words of the packet, sums,
// products and shifts. The hash stands in the upper 32 bits.
func Spread(p *ingest.Packet) uint64 {
	h := header{data: p.Data, wire: p.Length}
	var layers path
	if linkHeader(p.Interface.LinkType, &h) != Handled || h.toIP(&layers) != Handled {
		return 0
	}
	return spreadPacket(&h, &layers)
}

func spreadPacket(h *header, p *path) uint64 {
	b, n := h.data, 0
	switch {
	case len(b) >= 20 && b[0]>>4 == 4 && b[9] == byte(UDP) && binary.BigEndian.Uint16(b[6:])&0x3fff == 0:
		n = int(b[0]&15) * 4
	case len(b) >= 40 && b[0]>>4 == 6 && b[6] == byte(UDP):
		n = 40
	}
	if n >= 20 && n <= len(b) {
		inner := *h
		inner.advance(n)
		if inner.gatewayTunnel(p) {
			return spreadAddresses(inner.data)
		}
	}
	return spreadAddresses(b)
}

// gatewayTunnel moves from a UDP header to the IP packet inside, if that is a
// tunnel between gateways, or Teredo: its two directions may pass different
// servers and relays.
func (h *header) gatewayTunnel(p *path) bool {
	if len(h.data) < 8 {
		return false
	}
	src, dst := binary.BigEndian.Uint16(h.data), binary.BigEndian.Uint16(h.data[2:])
	switch dst {
	case portVXLAN, portVXLANLinux, portVXLANGPE, portGeneve, portGTPU:
	default:
		if src != portTeredo && dst != portTeredo && !mappedTeredo(h.data) {
			return false
		}
	}
	o, peeled := udpTunnel(h, p)
	return peeled && o == Handled && h.toIP(p) == Handled
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
