package flow

import (
	"bytes"
	"encoding/binary"
)

// ip reads one IP header and decides what follows.
func ip(h *header, d *decoded) Outcome {
	if len(h.data) == 0 {
		return ShortIP
	}
	switch h.data[0] >> 4 {
	case 4:
		return ipv4(h, d)
	case 6:
		return ipv6(h, d)
	default:
		return BadIPHeader
	}
}

// ipv4 reads an IPv4 header (RFC 791 section 3.1).
func ipv4(h *header, d *decoded) Outcome {
	b := h.data
	if len(b) < 20 {
		return ShortIP
	}
	ihl := int(b[0]&15) * 4
	if ihl < 20 {
		return BadIPHeader
	}
	total := int(binary.BigEndian.Uint16(b[2:]))
	if total == 0 { // segmentation offload: the length is the rest of the frame
		total = h.wire
		d.verify = false
	}
	if total < ihl {
		return BadIPLength
	}
	if o := h.bound(total, d); o != Handled {
		return o
	}
	if len(h.data) < ihl {
		return ShortIP
	}
	d.ipLength = total
	b = h.data
	if d.verify {
		d.ipv4Checksum(b[:ihl])
	}
	frag := binary.BigEndian.Uint16(b[6:])
	proto := b[9]
	h.advance(ihl)
	if frag&0x3fff != 0 {
		return d.fragmented(h, &fragment{
			key:    fragmentKey{id: uint32(binary.BigEndian.Uint16(b[4:])), proto: proto},
			offset: int(frag&0x1fff) * 8, more: frag&0x2000 != 0,
		}, b[12:16], b[16:20], 0)
	}
	return ipPayload(h, d, proto, b[12:16], b[16:20], 0)
}

// ipv6 reads an IPv6 header and its extension headers (RFC 8200 section 4).
func ipv6(h *header, d *decoded) Outcome {
	const fixed = 40
	b := h.data
	if len(b) < fixed {
		return ShortIP
	}
	total := fixed + int(binary.BigEndian.Uint16(b[4:]))
	if total == fixed && b[6] != 59 {
		if n := jumboLength(b); n > maxDatagram && n <= h.wire-fixed {
			total = fixed + n
		} else { // segmentation offload: the rest of the frame
			total = max(h.wire, fixed)
			d.verify = false
		}
	}
	if o := h.bound(total, d); o != Handled {
		return o
	}
	d.ipLength = total
	proto := b[6]
	h.advance(fixed)
	for range maxLayers {
		n := 0
		switch proto {
		case 0, 43, 60, 135, 139, 140: // hop-by-hop, routing, destination, mobility, HIP, shim6
			if len(h.data) < 8 {
				return ShortIP
			}
			n = (int(h.data[1]) + 1) * 8
			if proto == 43 && h.data[3] != 0 || proto == 60 && h.data[2] == optionHomeAddress {
				d.verify = false // made for other addresses than the header's (RFC 8200 section 8.1, RFC 6275 section 11.3.1)
			}
		case 51: // authentication (RFC 4302 section 2.2)
			if len(h.data) < 8 {
				return ShortIP
			}
			n = (int(h.data[1]) + 2) * 4
		case 44: // fragment
			if len(h.data) < 8 {
				return ShortIP
			}
			if field := binary.BigEndian.Uint16(h.data[2:]); field&0xfff9 != 0 {
				f := fragment{
					key:    fragmentKey{id: binary.BigEndian.Uint32(h.data[4:]), proto: h.data[0], ip6: 1},
					offset: int(field &^ 7), more: field&1 != 0,
				}
				h.advance(8)
				return d.fragmented(h, &f, b[8:24], b[24:40], 1)
			}
			n = 8 // an atomic fragment (RFC 6946) is a whole packet
		default:
			return ipPayload(h, d, proto, b[8:24], b[24:40], 1)
		}
		if n > len(h.data) {
			return ShortIP
		}
		proto = h.data[0]
		h.advance(n)
	}
	return TooDeep
}

// optionHomeAddress is a destination option that replaces the source (RFC 6275
// section 6.3).
const optionHomeAddress = 0xc9

// jumboLength returns the payload length that a hop-by-hop header right after the
// fixed header gives (RFC 2675 section 2).
// It is 0 if there is none.
func jumboLength(b []byte) int {
	const jumbo, pad1 = 0xc2, 0
	if b[6] != 0 || len(b) < 48 {
		return 0
	}
	end := min(40+(int(b[41])+1)*8, len(b))
	for o := b[42:end]; len(o) > 0; {
		if o[0] == pad1 {
			o = o[1:]
			continue
		}
		if len(o) < 2 || len(o) < 2+int(o[1]) {
			break
		}
		if o[0] == jumbo && o[1] == 4 {
			return int(binary.BigEndian.Uint32(o[2:]))
		}
		o = o[2+int(o[1]):]
	}
	return 0
}

// bound cuts h to the length that an IP header gives, so that padding of the
// frame is not taken for payload, and notes when the capture holds less.
func (h *header) bound(total int, d *decoded) Outcome {
	if total < len(h.data) {
		h.data = h.data[:total]
	} else if total > len(h.data) {
		d.truncated = true
	}
	h.wire = total
	return Handled
}

// IP protocol numbers of what is peeled.
const (
	protoIPv4    = 4
	protoIPv6    = 41
	protoGRE     = 47
	protoEtherIP = 97
	protoMPLS    = 137
)

// ipPayload peels a tunnel, or ends the walk at a transport header.
func ipPayload(h *header, d *decoded, proto uint8, src, dst []byte, ip6 uint8) Outcome {
	switch Transport(proto) {
	case UDP:
		if o, peeled := udpTunnel(h, &d.path); peeled {
			return o
		}
	case protoIPv4, protoIPv6:
		if !d.path.addTunnel(tunnelIPIP, 0) {
			return TooDeep
		}
		h.kind = ipPacket
		return Handled
	case protoGRE:
		if o, peeled := gre(h, &d.path); peeled {
			return o
		}
	case protoMPLS:
		h.kind = mplsStack
		return Handled
	}
	h.kind = transportDone
	d.endpoints(proto, src, dst, ip6)
	return d.transport(h, Transport(proto))
}

// endpoints starts the key; transport adds the ports and puts it in order.
func (d *decoded) endpoints(proto uint8, src, dst []byte, ip6 uint8) {
	k := &d.key
	if ip6 == 0 {
		k.A, k.B = [16]byte{}, [16]byte{}
		*(*[4]byte)(k.A[:]) = [4]byte(src)
		*(*[4]byte)(k.B[:]) = [4]byte(dst)
	} else {
		k.A, k.B = [16]byte(src), [16]byte(dst)
	}
	k.Proto, k.IP6, k.Sub = Transport(proto), ip6, 0
}

// normalise puts the lower endpoint first.
func (d *decoded) normalise(srcPort, dstPort uint16) {
	k := &d.key
	d.srcPort, d.dstPort = srcPort, dstPort
	order := compareAddr(&k.A, &k.B)
	if order > 0 || order == 0 && srcPort > dstPort {
		k.A, k.B = k.B, k.A
		k.PortA, k.PortB = dstPort, srcPort
		d.swapped = true
		return
	}
	k.PortA, k.PortB = srcPort, dstPort
	d.swapped = false
}

func compareAddr(a, b *[16]byte) int {
	x, y := binary.BigEndian.Uint64(a[:]), binary.BigEndian.Uint64(b[:])
	if x == y {
		return bytes.Compare(a[8:], b[8:])
	}
	if x < y {
		return -1
	}
	return 1
}
