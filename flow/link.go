package flow

import (
	"encoding/binary"

	"flowscope/ingest"
)

// Link types (LINKTYPE_ registry of the tcpdump group), with the numbers that
// some systems write for the same thing.
const (
	linkNull       ingest.LinkType = 0
	linkEthernet   ingest.LinkType = 1
	linkPPP        ingest.LinkType = 9
	linkRawBSD     ingest.LinkType = 12
	linkRawOpenBSD ingest.LinkType = 14
	linkPPPHDLC    ingest.LinkType = 50
	linkRaw        ingest.LinkType = 101
	link80211      ingest.LinkType = 105
	linkLoop       ingest.LinkType = 108
	linkSLL        ingest.LinkType = 113
	linkRadiotap   ingest.LinkType = 127
	linkIPv4       ingest.LinkType = 228
	linkIPv6       ingest.LinkType = 229
	linkSLL2       ingest.LinkType = 276
)

var linkNames = map[ingest.LinkType]string{
	linkNull: "NULL", linkEthernet: "ETHERNET", linkPPP: "PPP", linkRawBSD: "RAW",
	linkRawOpenBSD: "RAW", linkPPPHDLC: "PPP_HDLC", linkRaw: "RAW",
	link80211: "IEEE802_11", linkLoop: "LOOP", linkSLL: "LINUX_SLL",
	linkRadiotap: "IEEE802_11_RADIOTAP", linkIPv4: "IPV4", linkIPv6: "IPV6",
	linkSLL2: "LINUX_SLL2",
}

// SupportsLinkType says whether packets of a link type can be decoded.
func SupportsLinkType(t ingest.LinkType) bool {
	_, ok := linkNames[t]
	return ok
}

// linkHeader peels the link layer's own header.
func linkHeader(t ingest.LinkType, h *header) Outcome {
	switch t {
	case linkEthernet:
		return ethernet(h)
	case linkRaw, linkRawBSD, linkRawOpenBSD, linkIPv4, linkIPv6:
		h.kind = ipPacket
		return Handled
	case linkSLL:
		return sll(h)
	case linkSLL2:
		return sll2(h)
	case linkNull, linkLoop:
		return null(h)
	case linkPPP, linkPPPHDLC:
		h.kind = pppFrame
		return Handled
	case linkRadiotap:
		return radiotap(h)
	case link80211:
		return ieee80211(h)
	default:
		return UnknownLinkType
	}
}

// ARPHRD_ values of the "cooked" headers whose protocol field is no EtherType.
const (
	arphrdNetlink  = 824
	arphrdIPGRE    = 778
	arphrdRadiotap = 803
	arphrdFRAD     = 770
)

// sll reads a Linux "cooked" header: type, address type, address, protocol.
func sll(h *header) Outcome {
	if len(h.data) < 16 {
		return ShortLink
	}
	hardware, proto := binary.BigEndian.Uint16(h.data[2:]), binary.BigEndian.Uint16(h.data[14:])
	h.advance(16)
	return cooked(h, hardware, proto)
}

// sll2 reads the second version of that header, which has the protocol first.
func sll2(h *header) Outcome {
	if len(h.data) < 20 {
		return ShortLink
	}
	hardware, proto := binary.BigEndian.Uint16(h.data[8:]), binary.BigEndian.Uint16(h.data)
	h.advance(20)
	return cooked(h, hardware, proto)
}

func cooked(h *header, hardware, proto uint16) Outcome {
	switch hardware {
	case arphrdNetlink, arphrdIPGRE, arphrdRadiotap, arphrdFRAD:
		return NotIP
	}
	switch proto {
	case 0x0001: // 802.3 without 802.2
		return NotIP
	case 0x0004: // 802.2 follows
		return llc(h)
	}
	h.next, h.kind = proto, etherPayload
	return Handled
}

// null reads a BSD loopback header: an address family in the byte order of the
// machine that captured, or in network order for LOOP.
func null(h *header) Outcome {
	if len(h.data) < 4 {
		return ShortLink
	}
	family := binary.LittleEndian.Uint32(h.data)
	if family > 0xffff {
		family = binary.BigEndian.Uint32(h.data)
	}
	h.advance(4)
	switch family {
	case 2, 10, 23, 24, 28, 30: // AF_INET, and AF_INET6 of the systems in use
		h.kind = ipPacket
		return Handled
	default:
		return NotIP
	}
}

// radiotap skips a radiotap header (radiotap.org) and its FCS, if flagged.
func radiotap(h *header) Outcome {
	if len(h.data) < 8 {
		return ShortLink
	}
	n := int(binary.LittleEndian.Uint16(h.data[2:]))
	if n < 8 || n > len(h.data) {
		return ShortLink
	}
	if hasFCS(h.data[:n]) && len(h.data)-n >= 4 {
		if len(h.data) == h.wire {
			h.data = h.data[:len(h.data)-4]
		}
		h.wire -= 4
	}
	h.advance(n)
	return ieee80211(h)
}

// hasFCS looks at the radiotap field "flags", which follows the optional TSFT.
func hasFCS(b []byte) bool {
	const tsft, flags, more = 1 << 0, 1 << 1, 1 << 31
	present := binary.LittleEndian.Uint32(b[4:])
	if present&flags == 0 {
		return false
	}
	off := 8
	for word := present; word&more != 0; off += 4 {
		if off+4 > len(b) {
			return false
		}
		word = binary.LittleEndian.Uint32(b[off:])
	}
	if present&tsft != 0 {
		off = (off+7)&^7 + 8
	}
	return off < len(b) && b[off]&0x10 != 0
}

// ieee80211 reads the header of a data frame (IEEE 802.11 section 9.3.2) and the
// 802.2 header after it. Management, control, protected and aggregated frames
// carry no IP that could be read.
func ieee80211(h *header) Outcome {
	if len(h.data) < 24 {
		return NotIP
	}
	control, flags := h.data[0], h.data[1]
	const dataFrame, noData, qos, toFromDS, protected, order = 0x08, 0x40, 0x80, 0x03, 0x40, 0x80
	if control&0x0c != dataFrame || control&noData != 0 || flags&protected != 0 {
		return NotIP
	}
	n := 24
	if flags&toFromDS == toFromDS {
		n += 6
	}
	if control&qos != 0 {
		if len(h.data) < n+2 {
			return ShortLink
		}
		if h.data[n]&0x80 != 0 {
			return NotIP
		}
		n += 2
		if flags&order != 0 {
			n += 4
		}
	}
	if len(h.data) < n+8 {
		return NotIP
	}
	h.advance(n)
	return llc(h)
}
