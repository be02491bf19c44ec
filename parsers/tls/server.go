package tls

import "encoding/binary"

// answer is what a ServerHello says beside what is published.
type answer struct {
	version, suite, group uint16
	retry                 bool // it is a HelloRetryRequest
	psk                   bool // a pre-shared key was chosen
	id                    []byte
}

// retryRandom is the random of a ServerHello that is a HelloRetryRequest: the
// SHA-256 of that word (RFC 8446 section 4.1.3).
const retryRandom = "\xcf\x21\xad\x74\xe5\x9a\x61\x11\xbe\x1d\x8c\x02\x1e\x65\xb8\x91\xc2\xa2\x11\x16\x7a\xbb\x8c\x5e\x07\x9e\x09\xe2\xc8\xa8\x33\x9c"

// decodeServerHello reads the body of a ServerHello (RFC 8446 section 4.1.3) into
// m and a. Of a damaged one it reads what precedes the damage; it is readable if
// the cipher suite is there.
func (s *scratch) decodeServerHello(b []byte, m *Answer, a *answer) (readable bool, problem string) {
	if len(b) < helloFixed+2 {
		return false, problemShort
	}
	s.text.reset()
	*m = Answer{Extensions: m.Extensions[:0]}
	legacy := binary.BigEndian.Uint16(b)
	*a = answer{version: legacy, retry: string(b[2:helloFixed]) == retryRandom}
	rest := b[helloFixed:]
	old := legacy >= draft13 && legacy <= draftOldForm
	if !old {
		var ok bool
		if a.id, rest, ok = vector8(rest); !ok || len(a.id) > maxSessionID {
			return false, problemSession
		}
	}
	if len(rest) < 2 {
		return false, problemShort
	}
	a.suite, rest = binary.BigEndian.Uint16(rest), rest[2:]
	if !old {
		if len(rest) < 1 {
			problem = problemShort
		} else {
			rest = rest[1:]
		}
	}
	if problem == "" {
		problem = s.serverExtensions(rest, m, a)
	}
	m.Version, m.SessionID, m.CipherSuite = s.text.version(a.version), s.text.hex(a.id), s.text.suite(a.suite)
	if a.group != 0 {
		m.KeyShareGroup = s.text.group(a.group)
	}
	f := &s.fingerprint
	f.computeJA3S(legacy, a.suite, m.Extensions)
	m.JA3S = s.text.hex(f.ja3s[:])
	return true, problem
}

func (s *scratch) serverExtensions(b []byte, m *Answer, a *answer) (problem string) {
	if len(b) == 0 {
		return ""
	}
	list, b, ok := vector16(b)
	if !ok {
		return problemExtensions
	}
	for len(list) > 0 {
		if len(list) < 4 {
			return problemExtensions
		}
		kind := binary.BigEndian.Uint16(list)
		m.Extensions = append(m.Extensions, kind)
		var body []byte
		if body, list, ok = vector16(list[2:]); !ok {
			return problemExtensions
		}
		if !s.serverExtension(kind, body, m, a) {
			problem = problemExtension
		}
	}
	if len(b) != 0 && problem == "" {
		problem = problemTrailing
	}
	return problem
}

func (s *scratch) serverExtension(kind uint16, b []byte, m *Answer, a *answer) (ok bool) {
	switch kind {
	case extALPN:
		list, _, ok := vector16(b)
		if !ok {
			return false
		}
		v, _, ok := vector8(list)
		if ok {
			m.ALPN = borrowed(v)
		}
		return ok
	case extPreSharedKey:
		a.psk = true
	case extSupportedVersions:
		if len(b) != 2 {
			return false
		}
		a.version = binary.BigEndian.Uint16(b)
	case extKeyShare, extOldKeyShare:
		if len(b) < 2 {
			return false
		}
		a.group = binary.BigEndian.Uint16(b)
	}
	return true
}
