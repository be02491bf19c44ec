package dns

import (
	"encoding/binary"
	"net/netip"
	"strconv"
)

// prefixes appends the items of an APL record (RFC 3123 section 4).
func (d *decoder) prefixes(off, end int) int {
	for first := true; off < end; first = false {
		h, next := d.take(off, end, 4)
		if next < 0 {
			return -1
		}
		family, prefix, negated := binary.BigEndian.Uint16(h), h[2], h[3]&0x80 != 0
		p, next := d.take(next, end, int(h[3]&0x7f))
		if next < 0 || len(p) > 0 && p[len(p)-1] == 0 {
			return -1
		}
		ip, ok := address(family, p)
		if !ok || int(prefix) > ip.BitLen() {
			return -1
		}
		if !first {
			d.text = append(d.text, ' ')
		}
		if negated {
			d.text = append(d.text, '!')
		}
		d.text = append(d.text, '0'+byte(family), ':')
		d.text = append(ip.AppendTo(d.text), '/')
		d.text = strconv.AppendUint(d.text, uint64(prefix), 10)
		off = next
	}
	return off
}

// address returns an address of an IANA address family, of which the octets
// missing at its end are zero.
func address(family uint16, p []byte) (netip.Addr, bool) {
	switch {
	case family == 1 && len(p) <= 4:
		var ip [4]byte
		copy(ip[:], p)
		return netip.AddrFrom4(ip), true
	case family == 2 && len(p) <= 16:
		var ip [16]byte
		copy(ip[:], p)
		return netip.AddrFrom16(ip), true
	default:
		return netip.Addr{}, false
	}
}

// gateway appends gateway type, algorithm and gateway (RFC 4025 section 2.1; the
// type precedes the algorithm on the wire and in text).
func (d *decoder) gateway(off, end int) int {
	p, next := d.take(off, end, 2)
	if next < 0 {
		return -1
	}
	d.text = append(strconv.AppendUint(d.text, uint64(p[0]), 10), ' ')
	d.text = append(strconv.AppendUint(d.text, uint64(p[1]), 10), ' ')
	return d.host(p[0], next, end)
}

// relay appends discovery bit, type and relay (RFC 8777 section 4.3).
func (d *decoder) relay(off, end int) int {
	p, next := d.take(off, end, 1)
	if next < 0 {
		return -1
	}
	d.text = append(d.text, '0'+p[0]>>7, ' ')
	d.text = append(strconv.AppendUint(d.text, uint64(p[0]&0x7f), 10), ' ')
	return d.host(p[0]&0x7f, next, end)
}

// host appends nothing, an IPv4 address, an IPv6 address or a name, by type.
func (d *decoder) host(kind byte, off, end int) int {
	switch kind {
	case 0:
		d.text = append(d.text, '.')
		return off
	case 1:
		return d.field(fA, off, end)
	case 2:
		return d.field(fAAAA, off, end)
	case 3:
		return d.dataName(off, end)
	default:
		return -1
	}
}

// hip appends algorithm, host identity tag and public key (RFC 8005 section 5);
// their lengths come first.
func (d *decoder) hip(off, end int) int {
	h, next := d.take(off, end, 4)
	if next < 0 {
		return -1
	}
	tag, next := d.take(next, end, int(h[0]))
	if next < 0 {
		return -1
	}
	key, next := d.take(next, end, int(binary.BigEndian.Uint16(h[2:])))
	if next < 0 {
		return -1
	}
	d.text = append(strconv.AppendUint(d.text, uint64(h[1]), 10), ' ')
	d.text = append(appendHex(d.text, tag, lowerDigits), ' ')
	d.text = appendBase64(d.text, key)
	return next
}
