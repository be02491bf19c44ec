package tls

import (
	"net/netip"
	"strconv"
	"time"
)

// Tags of ASN.1 (X.690 section 8).
const (
	tagBoolean         = 0x01
	tagInteger         = 0x02
	tagBitString       = 0x03
	tagOctetString     = 0x04
	tagOID             = 0x06
	tagUTCTime         = 0x17
	tagGeneralizedTime = 0x18
	tagSequence        = 0x30
	tagSet             = 0x31
	tagVersion         = 0xa0 // [0] of TBSCertificate
	tagExtensions      = 0xa3 // [3] there
)

// der reads elements one after another; after the first that does not fit, all
// are empty. Lengths need not be in their shortest form.
type der struct {
	b   []byte
	bad bool
}

// next reads any element.
func (d *der) next() (tag byte, body []byte) {
	if d.bad || len(d.b) < 2 || d.b[0]&0x1f == 0x1f {
		d.bad = true
		return 0, nil
	}
	tag = d.b[0]
	n, off := int(d.b[1]), 2
	if n >= 0x80 {
		octets := n & 0x7f
		if octets == 0 || octets > 3 || len(d.b) < 2+octets {
			d.bad = true
			return 0, nil
		}
		n = 0
		for _, c := range d.b[2 : 2+octets] {
			n = n<<8 | int(c)
		}
		off += octets
	}
	if n > len(d.b)-off {
		d.bad = true
		return 0, nil
	}
	body, d.b = d.b[off:off+n:off+n], d.b[off+n:]
	return tag, body
}

// want reads an element that must have this tag.
func (d *der) want(tag byte) []byte {
	t, body := d.next()
	if t != tag {
		d.bad = true
		return nil
	}
	return body
}

// is says whether the next element has this tag.
func (d *der) is(tag byte) bool { return !d.bad && len(d.b) > 0 && d.b[0] == tag }

// into is want for an element that holds others.
func (d *der) into(tag byte) der {
	body := d.want(tag)
	return der{b: body, bad: d.bad}
}

// certificate reads a certificate (RFC 5280 section 4.1) as far as it goes, and
// says whether nothing was wrong. Values that are against the rules but can be
// read are taken as they are.
func (t *text) certificate(b []byte, m *Certificate, s *certificateScratch) (ok bool) {
	outer := der{b: b}
	whole := outer.into(tagSequence)
	tbs := whole.into(tagSequence)
	if tbs.is(tagVersion) {
		tbs.next()
	}
	m.Serial = t.serial(tbs.want(tagInteger))
	tbs.want(tagSequence) // the signature's algorithm, again outside
	m.Issuer = t.distinguishedName(tbs.into(tagSequence))
	validity := tbs.into(tagSequence)
	if s.notBefore, ok = validity.time(); ok {
		m.NotBefore = &s.notBefore
	}
	if s.notAfter, ok = validity.time(); ok {
		m.NotAfter = &s.notAfter
	}
	m.Subject = t.distinguishedName(tbs.into(tagSequence))
	key := tbs.into(tagSequence)
	t.key(key, m)
	extensionsRead := true
	for len(tbs.b) > 0 && !tbs.bad {
		if !tbs.is(tagExtensions) {
			tbs.next() // unique identifiers
			continue
		}
		list := tbs.into(tagExtensions)
		extensionsRead = t.extensions(list.into(tagSequence), m)
	}
	algorithm := whole.into(tagSequence)
	m.SignatureAlgorithm = t.oid(algorithm.want(tagOID), signatureNames)
	whole.want(tagBitString)
	return !tbs.bad && !whole.bad && !key.bad && extensionsRead && m.NotBefore != nil && m.NotAfter != nil
}

// maxSerial is how many octets of a serial number are shown; RFC 5280 allows 20.
const maxSerial = 64

// serial writes a serial number in hex digits, without the octet that keeps it
// from being negative.
func (t *text) serial(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	start := len(t.b)
	if b[0]&0x80 != 0 { // two's complement, which nobody should use
		t.b = append(t.b, '-')
		b = negated(b[:min(len(b), maxSerial)])
	}
	for len(b) > 1 && b[0] == 0 {
		b = b[1:]
	}
	t.b = appendHex(t.b, b[:min(len(b), maxSerial)])
	return t.since(start)
}

func negated(b []byte) []byte {
	n := make([]byte, len(b))
	carry := 1
	for i := len(b) - 1; i >= 0; i-- {
		v := int(^b[i]) + carry
		n[i], carry = byte(v), v>>8
	}
	return n
}

// time reads a point in time (RFC 5280 section 4.1.2.5), with or without seconds.
func (d *der) time() (at time.Time, ok bool) {
	tag, b := d.next()
	year, n := 0, 0
	switch tag {
	case tagUTCTime:
		n = 2
	case tagGeneralizedTime:
		n = 4
	default:
		return at, false
	}
	if len(b) < n {
		return at, false
	}
	if year, ok = digits(b[:n]); !ok {
		return at, false
	}
	if n == 2 && year < 50 {
		year += 100
	}
	if n == 2 {
		year += 1900
	}
	b = b[n:]
	f := [5]int{} // month, day, hour, minute, second
	read := 0
	for ; read < len(f) && len(b) >= 2 && b[0] >= '0' && b[0] <= '9'; read++ {
		if f[read], ok = digits(b[:2]); !ok {
			return at, false
		}
		b = b[2:]
	}
	if read < 4 || f[0] < 1 || f[0] > 12 || f[1] < 1 || f[1] > 31 || f[2] > 23 || f[3] > 59 || f[4] > 60 {
		return at, false
	}
	at = time.Date(year, time.Month(f[0]), f[1], f[2], f[3], f[4], 0, time.UTC)
	switch {
	case len(b) == 1 && b[0] == 'Z':
		return at, true
	case len(b) == 5 && (b[0] == '+' || b[0] == '-'):
		zone, ok := digits(b[1:])
		offset := time.Duration(zone/100)*time.Hour + time.Duration(zone%100)*time.Minute
		if b[0] == '+' {
			offset = -offset
		}
		return at.Add(offset), ok
	default:
		return at, len(b) == 0
	}
}

func digits(b []byte) (n int, ok bool) {
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

// key reads the kind and the size of a public key (RFC 3279 section 2.3, RFC 5480,
// RFC 8410).
func (t *text) key(d der, m *Certificate) {
	algorithm := d.into(tagSequence)
	id := algorithm.want(tagOID)
	m.KeyType = t.oid(id, keyNames)
	bits := d.want(tagBitString)
	switch m.KeyType {
	case "rsa", "rsa_pss":
		if len(bits) > 1 {
			outer := der{b: bits[1:]}
			key := outer.into(tagSequence)
			m.KeySize = bitLength(key.want(tagInteger))
		}
	case "dsa", "dh":
		parameters := algorithm.into(tagSequence)
		m.KeySize = bitLength(parameters.want(tagInteger))
	case "ecdsa":
		if algorithm.is(tagOID) {
			curve := algorithm.want(tagOID)
			m.KeyCurve = t.oid(curve, curveNames)
			m.KeySize = curveSizes[m.KeyCurve]
		}
	default:
		m.KeySize = keySizes[m.KeyType]
	}
}

// bitLength is that of a positive integer.
func bitLength(b []byte) int {
	for len(b) > 0 && b[0] == 0 {
		b = b[1:]
	}
	if len(b) == 0 {
		return 0
	}
	n := len(b) * 8
	for c := b[0]; c&0x80 == 0; c <<= 1 {
		n--
	}
	return n
}

// extensions reads those that are published (RFC 5280 section 4.2).
func (t *text) extensions(list der, m *Certificate) (ok bool) {
	ok = true
	for len(list.b) > 0 && !list.bad {
		e := list.into(tagSequence)
		id := e.want(tagOID)
		if e.is(tagBoolean) {
			e.next()
		}
		value := e.want(tagOctetString)
		if e.bad {
			return false
		}
		inner := der{b: value}
		switch string(id) {
		case "\x55\x1d\x11":
			ok = t.alternativeNames(inner.into(tagSequence), m) && ok
		case "\x55\x1d\x13":
			constraints := inner.into(tagSequence)
			if constraints.is(tagBoolean) {
				v := constraints.want(tagBoolean)
				m.CA = len(v) == 1 && v[0] != 0
			}
			ok = ok && !constraints.bad
		}
	}
	return ok && !list.bad
}

// alternativeNames reads the names of the subject (RFC 5280 section 4.2.1.6).
func (t *text) alternativeNames(list der, m *Certificate) (ok bool) {
	for len(list.b) > 0 && !list.bad {
		switch tag, v := list.next(); tag {
		case 0x81:
			m.Emails = append(m.Emails, borrowed(v))
		case 0x82:
			m.DNSNames = append(m.DNSNames, borrowed(v))
		case 0x86:
			m.URIs = append(m.URIs, borrowed(v))
		case 0x87:
			if a, ok := netip.AddrFromSlice(v); ok {
				start := len(t.b)
				t.b = a.AppendTo(t.b)
				m.IPs = append(m.IPs, t.since(start))
			}
		}
	}
	return !list.bad
}

// oid returns an identifier's name, or its digits.
func (t *text) oid(b []byte, names map[string]string) string {
	if name := names[string(b)]; name != "" {
		return name
	}
	start := len(t.b)
	t.b = appendOID(t.b, b)
	return t.since(start)
}

// maxOID is how many octets of an identifier are shown.
const maxOID = 64

// appendOID appends an identifier in dotted form (X.690 section 8.19).
func appendOID(b, id []byte) []byte {
	v, first := uint64(0), true
	for _, c := range id[:min(len(id), maxOID)] {
		v = v<<7 | uint64(c&0x7f)
		if c&0x80 != 0 {
			continue
		}
		if first {
			root := min(v/40, 2)
			b = strconv.AppendUint(b, root, 10)
			v -= root * 40
			first = false
		}
		b = strconv.AppendUint(append(b, '.'), v, 10)
		v = 0
	}
	return b
}
