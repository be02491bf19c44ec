package flow

import (
	"encoding/binary"
	"net/netip"
)

// icmpError says whether a message is an error, which quotes the packet that it
// is about (RFC 792, RFC 4443 section 2.1).
func icmpError(proto Transport, typ uint16) bool {
	if proto == ICMP {
		switch typ {
		case 3, 4, 5, 11, 12: // unreachable, source quench, redirect, time, parameter
			return true
		}
		return false
	}
	return typ >= 1 && typ <= 127
}

// quotation reads the packet that an ICMP error quotes, as far as it goes, into
// q: the key and who sent it. ported says that it reaches as far as the ports.
func (c *decoder) quotation(d, q *decoded) (ported, ok bool) {
	proto, rest, ok := quotedHeader(d.payload, q)
	if !ok {
		return false, false
	}
	src, dst := uint16(0), uint16(0)
	ported = rest != nil
	switch proto {
	case TCP, UDP, SCTP:
		if ported = len(rest) >= 4; ported {
			src, dst = binary.BigEndian.Uint16(rest), binary.BigEndian.Uint16(rest[2:])
		}
	case ICMP, ICMPv6:
		if ported = len(rest) >= 2; ported {
			src, dst, _ = icmpPorts(proto, rest[0], rest[1])
			if icmpEcho(proto, rest[0]) && len(rest) >= 6 {
				q.key.Sub = binary.BigEndian.Uint16(rest[4:])
			}
		}
	}
	q.normalise(src, dst)
	q.key.Scope = d.key.Scope
	q.hash = c.seed.hash(&q.key)
	return ported, true
}

// quotedHeader reads IP headers; rest is nil in a fragment other than the first.
func quotedHeader(b []byte, q *decoded) (proto Transport, rest []byte, ok bool) {
	switch {
	case len(b) >= 20 && b[0]>>4 == 4:
		n := int(b[0]&15) * 4
		if n < 20 || n > len(b) {
			return 0, nil, false
		}
		q.endpoints(b[9], b[12:16], b[16:20], 0)
		if binary.BigEndian.Uint16(b[6:])&0x1fff == 0 {
			rest = b[n:]
		}
		return q.key.Proto, rest, true
	case len(b) >= 40 && b[0]>>4 == 6:
		proto, rest := b[6], b[40:]
		for range maxLayers {
			n := 0
			switch proto {
			case 0, 43, 60, 135, 139, 140:
				n = 8
				if len(rest) >= 2 {
					n = (int(rest[1]) + 1) * 8
				}
			case 51:
				n = 8
				if len(rest) >= 2 {
					n = (int(rest[1]) + 2) * 4
				}
			case 44:
				n = 8
				if len(rest) >= 4 && binary.BigEndian.Uint16(rest[2:])&^7 != 0 {
					q.endpoints(rest[0], b[8:24], b[24:40], 1)
					return q.key.Proto, nil, true
				}
			default:
				q.endpoints(proto, b[8:24], b[24:40], 1)
				return q.key.Proto, rest, true
			}
			if n > len(rest) {
				return 0, nil, false
			}
			proto, rest = rest[0], rest[n:]
		}
	}
	return 0, nil, false
}

// quote names the flow that an ICMP error quotes. That flow is looked up and left
// as it is.
func (t *Table) quote(n slot, f *Flow, d *decoded) {
	if !icmpError(d.key.Proto, d.srcPort) {
		return
	}
	q := &t.quoted
	ported, ok := t.decoder.quotation(d, q)
	if !ok {
		return
	}
	src, dst := q.key.endpoints(q.swapped)
	x := t.extra[n]
	if x == nil {
		x = newExtra(&d.path)
		t.extra[n] = x
		f.state |= hasExtra
	}
	if l := x.latest; l != nil && l.Transport == q.key.Proto && l.Src == src && l.Dst == dst {
		return
	}
	found := Quoted{Transport: q.key.Proto, Src: src, Dst: dst, HasCommunityID: ported}
	if ported {
		found.CommunityID = communityID(&q.key, q.swapped)
		// Only the flow of the error's own two addresses is in this table for
		// certain, however many workers there are.
		local := q.key.A == d.key.A && q.key.B == d.key.B
		if m := t.store.find(&q.key, q.hash); local && m != noSlot {
			found.ID, found.HasID = t.store.at(m).id, true
		}
	}
	if x.quoted == nil {
		x.quoted = &found
		x.latest = x.quoted
		return
	}
	x.latest = &found
	t.raise(icmpQuotesAnother)
}

// endpoints returns a packet's sender and receiver.
func (k *Key) endpoints(swapped bool) (src, dst netip.AddrPort) {
	a := netip.AddrPortFrom(k.addrA(), k.PortA)
	b := netip.AddrPortFrom(k.addrB(), k.PortB)
	if swapped {
		return b, a
	}
	return a, b
}
