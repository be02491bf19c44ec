package publish

import (
	"encoding/binary"
	"net/netip"
)

// hexPairs holds the two hex digits of each byte.
var hexPairs = func() (t [256][2]byte) {
	const digits = "0123456789abcdef"
	for i := range t {
		t[i] = [2]byte{digits[i>>4], digits[i&15]}
	}
	return t
}()

// appendHexID appends 32 hex digits: twice as fast as encoding/hex, which checks
// and loops for any length.
func appendHexID(b []byte, id *[16]byte) []byte {
	var text [32]byte
	for i, c := range id {
		text[2*i], text[2*i+1] = hexPairs[c][0], hexPairs[c][1]
	}
	return append(b, text[:]...)
}

// base64Pairs holds the two characters of each 12 bits.
var base64Pairs = func() (t [1 << 12][2]byte) {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	for i := range t {
		t[i] = [2]byte{digits[i>>6], digits[i&63]}
	}
	return t
}()

// appendBase64Digest appends the 28 characters of base64 of 20 bytes (RFC 4648
// section 4): 26 of them in pairs, then the last four bits and the padding.
func appendBase64Digest(b []byte, d *[20]byte) []byte {
	var text [28]byte
	for i := range 6 {
		v := uint32(d[3*i])<<16 | uint32(d[3*i+1])<<8 | uint32(d[3*i+2])
		*(*[2]byte)(text[4*i:]) = base64Pairs[v>>12]
		*(*[2]byte)(text[4*i+2:]) = base64Pairs[v&0xfff]
	}
	v := uint32(d[18])<<8 | uint32(d[19])
	*(*[2]byte)(text[24:]) = base64Pairs[v>>4]
	text[26], text[27] = base64Pairs[v<<8&0xfff][0], '='
	return append(b, text[:]...)
}

// octets holds the decimal text of each byte and its length, for IPv4 addresses.
var octets = func() (t [256]struct {
	text [4]byte // with a dot after it
	n    uint8   // without the dot
},
) {
	for i := range t {
		s := appendDecimal(nil, uint64(i))
		t[i].n = uint8(len(s))
		copy(t[i].text[:], append(s, '.'))
	}
	return t
}()

// appendAddress appends an address in its canonical text form (RFC 5952 for
// IPv6).
func appendAddress(b []byte, a netip.Addr) []byte {
	if !a.Is4() {
		return a.AppendTo(b)
	}
	// Each octet is stored as four bytes at once; the next one overwrites what is
	// too much.
	var text [16 + 4]byte
	n := 0
	for _, c := range a.As4() {
		o := &octets[c]
		binary.NativeEndian.PutUint32(text[n:], binary.NativeEndian.Uint32(o.text[:]))
		n += int(o.n) + 1
	}
	return append(b, text[:n-1]...)
}
