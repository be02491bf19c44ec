package flow

import (
	"encoding/binary"

	"flowscope/ingest"
)

// TCP flags (RFC 9293 section 3.1).
const (
	tcpFIN = 1 << iota
	tcpSYN
	tcpRST
	tcpPSH
	tcpACK
	tcpURG
)

// decoded is what one packet says, down to its innermost transport header. Its
// byte slices are borrowed from the packet.
type decoded struct {
	key     Key
	hash    uint64
	outcome Outcome
	// swapped says that the sender is the key's B.
	swapped bool
	// truncated says that the capture holds less than the IP header promises.
	truncated bool
	// checksums says what was found wrong with them; verify asks to look.
	checksums checksums
	verify    bool
	tcpFlags  uint8
	seq, ack  uint32
	window    uint16
	// windowScale is that of a SYN.
	windowScale int8
	// ipLength is the innermost IP packet's length as its header gives it,
	// payloadLength that of the transport's payload; payload is what was
	// captured of it.
	ipLength, payloadLength int
	payload                 []byte
	srcPort, dstPort        uint16
	path                    path
	// frames, frameBytes and ipBytes are what the packet counts as: one frame,
	// or all the fragments of a datagram.
	frames, frameBytes, ipBytes uint64
	// fragment is set with outcome FragmentHeld.
	fragment fragment
}

// decoder walks headers. It keeps no state between packets but its seed and how
// it is configured.
type decoder struct {
	seed seed
	// verify looks at checksums, dropBad makes packets undecodable whose
	// checksum is bad, anyVLAN leaves VLANs out of keys.
	verify, dropBad, anyVLAN bool
}

func newDecoder(cfg *Config) decoder {
	c := decoder{seed: newSeed(), anyVLAN: !cfg.VLANsInKey}
	c.configure(cfg)
	return c
}

func (c *decoder) configure(cfg *Config) {
	c.verify = cfg.Checksums != ChecksumsOff
	c.dropBad = cfg.Checksums == ChecksumsDrop
}

// decode fills d from one packet.
func (c *decoder) decode(p *ingest.Packet, d *decoded) {
	d.path.reset()
	d.truncated, d.checksums, d.verify = false, 0, c.verify
	h := header{data: p.Data, wire: p.Length}
	if p.Interface.LinkType == linkEthernet && h.plain() {
		d.outcome = ipv4(&h, d)
	} else {
		d.outcome = linkHeader(p.Interface.LinkType, &h)
	}
	if d.outcome == Handled {
		d.outcome = c.walk(&h, d)
	}
	d.frames, d.frameBytes, d.ipBytes = 1, uint64(p.Length), uint64(d.ipLength)
}

// resume goes on after the IP header of a datagram made of fragments.
func (c *decoder) resume(r *reassembled, d *decoded) {
	d.path = r.path
	d.truncated, d.checksums, d.verify = false, 0, c.verify
	h := header{data: r.data, wire: len(r.data)}
	var src, dst []byte
	size := 4
	if r.key.ip6 != 0 {
		size = 16
	}
	src, dst = r.key.src[:size], r.key.dst[:size]
	d.ipLength = int(r.ipBytes)
	d.outcome = ipPayload(&h, d, r.key.proto, src, dst, r.key.ip6)
	if d.outcome == Handled {
		d.outcome = c.walk(&h, d)
	}
	d.frames, d.frameBytes, d.ipBytes = r.frames, r.frameBytes, r.ipBytes
	if d.path.tunnels > r.path.tunnels { // the flow's own IP packet is inside
		d.ipBytes = uint64(d.ipLength)
	}
}

// walk peels from h on and finishes the key.
func (c *decoder) walk(h *header, d *decoded) Outcome {
	o := c.peel(h, d)
	d.path.keyed = d.path.vlans
	if c.anyVLAN {
		d.path.keyed = 0
	}
	if c.dropBad && d.checksums&(badIP|badTransport) != 0 {
		return BadChecksum
	}
	if o == Handled {
		d.key.Scope = c.seed.scopeOf(&d.path)
		d.hash = c.seed.hash(&d.key)
	}
	return o
}

// plain takes a short way to what nearly all frames hold, an IPv4 header straight
// after Ethernet's. It says whether this was one; otherwise nothing is peeled.
func (h *header) plain() bool {
	if b := h.data; len(b) < 34 || binary.BigEndian.Uint16(b[12:]) != etherIPv4 || b[14]>>4 != 4 {
		return false
	}
	h.advance(14)
	return true
}

// header is the next thing to peel: its kind, and the bytes from its start on.
type header struct {
	kind headerKind
	data []byte
	// wire is the number of bytes that stood on the wire from data's start on,
	// as far as an outer layer tells; it exceeds len(data) for cut packets.
	wire int
	// next is the EtherType for kind etherType.
	next uint16
}

type headerKind uint8

const (
	transportDone headerKind = iota // d is complete
	etherFrame                      // an Ethernet frame
	etherPayload                    // what follows an EtherType, in next
	ipPacket                        // IPv4 or IPv6, told by the version
	pppFrame                        // a PPP protocol field and what follows
	mplsStack                       // MPLS labels
)

func (c *decoder) peel(h *header, d *decoded) Outcome {
	for range maxTunnels + 1 {
		if h.kind == transportDone {
			return Handled
		}
		if o := h.toIP(&d.path); o != Handled {
			return o
		}
		if o := ip(h, d); o != Handled {
			return o
		}
	}
	if h.kind == transportDone {
		return Handled
	}
	return TooDeep
}

// toIP peels headers until an IP packet begins.
func (h *header) toIP(p *path) Outcome {
	for range maxLayers {
		o := Handled
		switch h.kind {
		case ipPacket:
			return Handled
		case etherFrame:
			o = ethernet(h)
		case etherPayload:
			o = etherTyped(h, p)
		case pppFrame:
			o = ppp(h)
		case mplsStack:
			o = mpls(h, p)
		}
		if o != Handled {
			return o
		}
	}
	return TooDeep
}

// advance moves h past n bytes, which must be there.
func (h *header) advance(n int) {
	h.data = h.data[n:]
	h.wire -= n
}

// ethernet reads an Ethernet II or 802.3 header (IEEE 802.3 section 3.2).
func ethernet(h *header) Outcome {
	if len(h.data) < 14 {
		return ShortLink
	}
	h.next = binary.BigEndian.Uint16(h.data[12:])
	h.advance(14)
	h.kind = etherPayload
	return Handled
}

// EtherTypes (IANA "IEEE 802 Numbers").
const (
	etherIPv4    = 0x0800
	etherIPv6    = 0x86dd
	etherVLAN    = 0x8100
	etherQinQ    = 0x88a8
	etherQinQOld = 0x9100
	etherTEB     = 0x6558
	etherPPP     = 0x880b
	etherMPLS    = 0x8847
	etherMPLSM   = 0x8848
	etherPPPoE   = 0x8864
	etherERSPAN  = 0x88be
	etherERSPAN3 = 0x22eb
)

func etherTyped(h *header, p *path) Outcome {
	switch h.next {
	case etherIPv4, etherIPv6:
		h.kind = ipPacket
		return Handled
	case etherVLAN, etherQinQ, etherQinQOld:
		return vlan(h, p)
	case etherMPLS, etherMPLSM:
		h.kind = mplsStack
		return Handled
	case etherPPPoE:
		return pppoe(h)
	case etherTEB:
		h.kind = etherFrame
		return Handled
	case etherPPP:
		h.kind = pppFrame
		return Handled
	default:
		if h.next < 0x0600 {
			return llc(h)
		}
		return NotIP
	}
}

// vlan reads one 802.1Q tag (IEEE 802.1Q section 9.6). Priority tags, VLAN 0,
// name no VLAN.
func vlan(h *header, p *path) Outcome {
	if len(h.data) < 4 {
		return ShortLink
	}
	if id := binary.BigEndian.Uint16(h.data) & 0xfff; id != 0 && !p.addVLAN(id) {
		return TooDeep
	}
	h.next = binary.BigEndian.Uint16(h.data[2:])
	h.advance(4)
	return Handled
}

// llc reads an 802.2 header with SNAP (IEEE 802.2, RFC 1042); other LLC carries
// no IP here.
func llc(h *header) Outcome {
	if len(h.data) < 8 {
		return NotIP
	}
	b := h.data
	if b[0] != 0xaa || b[1] != 0xaa || b[2] != 3 || b[3] != 0 || b[4] != 0 {
		return NotIP
	}
	h.next = binary.BigEndian.Uint16(b[6:])
	if h.next < 0x0600 {
		return NotIP
	}
	h.advance(8)
	h.kind = etherPayload
	return Handled
}

// mpls reads label stack entries up to the bottom (RFC 3032 section 2.1). What
// follows is told by its first nibble (RFC 4928): IP, or an Ethernet frame,
// with or without a control word (RFC 4448).
func mpls(h *header, p *path) Outcome {
	for range maxLayers {
		if len(h.data) < 4 {
			return ShortLink
		}
		bottom := h.data[2]&1 != 0
		p.addLabel(binary.BigEndian.Uint32(h.data)>>12, true)
		h.advance(4)
		if !bottom {
			continue
		}
		if len(h.data) == 0 {
			return ShortLink
		}
		switch h.data[0] >> 4 {
		case 4, 6:
			h.kind = ipPacket
		case 0:
			if len(h.data) < 4 {
				return ShortLink
			}
			h.advance(4)
			h.kind = etherFrame
		default:
			h.kind = etherFrame
		}
		return Handled
	}
	return TooDeep
}

// pppoe reads a PPPoE session header (RFC 2516 section 4).
func pppoe(h *header) Outcome {
	if len(h.data) < 8 {
		return ShortLink
	}
	if h.data[0] != 0x11 || h.data[1] != 0 {
		return NotIP
	}
	h.advance(6)
	h.kind = pppFrame
	return Handled
}

// ppp reads a PPP frame from its protocol field on, with or without address and
// control (RFC 1661 section 2, RFC 1662 section 3.1); the protocol field may be
// compressed to one byte.
func ppp(h *header) Outcome {
	if len(h.data) >= 2 && h.data[0] == 0xff && h.data[1] == 0x03 {
		h.advance(2)
	}
	if len(h.data) < 2 {
		return ShortLink
	}
	proto, n := uint16(h.data[0]), 1
	if proto&1 == 0 {
		proto, n = binary.BigEndian.Uint16(h.data), 2
	}
	h.advance(n)
	switch proto {
	case 0x0021, 0x0057:
		h.kind = ipPacket
	case 0x0281, 0x0283:
		h.kind = mplsStack
	default:
		return NotIP
	}
	return Handled
}
