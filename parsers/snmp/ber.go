package snmp

import (
	"net/netip"
	"strconv"
)

// Tags of the basic encoding rules (ITU-T X.690) and of RFC 2578 section 7.1,
// 3416 section 3.
const (
	tagInteger   = 0x02
	tagOctets    = 0x04
	tagNull      = 0x05
	tagOID       = 0x06
	tagSequence  = 0x30
	tagIPAddress = 0x40
	tagCounter32 = 0x41
	tagGauge32   = 0x42
	tagTimeTicks = 0x43
	tagOpaque    = 0x44
	tagNSAP      = 0x45 // RFC 1442 section 7.1.8
	tagCounter64 = 0x46
	tagUInteger  = 0x47 // RFC 1442 section 7.1.11

	tagNoSuchObject   = 0x80
	tagNoSuchInstance = 0x81
	tagEndOfMibView   = 0x82
)

// reader reads elements from the front of b. After the first problem every
// further read returns zero values.
type reader struct {
	b       []byte
	problem string
	padded  bool // an integer had more octets than it needs
}

func (r *reader) fail(problem string) {
	if r.problem == "" {
		r.problem = problem
	}
	r.b = nil
}

// element reads tag and contents of the next element (X.690 section 8.1). The
// length may be written with more octets than it needs.
func (r *reader) element() (tag byte, contents []byte) {
	if len(r.b) < 2 {
		r.fail(problemShort)
		return 0, nil
	}
	tag = r.b[0]
	if tag&0x1f == 0x1f {
		r.fail(problemTag)
		return 0, nil
	}
	n, head := int(r.b[1]), 2
	if n == 0x80 {
		r.fail(problemIndefinite)
		return 0, nil
	}
	if n > 0x80 {
		octets := n & 0x7f
		if head += octets; head > len(r.b) {
			r.fail(problemShort)
			return 0, nil
		}
		n = 0
		for _, c := range r.b[2:head] {
			if n >= 1<<24 {
				r.fail(problemShort)
				return 0, nil
			}
			n = n<<8 | int(c)
		}
	}
	if n > len(r.b)-head {
		r.fail(problemShort)
		return 0, nil
	}
	contents = r.b[head : head+n]
	r.b = r.b[head+n:]
	return tag, contents
}

// expect reads an element of one tag.
func (r *reader) expect(tag byte) []byte {
	got, contents := r.element()
	if r.problem == "" && got != tag {
		r.fail(problemTag)
		return nil
	}
	return contents
}

// enter reads the beginning of an element whose end may lie behind the end of
// what there is; then what there is counts.
func (r *reader) enter(tag byte) reader {
	switch {
	case len(r.b) > 0 && r.b[0] != tag:
		r.fail(problemTag)
		return reader{problem: r.problem}
	case len(r.b) < 2:
		r.fail(problemShort)
		return reader{problem: r.problem}
	}
	inner := *r
	_, contents := inner.element()
	if inner.problem == "" {
		r.b = inner.b
		return reader{b: contents}
	}
	head := 2
	if r.b[1] > 0x80 {
		head += int(r.b[1] & 0x7f)
	}
	if r.b[1] == 0x80 || head > len(r.b) {
		r.fail(inner.problem)
		return reader{problem: r.problem}
	}
	inner.b = r.b[head:]
	inner.problem = ""
	r.fail(problemShort)
	return inner
}

// integer reads an INTEGER of 32 bits.
func (r *reader) integer() int32 {
	v, ok, padded := signed(r.expect(tagInteger))
	if !ok && r.problem == "" {
		r.fail(problemValue)
	}
	r.padded = r.padded || padded
	return v
}

// octets reads an OCTET STRING.
func (r *reader) octets() []byte { return r.expect(tagOctets) }

// signed reads the contents of an INTEGER of 32 bits; padded says that it is not
// in its shortest form (X.690 section 8.3.2).
func signed(b []byte) (v int32, ok, padded bool) {
	for len(b) > 1 && (b[0] == 0 && b[1] < 0x80 || b[0] == 0xff && b[1] >= 0x80) {
		b, padded = b[1:], true
	}
	if len(b) == 0 || len(b) > 4 {
		return 0, false, padded
	}
	v = int32(int8(b[0]))
	for _, c := range b[1:] {
		v = v<<8 | int32(c)
	}
	return v, true, padded
}

// unsigned reads the contents of an INTEGER that is not negative, of so many
// bits; padded is as for signed.
func unsigned(b []byte, bits int) (v uint64, ok, padded bool) {
	if len(b) == 0 || b[0] >= 0x80 {
		return 0, false, false
	}
	for len(b) > 1 && b[0] == 0 {
		padded = padded || b[1] < 0x80
		b = b[1:]
	}
	if len(b) > bits/8 {
		return 0, false, padded
	}
	for _, c := range b {
		v = v<<8 | uint64(c)
	}
	return v, true, padded
}

// maxArcs is how many sub-identifiers an object identifier may have (RFC 2578
// section 3.5).
const maxArcs = 128

// appendOID appends the contents of an OBJECT IDENTIFIER (X.690 section 8.19) in
// dotted decimal; false if it is malformed or too long for RFC 2578.
func appendOID(text, b []byte) ([]byte, bool) {
	if len(b) == 0 || b[len(b)-1] >= 0x80 {
		return text, false
	}
	start, arcs := len(text), 0
	for len(b) > 0 {
		var v uint64
		for i, c := range b {
			if i == 0 && c == 0x80 || i > 4 {
				return text[:start], false
			}
			if v = v<<7 | uint64(c&0x7f); c < 0x80 {
				b = b[i+1:]
				break
			}
		}
		if arcs == 0 {
			first := min(v/40, 2)
			text = strconv.AppendUint(text, first, 10)
			v -= 40 * first
			arcs++
		}
		if arcs++; arcs > maxArcs || v > 1<<32-1 {
			return text[:start], false
		}
		text = strconv.AppendUint(append(text, '.'), v, 10)
	}
	return text, true
}

func appendIPAddress(text, b []byte) ([]byte, bool) {
	if len(b) != 4 {
		return text, false
	}
	return netip.AddrFrom4([4]byte(b)).AppendTo(text), true
}
