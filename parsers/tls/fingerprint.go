package tls

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/binary"
	"hash/maphash"
	"slices"
	"strconv"
)

// ja4Len is the length of a JA4 fingerprint of up to 99 suites and extensions.
const ja4Len = 36

// fingerprints are those of the latest hellos, and the memory to make them.
type fingerprints struct {
	ja3, ja3s [md5.Size]byte
	ja4       [ja4Len]byte
	b         []byte
	sorted    []uint16
	seed      maphash.Seed
	known     []knownHello // nil until the first hello
}

// knownHello is a hello that was seen before, by all that its fingerprints are
// made of.
type knownHello struct {
	key []byte
	ja3 [md5.Size]byte
	ja4 [ja4Len]byte
}

const (
	// knownHellos is how many are kept, each in the place that its hash gives it,
	// maxKnownHello how large their keys may be.
	knownHellos   = 256
	maxKnownHello = 1024
)

// compute makes the fingerprints of a ClientHello. Clients are few and say hello
// often: a hello that says the same as one before costs half, as its key is half
// of the work already.
func (f *fingerprints) compute(version uint16, versions []uint16, m *ClientHello) {
	if high := highest(versions); high != 0 {
		f.b = f.key(version, high, m)
	} else {
		f.b = f.key(version, version, m)
	}
	if len(f.b) > maxKnownHello {
		f.computeJA3(version, m)
		f.computeJA4(version, versions, m)
		return
	}
	if f.known == nil {
		f.known, f.seed = make([]knownHello, knownHellos), maphash.MakeSeed()
	}
	k := &f.known[maphash.Bytes(f.seed, f.b)%knownHellos]
	if len(k.key) > 0 && bytes.Equal(k.key, f.b) {
		f.ja3, f.ja4 = k.ja3, k.ja4
		return
	}
	k.key = append(k.key[:0], f.b...)
	f.computeJA3(version, m)
	f.computeJA4(version, versions, m)
	k.ja3, k.ja4 = f.ja3, f.ja4
}

// key appends all that the fingerprints depend on: lists without what is to be
// ignored, each after its length.
func (f *fingerprints) key(version, high uint16, m *ClientHello) []byte {
	b := append(f.b[:0], byte(version>>8), byte(version), byte(high>>8), byte(high))
	b = appendALPN(b, m.ALPN)
	b = appendKept(b, m.CipherSuites)
	b = appendKept(b, m.Extensions)
	b = appendKept(b, m.SupportedGroups)
	b = appendKept(b, m.ECPointFormats)
	return appendKept(b, m.SignatureAlgorithms)
}

func appendKept[N uint16 | uint32](b []byte, list []N) []byte {
	b = room(b, 2+2*len(list))
	start := len(b)
	n := start + 2
	for _, v := range list {
		if !grease(uint16(v)) {
			binary.BigEndian.PutUint16(b[n:n+2], uint16(v))
			n += 2
		}
	}
	b = b[:n]
	binary.BigEndian.PutUint16(b[start:], uint16(n-start))
	return b
}

// computeJA3 is the MD5 of version, suites, extensions, groups and point formats
// in decimal, joined by dashes within and commas between lists, without the
// values of RFC 8701 (Althouse, Atkinson, Atkins: "TLS Fingerprinting with JA3
// and JA3S").
func (f *fingerprints) computeJA3(version uint16, m *ClientHello) {
	b := append(strconv.AppendUint(f.b[:0], uint64(version), 10), ',')
	b = append(appendDashed(b, m.CipherSuites), ',')
	b = append(appendDashed(b, m.Extensions), ',')
	b = append(appendDashed(b, m.SupportedGroups), ',')
	f.b = appendDashed(b, m.ECPointFormats)
	f.ja3 = md5.Sum(f.b)
}

// computeJA3S is the MD5 of version, suite and extensions, as of JA3.
func (f *fingerprints) computeJA3S(version, suite uint16, extensions []uint16) {
	b := append(strconv.AppendUint(f.b[:0], uint64(version), 10), ',')
	b = append(strconv.AppendUint(b, uint64(suite), 10), ',')
	f.b = appendDashed(b, extensions)
	f.ja3s = md5.Sum(f.b)
}

// appendDashed appends numbers in decimal.
func appendDashed[N uint16 | uint32](b []byte, list []N) []byte {
	n := len(b)
	b = room(b, 6*len(list))
	for _, v := range list {
		if grease(uint16(v)) {
			continue
		}
		n = putDecimal(b[:n+6], n, uint16(v))
		b[:n+1][n] = '-'
		n++
	}
	if n > len(b) {
		n-- // the last dash
	}
	return b[:n]
}

// room returns b with room for n more octets.
func room(b []byte, n int) []byte {
	if cap(b)-len(b) < n {
		return slices.Grow(b, n)
	}
	return b
}

// putDecimal writes a number at b[n:], which has room for six octets, and returns
// where it ends. Writing all five digits and taking what is needed of them costs
// half of a loop with divisions that depend on each other.
func putDecimal(b []byte, n int, v uint16) int {
	p := b[n : n+6]
	switch {
	case v >= 10000:
		high := v / 100
		low, top := v-high*100, high/100
		high -= top * 100
		p[0] = '0' + byte(top)
		p[1], p[2] = twoDigits[2*high], twoDigits[2*high+1]
		p[3], p[4] = twoDigits[2*low], twoDigits[2*low+1]
		return n + 5
	case v >= 1000:
		high := v / 100
		low := v - high*100
		p[0], p[1] = twoDigits[2*high], twoDigits[2*high+1]
		p[2], p[3] = twoDigits[2*low], twoDigits[2*low+1]
		return n + 4
	case v >= 100:
		high := v / 100
		low := v - high*100
		p[0] = '0' + byte(high)
		p[1], p[2] = twoDigits[2*low], twoDigits[2*low+1]
		return n + 3
	case v >= 10:
		p[0], p[1] = twoDigits[2*v], twoDigits[2*v+1]
		return n + 2
	default:
		p[0] = '0' + byte(v)
		return n + 1
	}
}

// twoDigits are the numbers from 00 to 99.
const twoDigits = "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748495051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899"

// computeJA4 is the client's fingerprint of JA4 over TCP: t, version, d or i,
// numbers of suites and extensions, first and last character of the first ALPN
// protocol; then of the sorted suites, and of the sorted extensions with the
// signature algorithms as sent, the first twelve digits of the SHA-256 of their
// hex digits. Values of RFC 8701 count nowhere.
func (f *fingerprints) computeJA4(version uint16, versions []uint16, m *ClientHello) {
	if v := highest(versions); v != 0 {
		version = v
	}
	a := f.ja4[:0]
	a = append(append(a, 't'), ja4Version(version)...)
	if slices.Contains(m.Extensions, extServerName) {
		a = append(a, 'd')
	} else {
		a = append(a, 'i')
	}
	f.sorted = f.sorted[:0]
	for _, v := range m.CipherSuites {
		if !grease(uint16(v)) {
			f.sorted = append(f.sorted, uint16(v))
		}
	}
	a = appendCount(a, len(f.sorted))
	suites := f.sorted
	slices.Sort(suites)
	n, extensions := 0, 0
	for _, v := range m.Extensions {
		if grease(v) {
			continue
		}
		extensions++
		if v != extServerName && v != extALPN {
			f.sorted = append(f.sorted, v)
			n++
		}
	}
	a = appendCount(a, extensions)
	a = appendALPN(a, m.ALPN)
	a = f.appendDigest(append(a, '_'), suites, nil)
	rest := f.sorted[len(f.sorted)-n:]
	slices.Sort(rest)
	f.appendDigest(append(a, '_'), rest, m.SignatureAlgorithms)
}

// appendDigest appends twelve digits of the digest of a list and, if there are
// any, the signature algorithms; of an empty list they are zeros.
func (f *fingerprints) appendDigest(a []byte, list, algorithms []uint16) []byte {
	if len(list) == 0 {
		return append(a, "000000000000"...)
	}
	b := appendCommas(f.b[:0], list)
	if len(algorithms) > 0 {
		b = appendCommas(append(b, '_'), algorithms)
	}
	f.b = b
	sum := sha256.Sum256(b)
	return appendHex(a, sum[:6])
}

// highest is the highest of the versions that are not to be ignored.
func highest(versions []uint16) (high uint16) {
	for _, v := range versions {
		if !grease(v) {
			high = max(high, v)
		}
	}
	return high
}

func appendCommas(b []byte, list []uint16) []byte {
	n := len(b)
	b = room(b, 5*len(list))
	for _, v := range list {
		if grease(v) {
			continue
		}
		p := b[n : n+5]
		high, low := hexPairs[v>>8], hexPairs[v&0xff]
		p[0], p[1] = byte(high), byte(high>>8)
		p[2], p[3] = byte(low), byte(low>>8)
		p[4] = ','
		n += 5
	}
	if n > len(b) {
		n-- // the last comma
	}
	return b[:n]
}

func appendCount(b []byte, n int) []byte {
	n = min(n, 99)
	return append(b, '0'+byte(n/10), '0'+byte(n%10))
}

func ja4Version(v uint16) string {
	switch v {
	case tls13:
		return "13"
	case tls12:
		return "12"
	case tls11:
		return "11"
	case tls10:
		return "10"
	case ssl3:
		return "s3"
	case ssl2:
		return "s2"
	default:
		return "00"
	}
}

// appendALPN appends the first and the last character of the first protocol; if
// one of them is no letter or digit, the first and the last hex digit of the
// protocol.
func appendALPN(b []byte, protocols []string) []byte {
	if len(protocols) == 0 || protocols[0] == "" {
		return append(b, "00"...)
	}
	first, last := protocols[0][0], protocols[0][len(protocols[0])-1]
	if alphanumeric(first) && alphanumeric(last) {
		return append(b, first, last)
	}
	return append(b, hexDigits[first>>4], hexDigits[last&15])
}

func alphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
