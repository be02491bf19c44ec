package tls

import (
	"unicode/utf16"
	"unicode/utf8"
)

// Tags of ASN.1's strings.
const (
	tagUTF8String      = 0x0c
	tagTeletexString   = 0x14
	tagUniversalString = 0x1c
	tagBMPString       = 0x1e
)

// maxName is how many octets of text one name may become.
const maxName = 64 << 10

// distinguishedName writes a name in the form of RFC 4514: the last part first,
// parts joined by commas, values of one part by plus signs. Attributes that the
// RFC has no word for go by OpenSSL's, or by their digits.
func (t *text) distinguishedName(name der) string {
	start := len(t.b)
	var parts [64][]byte
	n := 0
	for len(name.b) > 0 && !name.bad && n < len(parts) {
		if parts[n] = name.want(tagSet); !name.bad {
			n++
		}
	}
	for i := n - 1; i >= 0 && len(t.b)-start < maxName; i-- {
		set := der{b: parts[i]}
		for first := true; len(set.b) > 0 && !set.bad && len(t.b)-start < maxName; first = false {
			attribute := set.into(tagSequence)
			id := attribute.want(tagOID)
			tag, value := attribute.next()
			if attribute.bad {
				break
			}
			if len(t.b) > start {
				if first {
					t.b = append(t.b, ',')
				} else {
					t.b = append(t.b, '+')
				}
			}
			if short := attributeNames[string(id)]; short != "" {
				t.b = append(t.b, short...)
			} else {
				t.b = appendOID(t.b, id)
			}
			t.b = appendValue(append(t.b, '='), tag, value)
		}
	}
	return t.since(start)
}

// appendValue appends the text of a string, escaped (RFC 4514 section 2.4).
func appendValue(b []byte, tag byte, v []byte) []byte {
	start := len(b)
	switch tag {
	case tagBMPString:
		for ; len(v) >= 2; v = v[2:] {
			r := rune(v[0])<<8 | rune(v[1])
			if utf16.IsSurrogate(r) && len(v) >= 4 {
				if pair := utf16.DecodeRune(r, rune(v[2])<<8|rune(v[3])); pair != utf8.RuneError {
					r, v = pair, v[2:]
				}
			}
			b = appendEscaped(b, r, len(b) == start, len(v) == 2)
		}
	case tagUniversalString:
		for ; len(v) >= 4; v = v[4:] {
			r := rune(v[0])<<24 | rune(v[1])<<16 | rune(v[2])<<8 | rune(v[3])
			b = appendEscaped(b, r, len(b) == start, len(v) == 4)
		}
	case tagTeletexString: // in practice ISO 8859-1, or UTF-8 all the same
		if utf8.Valid(v) {
			return appendUTF8(b, v)
		}
		for i, c := range v {
			b = appendEscaped(b, rune(c), i == 0, i == len(v)-1)
		}
	default:
		return appendUTF8(b, v)
	}
	return b
}

// appendUTF8 appends text; octets that are no UTF-8 are escaped one by one.
func appendUTF8(b, v []byte) []byte {
	for i := 0; i < len(v); {
		c := v[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRune(v[i:])
			if r == utf8.RuneError && size == 1 {
				b = append(b, '\\', hexUpper[c>>4], hexUpper[c&15])
				i++
				continue
			}
			b = append(b, v[i:i+size]...)
			i += size
			continue
		}
		b = appendEscaped(b, rune(c), i == 0, i == len(v)-1)
		i++
	}
	return b
}

const hexUpper = "0123456789ABCDEF"

// appendEscaped appends one character of a value.
func appendEscaped(b []byte, r rune, first, last bool) []byte {
	switch r {
	case ',', '+', '"', '\\', '<', '>', ';':
		return append(b, '\\', byte(r))
	case ' ':
		if first || last {
			b = append(b, '\\')
		}
		return append(b, ' ')
	case '#':
		if first {
			b = append(b, '\\')
		}
		return append(b, '#')
	}
	if r >= 0 && r < ' ' || r == 0x7f {
		return append(b, '\\', hexUpper[r>>4], hexUpper[r&15])
	}
	return utf8.AppendRune(b, r)
}
