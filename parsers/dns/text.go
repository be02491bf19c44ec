package dns

import (
	"encoding/base64"
	"encoding/binary"
	"math/bits"
	"slices"
	"strconv"
	"time"
)

// appendDDD appends an octet as a backslash and three decimal digits (RFC 1035
// section 5.1).
func appendDDD(b []byte, c byte) []byte {
	return append(b, '\\', '0'+c/100, '0'+c/10%10, '0'+c%10)
}

// appendQuoted appends a character-string in quotes (RFC 1035 section 5.1).
func appendQuoted(b, s []byte) []byte {
	return append(appendEscaped(append(b, '"'), s), '"')
}

// appendEscaped appends the inside of a quoted string.
func appendEscaped(b, s []byte) []byte {
	for _, c := range s {
		switch {
		case c < ' ' || c > '~':
			b = appendDDD(b, c)
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		default:
			b = append(b, c)
		}
	}
	return b
}

const (
	lowerDigits = "0123456789abcdef"
	upperDigits = "0123456789ABCDEF"
)

func appendHex(b, s []byte, digits string) []byte {
	for _, c := range s {
		b = append(b, digits[c>>4], digits[c&15])
	}
	return b
}

// appendGroups appends hex digits with a separator after every n octets.
func appendGroups(b, s []byte, n int, sep byte, digits string) []byte {
	for i, c := range s {
		if i > 0 && i%n == 0 {
			b = append(b, sep)
		}
		b = append(b, digits[c>>4], digits[c&15])
	}
	return b
}

func appendBase64(b, s []byte) []byte { return base64.StdEncoding.AppendEncode(b, s) }

// appendBase32 appends base32 with extended hex alphabet and no padding (RFC
// 4648 section 7), as NSEC3 uses it.
func appendBase32(b, s []byte) []byte {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUV"
	bits, n := uint(0), 0
	for _, c := range s {
		bits, n = bits<<8|uint(c), n+8
		for n >= 5 {
			n -= 5
			b = append(b, digits[bits>>n&31])
		}
	}
	if n > 0 {
		b = append(b, digits[bits<<(5-n)&31])
	}
	return b
}

// decimals holds the decimal digits of each octet and a dot, left-aligned, and
// how many characters that makes.
var decimals = func() (t [256]struct{ text, n uint32 }) {
	for i := range t {
		var d [4]byte
		t[i].n = uint32(len(append(strconv.AppendUint(d[:0], uint64(i), 10), '.')))
		t[i].text = binary.LittleEndian.Uint32(d[:])
	}
	return t
}()

// appendIPv4 appends four octets as a dotted quad. It stores four characters at
// a time and moves on by as many as count, instead of going digit by digit.
func appendIPv4(b, ip []byte) []byte {
	const most = 16
	n := len(b)
	if cap(b)-n < most {
		b = slices.Grow(b, most)
	}
	p := b[n : n+most : n+most]
	v := binary.BigEndian.Uint32(ip)
	d := &decimals[v>>24]
	binary.LittleEndian.PutUint32(p, d.text)
	at := d.n
	for shift := 16; shift >= 0; shift -= 8 {
		d = &decimals[v>>shift&255]
		binary.LittleEndian.PutUint32(p[at:], d.text)
		at += d.n
	}
	return b[:n+int(at)-1]
}

// hexPairs holds the two hex digits of each octet, the first one lowest.
var hexPairs = func() (t [256]uint16) {
	for i := range t {
		t[i] = uint16(lowerDigits[i>>4]) | uint16(lowerDigits[i&15])<<8
	}
	return t
}()

// appendIPv6 appends sixteen octets as RFC 5952 wants them, eight characters at
// a time like appendIPv4. The package netip takes four times as long.
func appendIPv6(b, ip []byte) []byte {
	const most = 48
	hi, lo := binary.BigEndian.Uint64(ip), binary.BigEndian.Uint64(ip[8:])
	if hi == 0 && lo>>32 == 0xffff { // section 5
		return appendIPv4(append(b, "::ffff:"...), ip[12:])
	}
	n := len(b)
	if cap(b)-n < most {
		b = slices.Grow(b, most)
	}
	p, octets := (*[most]byte)(b[n:n+most]), (*[16]byte)(ip)
	from, to := zeroGroups(hi, lo)
	at := putGroups(p, 0, octets, 0, from)
	if from < 8 {
		if from == 0 {
			p[0], at = ':', 1
		}
		p[at&31] = ':'
		if at = putGroups(p, at+1, octets, to, 8); to == 8 {
			return b[:n+at]
		}
	}
	return b[:n+at-1]
}

// putGroups writes the groups from one to before another, each with a colon
// after it, and returns where it ended.
func putGroups(p *[48]byte, at int, ip *[16]byte, from, to int) int {
	for i := from; i < to; i++ {
		first, last := ip[2*i&15], ip[(2*i+1)&15]
		text := uint64(hexPairs[first]) | uint64(hexPairs[last])<<16 | ':'<<32
		skip := bits.LeadingZeros16(uint16(first)<<8|uint16(last)|1) >> 2
		binary.LittleEndian.PutUint64(p[at:], text>>(uint(8*skip)&63))
		at += 5 - skip
	}
	return at
}

// zeroGroups returns the longest run of at least two groups of zeros, the first
// of several; 8 and 8 if there is none (RFC 5952 section 4.2).
func zeroGroups(hi, lo uint64) (from, to int) {
	zero := zeroes(hi) | zeroes(lo)<<4 // bit i: group i is zero
	if zero&(zero>>1) == 0 {
		return 8, 8
	}
	for n := 1; ; n++ {
		longer := zero & (zero >> 1)
		if longer == 0 {
			from = bits.TrailingZeros32(zero)
			return from, from + n
		}
		zero = longer
	}
}

// zeroes has bit i set for each group i of four that is zero, the first one
// highest in x.
func zeroes(x uint64) uint32 {
	const most = 0x7fff7fff7fff7fff
	z := ^(x&most + most | x | most)
	return uint32(z>>63 | z>>46&2 | z>>29&4 | z>>12&8)
}

// appendTime appends seconds since the epoch as YYYYMMDDHHmmSS in UTC (RFC 4034
// section 3.2).
func appendTime(b []byte, seconds int64) []byte {
	at := time.Unix(seconds, 0).UTC()
	year, month, day := at.Date()
	hour, minute, sec := at.Clock()
	b = appendPadded(b, uint64(year), 4)
	for _, n := range [...]int{int(month), day, hour, minute, sec} {
		b = append(b, '0'+byte(n/10), '0'+byte(n%10))
	}
	return b
}

// appendPadded appends n with at least width digits.
func appendPadded(b []byte, n uint64, width int) []byte {
	for p, w := uint64(10), 1; w < width; p, w = p*10, w+1 {
		if n < p {
			b = append(b, '0')
		}
	}
	return strconv.AppendUint(b, n, 10)
}
