package tls

import (
	"encoding/binary"
)

// Extensions (IANA "TLS ExtensionType Values").
const (
	extServerName          = 0
	extSupportedGroups     = 10
	extECPointFormats      = 11
	extSignatureAlgorithms = 13
	extALPN                = 16
	extSessionTicket       = 35
	extOldKeyShare         = 40 // before draft 23 of TLS 1.3
	extPreSharedKey        = 41
	extEarlyData           = 42
	extSupportedVersions   = 43
	extKeyShare            = 51
	extECH                 = 0xfe0d
)

// What can be wrong with a hello.
const (
	problemShort      = "hello ends before its fixed fields do"
	problemSession    = "session id of a hello is longer than allowed"
	problemSuites     = "list of cipher suites does not fit"
	problemMethods    = "list of compression methods does not fit"
	problemExtensions = "list of extensions does not fit"
	problemExtension  = "an extension does not follow its format"
	problemTrailing   = "octets follow the end of a hello"
)

const (
	helloFixed   = 2 + 32
	maxSessionID = 32
)

// vector8 and vector16 split a vector with a length of one or two octets off.
func vector8(b []byte) (v, rest []byte, ok bool) {
	if len(b) < 1 || 1+int(b[0]) > len(b) {
		return nil, nil, false
	}
	n := 1 + int(b[0])
	return b[1:n:n], b[n:], true
}

func vector16(b []byte) (v, rest []byte, ok bool) {
	if len(b) < 2 {
		return nil, nil, false
	}
	n := 2 + int(binary.BigEndian.Uint16(b))
	if n > len(b) {
		return nil, nil, false
	}
	return b[2:n:n], b[n:], true
}

// appendUint16s appends the numbers of a vector; false if it ends within one.
func appendUint16s(list []uint16, v []byte) ([]uint16, bool) {
	for ; len(v) >= 2; v = v[2:] {
		list = append(list, uint16(v[0])<<8|uint16(v[1]))
	}
	return list, len(v) == 0
}

// decodeClientHello reads the body of a ClientHello (RFC 8446 section 4.1.2) into
// m, and its fingerprints into the scratch memory. Of a damaged one it reads what
// precedes the damage; it is readable if the fixed fields are there.
func (s *scratch) decodeClientHello(b []byte, m *ClientHello) (readable bool, problem string) {
	if len(b) < helloFixed+1 {
		return false, problemShort
	}
	s.text.reset()
	m.reset()
	s.versions = s.versions[:0]
	version := binary.BigEndian.Uint16(b)
	problem = s.clientFields(b[helloFixed:], m)
	m.Version = s.text.version(version)
	for _, v := range s.versions {
		m.SupportedVersions = append(m.SupportedVersions, s.text.version(v))
	}
	f := &s.fingerprint
	f.compute(version, s.versions, m)
	m.JA3, m.JA4 = s.text.hex(f.ja3[:]), borrowed(f.ja4[:])
	return true, problem
}

// reset empties a message and keeps its lists' memory.
func (m *ClientHello) reset() {
	*m = ClientHello{
		ALPN: m.ALPN[:0], CipherSuites: m.CipherSuites[:0], Extensions: m.Extensions[:0], SupportedGroups: m.SupportedGroups[:0],
		ECPointFormats: m.ECPointFormats[:0], SignatureAlgorithms: m.SignatureAlgorithms[:0], KeyShareGroups: m.KeyShareGroups[:0],
		SupportedVersions: m.SupportedVersions[:0],
	}
}

// clientFields reads what follows the random.
func (s *scratch) clientFields(b []byte, m *ClientHello) (problem string) {
	id, b, ok := vector8(b)
	if !ok || len(id) > maxSessionID {
		return problemSession
	}
	m.SessionID = s.text.hex(id)
	suites, b, ok := vector16(b)
	if !ok {
		return problemSuites
	}
	for ; len(suites) >= 2; suites = suites[2:] {
		m.CipherSuites = append(m.CipherSuites, uint32(suites[0])<<8|uint32(suites[1]))
	}
	if len(suites) != 0 {
		return problemSuites
	}
	if _, b, ok = vector8(b); !ok {
		return problemMethods
	}
	if len(b) == 0 {
		return "" // no extensions, as before TLS 1.2
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
		if !s.clientExtension(kind, body, m) {
			problem = problemExtension
		}
	}
	if len(b) != 0 && problem == "" {
		problem = problemTrailing
	}
	return problem
}

// clientExtension reads one extension; of those that are there twice the first
// counts.
func (s *scratch) clientExtension(kind uint16, b []byte, m *ClientHello) (ok bool) {
	switch kind {
	case extServerName:
		return serverName(b, &m.SNI)
	case extSupportedGroups:
		return numbers16(b, &m.SupportedGroups)
	case extECPointFormats:
		v, _, ok := vector8(b)
		if len(m.ECPointFormats) == 0 {
			for _, f := range v {
				m.ECPointFormats = append(m.ECPointFormats, uint16(f))
			}
		}
		return ok
	case extSignatureAlgorithms:
		return numbers16(b, &m.SignatureAlgorithms)
	case extALPN:
		return protocols(b, &m.ALPN)
	case extSessionTicket:
		m.SessionTicket = len(b) > 0
	case extPreSharedKey:
		m.PSK = true
	case extEarlyData:
		m.EarlyData = true
	case extSupportedVersions:
		v, _, ok := vector8(b)
		if !ok || len(s.versions) > 0 {
			return ok
		}
		s.versions, ok = appendUint16s(s.versions, v)
		return ok
	case extKeyShare, extOldKeyShare:
		return keyShares(b, &m.KeyShareGroups)
	case extECH:
		m.ECH = true
	}
	return true
}

// serverName reads the host name (RFC 6066 section 3).
func serverName(b []byte, name *string) (ok bool) {
	list, _, ok := vector16(b)
	for ok && len(list) > 0 {
		kind := list[0]
		var v []byte
		if v, list, ok = vector16(list[1:]); ok && kind == 0 && *name == "" {
			*name = borrowed(v)
		}
	}
	return ok
}

func numbers16(b []byte, list *[]uint16) (ok bool) {
	v, _, ok := vector16(b)
	if !ok || len(*list) > 0 {
		return ok
	}
	*list, ok = appendUint16s(*list, v)
	return ok
}

// protocols reads a list of names (RFC 7301 section 3.1).
func protocols(b []byte, names *[]string) (ok bool) {
	list, _, ok := vector16(b)
	if !ok || len(*names) > 0 {
		return ok
	}
	for ok && len(list) > 0 {
		var v []byte
		if v, list, ok = vector8(list); ok {
			*names = append(*names, borrowed(v))
		}
	}
	return ok
}

// keyShares reads the groups of the shares (RFC 8446 section 4.2.8).
func keyShares(b []byte, groups *[]uint16) (ok bool) {
	list, _, ok := vector16(b)
	if !ok || len(*groups) > 0 {
		return ok
	}
	for ok && len(list) > 0 {
		if len(list) < 2 {
			return false
		}
		group := binary.BigEndian.Uint16(list)
		if _, list, ok = vector16(list[2:]); ok {
			*groups = append(*groups, group)
		}
	}
	return ok
}
