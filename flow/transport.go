package flow

import "encoding/binary"

// transport reads the innermost header and fills ports, lengths and payload.
func (d *decoded) transport(h *header, proto Transport) Outcome {
	d.payloadLength, d.payload = h.wire, h.data
	d.tcpFlags = 0
	switch proto {
	case TCP:
		return d.tcp(h)
	case UDP:
		return d.udp(h)
	case ICMP, ICMPv6:
		return d.icmp(h, proto)
	case SCTP:
		return d.sctp(h)
	default:
		d.normalise(0, 0)
		return Handled
	}
}

// udp reads a UDP header (RFC 768). A length of 0 is a jumbogram's or an
// offloaded packet's: the payload is the rest of the IP packet.
func (d *decoded) udp(h *header) Outcome {
	b := h.data
	if len(b) < 8 {
		return ShortTransport
	}
	length := int(binary.BigEndian.Uint16(b[4:]))
	if length == 0 {
		length = h.wire
	}
	if length < 8 || length > h.wire {
		return BadTransport
	}
	d.normalise(binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:]))
	if d.verify && len(b) >= length && length == h.wire {
		d.transportChecksum(b[:length], 6)
	}
	d.payloadLength = length - 8
	d.payload = b[8:min(length, len(b))]
	return Handled
}

// tcp reads a TCP header (RFC 9293 section 3.1). Ports, sequence numbers and
// flags stand in its first 14 bytes; options may have been cut off.
func (d *decoded) tcp(h *header) Outcome {
	b := h.data
	if len(b) < 20 {
		return ShortTransport
	}
	n := int(b[12]>>4) * 4
	if n < 20 || n > h.wire {
		return BadTransport
	}
	d.normalise(binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:]))
	d.seq, d.ack = binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])
	d.tcpFlags, d.window = b[13], binary.BigEndian.Uint16(b[14:])
	if d.tcpFlags&tcpSYN != 0 {
		d.windowScale = windowScale(b[20:min(n, len(b))], n-20)
	}
	if d.verify && len(b) == h.wire {
		d.transportChecksum(b, 16)
	}
	d.payloadLength = h.wire - n
	d.payload = b[min(n, len(b)):]
	return Handled
}

// windowScale finds the option in a SYN whose options take n bytes, of which the
// capture has b (RFC 7323 section 2.2).
func windowScale(b []byte, n int) int8 {
	const end, nop, scale = 0, 1, 3
	missing := int8(scaleNotOffered)
	if len(b) < n {
		missing = unknownScale
	}
	for len(b) > 0 && b[0] != end {
		if b[0] == nop {
			b = b[1:]
			continue
		}
		if len(b) < 2 || b[1] < 2 || int(b[1]) > len(b) {
			return missing
		}
		if b[0] == scale && b[1] == 3 {
			return int8(min(b[2], maxScale))
		}
		b = b[b[1]:]
	}
	return missing
}

// sctp reads an SCTP common header (RFC 9260 section 3.1).
func (d *decoded) sctp(h *header) Outcome {
	b := h.data
	if len(b) < 12 {
		return ShortTransport
	}
	d.normalise(binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:]))
	d.payloadLength = h.wire - 12
	d.payload = b[12:]
	return Handled
}

// icmp reads an ICMP or ICMPv6 header (RFC 792, RFC 4443 section 2.1). Type and
// the type that answers it take the place of ports, as in Community ID.
func (d *decoded) icmp(h *header, proto Transport) Outcome {
	b := h.data
	if len(b) < 4 {
		return ShortTransport
	}
	src, dst, _ := icmpPorts(proto, b[0], b[1])
	if icmpEcho(proto, b[0]) && len(b) >= 8 {
		d.key.Sub = binary.BigEndian.Uint16(b[4:])
	}
	n := min(8, h.wire)
	d.payloadLength = h.wire - n
	d.payload = b[min(n, len(b)):]
	d.normalise(src, dst)
	if d.verify && len(b) == h.wire {
		d.transportChecksum(b, 2)
	}
	return Handled
}

func icmpEcho(proto Transport, typ uint8) bool {
	if proto == ICMP {
		return typ == 0 || typ == 8
	}
	return typ == 128 || typ == 129
}

// icmpPorts returns type and answering type, or type and code of the messages
// that nothing answers (Community ID specification; RFC 792, 950, 1256, 2710,
// 4443, 4620, 4861).
func icmpPorts(proto Transport, typ, code uint8) (src, dst uint16, paired bool) {
	opposite := icmpOpposite6
	if proto == ICMP {
		opposite = icmpOpposite4
	}
	if o, ok := opposite(typ); ok {
		return uint16(typ), uint16(o), true
	}
	return uint16(typ), uint16(code), false
}

func icmpOpposite4(typ uint8) (uint8, bool) {
	switch typ {
	case 8, 0: // echo
		return 8 - typ, true
	case 9, 10: // router
		return 19 - typ, true
	case 13, 14: // timestamp
		return 27 - typ, true
	case 15, 16: // information
		return 31 - typ, true
	case 17, 18: // address mask
		return 35 - typ, true
	default:
		return 0, false
	}
}

func icmpOpposite6(typ uint8) (uint8, bool) {
	switch typ {
	case 128, 129, // echo
		130, 131, // multicast listener
		144, 145: // home agent address
		return typ ^ 1, true
	case 133, 134: // router
		return 133 + (134 - typ), true
	case 135, 136: // neighbour
		return 135 + (136 - typ), true
	case 139, 140: // who are you
		return 139 + (140 - typ), true
	default:
		return 0, false
	}
}
