package flow

import "encoding/binary"

// UDP ports of tunnels (IANA), and the port that Linux used for VXLAN first.
const (
	portVXLAN      = 4789
	portVXLANLinux = 8472
	portVXLANGPE   = 4790
	portGeneve     = 6081
	portGTPU       = 2152
	portTeredo     = 3544
)

// udpTunnel peels a tunnel over UDP. A port alone proves nothing: the tunnel's
// header and the lengths of the IP packet inside must fit too, else the datagram
// is an ordinary one.
func udpTunnel(h *header, p *path) (Outcome, bool) {
	if len(h.data) < 8 || p.tunnels == maxTunnels {
		return Handled, false
	}
	src, dst := binary.BigEndian.Uint16(h.data), binary.BigEndian.Uint16(h.data[2:])
	var kind tunnelKind
	switch {
	case dst == portVXLAN || dst == portVXLANLinux || dst == portVXLANGPE:
		kind = tunnelVXLAN
	case dst == portGeneve:
		kind = tunnelGeneve
	case dst == portGTPU:
		kind = tunnelGTPU
	case dst == portTeredo || src == portTeredo || mappedTeredo(h.data):
		kind = tunnelTeredo
	default:
		return Handled, false
	}
	length := int(binary.BigEndian.Uint16(h.data[4:]))
	if length < 8 || length > h.wire {
		return Handled, false
	}
	inner := header{data: h.data[8:min(length, len(h.data))], wire: length - 8}
	id, label, ok := uint64(0), uint32(0), false
	switch kind {
	case tunnelVXLAN:
		id, ok = vxlan(&inner, dst == portVXLANGPE)
	case tunnelGeneve:
		id, ok = geneve(&inner)
	case tunnelGTPU:
		label = binary.BigEndian.Uint32(inner.labelBytes(4))
		ok = gtpu(&inner)
	case tunnelTeredo:
		ok = teredo(&inner)
	}
	if !ok || !inner.plausible() {
		return Handled, false
	}
	if kind == tunnelGTPU {
		p.addLabel(label, false)
	}
	p.addTunnel(kind, id)
	*h = inner
	return Handled, true
}

// labelBytes returns the four bytes at an offset, zeros where the packet is too
// short.
func (h *header) labelBytes(at int) []byte {
	if len(h.data) < at+4 {
		return []byte{0, 0, 0, 0}
	}
	return h.data[at : at+4]
}

// vxlan reads a VXLAN header (RFC 7348 section 5), or one with the generic
// protocol extension (draft-ietf-nvo3-vxlan-gpe section 3), which names what
// follows.
func vxlan(h *header, gpe bool) (vni uint64, ok bool) {
	if len(h.data) < 8 || h.data[0]&0x08 == 0 || h.data[7] != 0 {
		return 0, false
	}
	h.kind = etherFrame
	if gpe && h.data[0]&0x04 != 0 {
		switch h.data[3] {
		case 1, 2:
			h.kind = ipPacket
		case 3:
		default:
			return 0, false
		}
	}
	vni = uint64(binary.BigEndian.Uint32(h.data[4:]) >> 8)
	h.advance(8)
	return vni, true
}

// geneve reads a Geneve header (RFC 8926 section 3.4).
func geneve(h *header) (vni uint64, ok bool) {
	if len(h.data) < 8 || h.data[0]>>6 != 0 || h.data[7] != 0 {
		return 0, false
	}
	n := 8 + int(h.data[0]&0x3f)*4
	if n > len(h.data) {
		return 0, false
	}
	vni = uint64(binary.BigEndian.Uint32(h.data[4:]) >> 8)
	h.next, h.kind = binary.BigEndian.Uint16(h.data[2:]), etherPayload
	h.advance(n)
	return vni, true
}

// gtpu reads a GTP-U header with its extension headers (3GPP TS 29.281 section
// 5); only G-PDUs carry a packet.
func gtpu(h *header) bool {
	const version1, gpdu, optional, extension = 0x30, 255, 0x07, 0x04
	b := h.data
	if len(b) < 8 || b[0]&0xf0 != version1 || b[1] != gpdu {
		return false
	}
	length := int(binary.BigEndian.Uint16(b[2:]))
	if length > h.wire-8 {
		return false
	}
	flags := b[0]
	h.advance(8)
	h.wire = length
	h.data = h.data[:min(length, len(h.data))]
	if flags&optional != 0 {
		if len(h.data) < 4 {
			return false
		}
		next := h.data[3]
		h.advance(4)
		for i := 0; flags&extension != 0 && next != 0; i++ {
			if len(h.data) < 4 || i == maxLayers {
				return false
			}
			n := int(h.data[0]) * 4
			if n == 0 || n > len(h.data) {
				return false
			}
			next = h.data[n-1]
			h.advance(n)
		}
	}
	h.kind = ipPacket
	return true
}

// teredo reads the optional authentication and origin indications of Teredo
// (RFC 4380 section 5.1.1); IPv6 follows.
func teredo(h *header) bool {
	if len(h.data) >= 4 && h.data[0] == 0 && h.data[1] == 1 {
		n := 4 + int(h.data[2]) + int(h.data[3]) + 9
		if n > len(h.data) {
			return false
		}
		h.advance(n)
	}
	if len(h.data) >= 8 && h.data[0] == 0 && h.data[1] == 0 {
		h.advance(8)
	}
	h.kind = ipPacket
	return len(h.data) >= 40 && h.data[0]>>4 == 6
}

// mappedTeredo recognises Teredo between mapped ports (RFC 4380 section 5.2), from
// the UDP header on, by a bare IPv6 packet that fills the datagram and has a
// Teredo address at one end.
func mappedTeredo(udp []byte) bool {
	const prefix, headers = 0x20010000, 8 + 40
	if len(udp) < headers || udp[8]>>4 != 6 {
		return false
	}
	b := udp[8:]
	return headers+int(binary.BigEndian.Uint16(b[4:])) == int(binary.BigEndian.Uint16(udp[4:])) &&
		(binary.BigEndian.Uint32(b[8:]) == prefix || binary.BigEndian.Uint32(b[24:]) == prefix)
}

// gre peels GRE (RFC 2784, RFC 2890), its PPTP form (RFC 2637 section 4.1),
// NVGRE (RFC 7637 section 3.2) and ERSPAN of types I to III
// (draft-foschiano-erspan-03). What cannot be peeled is tracked as protocol 47.
func gre(h *header, p *path) (Outcome, bool) {
	const checksum, routing, key, sequence, ackPPTP, versionMask = 0x8000, 0x4000, 0x2000, 0x1000, 0x0080, 7
	if len(h.data) < 4 || p.tunnels == maxTunnels {
		return Handled, false
	}
	flags, proto := binary.BigEndian.Uint16(h.data), binary.BigEndian.Uint16(h.data[2:])
	version := flags & versionMask
	inner := *h
	n, id := 4, uint64(0)
	label, hasLabel := uint32(0), false
	if flags&(checksum|routing) != 0 {
		n += 4
	}
	if flags&key != 0 {
		if len(inner.data) < n+4 {
			return Handled, false
		}
		if version == 0 {
			id = uint64(binary.BigEndian.Uint32(inner.data[n:]))
			if proto == etherTEB {
				id >>= 8 // the low byte is NVGRE's FlowID
			}
		} else {
			label, hasLabel = uint32(binary.BigEndian.Uint16(inner.data[n+2:])), true // behind the payload's length
		}
		n += 4
	}
	if flags&sequence != 0 {
		n += 4
	}
	if version == 1 && flags&ackPPTP != 0 {
		n += 4
	}
	if version > 1 || flags&routing != 0 || n > len(inner.data) {
		return Handled, false
	}
	inner.advance(n)
	kind := tunnelGRE
	switch {
	case version == 1 && proto == etherPPP:
		inner.kind = pppFrame
	case version == 1:
		return Handled, false
	case proto == etherERSPAN || proto == etherERSPAN3:
		kind, id = tunnelERSPAN, 0
		if hasLabel = flags&sequence != 0; hasLabel {
			label = uint32(binary.BigEndian.Uint16(inner.labelBytes(0)[2:])) & 0x3ff
		}
		if !erspan(&inner, flags&sequence != 0) {
			return Handled, false
		}
	default:
		inner.next, inner.kind = proto, etherPayload
	}
	if !inner.plausible() {
		return Handled, false
	}
	if hasLabel {
		p.addLabel(label, false)
	}
	p.addTunnel(kind, id)
	*h = inner
	return Handled, true
}

func erspan(h *header, sequenced bool) bool {
	h.kind = etherFrame
	if !sequenced { // type I has no header of its own
		return true
	}
	if len(h.data) < 8 {
		return false
	}
	n := 8
	if h.data[0]>>4 == 2 { // type III
		n = 12
		if len(h.data) < n {
			return false
		}
		if h.data[11]&1 != 0 {
			n += 8
		}
	}
	if n > len(h.data) {
		return false
	}
	h.advance(n)
	return true
}

// plausible looks ahead to the IP header inside a tunnel: its version and its
// lengths must fit what the tunnel carries. ARP is plausible too.
func (h *header) plausible() bool {
	const etherARP = 0x0806
	in := *h
	for range maxVLANs {
		switch in.kind {
		case etherFrame:
			if ethernet(&in) != Handled {
				return false
			}
		case etherPayload:
			switch in.next {
			case etherIPv4, etherIPv6:
				in.kind = ipPacket
			case etherARP:
				return true
			case etherTEB:
				in.kind = etherFrame
			case etherVLAN, etherQinQ, etherQinQOld:
				if len(in.data) < 4 {
					return false
				}
				in.next = binary.BigEndian.Uint16(in.data[2:])
				in.advance(4)
			case etherMPLS, etherMPLSM:
				in.kind = mplsStack
			case etherPPP:
				in.kind = pppFrame
			default:
				return false
			}
		case pppFrame:
			if ppp(&in) != Handled {
				return false
			}
		case mplsStack:
			var none path
			if mpls(&in, &none) != Handled {
				return false
			}
		case ipPacket:
			return in.plausibleIP()
		default:
			return false
		}
	}
	return false
}

func (h *header) plausibleIP() bool {
	if len(h.data) < 20 {
		return false
	}
	switch h.data[0] >> 4 {
	case 4:
		ihl, total := int(h.data[0]&15)*4, int(binary.BigEndian.Uint16(h.data[2:]))
		return ihl >= 20 && total >= ihl && total <= h.wire
	case 6:
		return len(h.data) >= 40 && 40+int(binary.BigEndian.Uint16(h.data[4:])) <= h.wire
	default:
		return false
	}
}
