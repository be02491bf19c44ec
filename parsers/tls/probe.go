package tls

import (
	"encoding/binary"

	"flowscope/session"
)

// Probe implements session.Factory: a side that begins with a hello. Those that
// are too short to tell wait for more, as long as they could become one.
func (f *Factory) Probe(s *session.Sample) session.Verdict {
	if s.Transport != session.TCP {
		return session.No
	}
	verdict := begins(s.Data)
	if verdict == session.Match || len(s.Other) == 0 {
		return verdict
	}
	switch other := begins(s.Other); {
	case other == session.Match:
		return session.Match
	case verdict == session.No || other == session.No:
		return session.No
	default:
		return session.More
	}
}

// minClientHello and minServerHello are the least lengths of their messages: a
// version, a random, an empty session id, and one suite and one compression
// method of the client's, or one of each of the server's; drafts of TLS 1.3
// leave the latter and the session id out.
const (
	minClientHello = 2 + 32 + 1 + 2 + 2 + 1 + 1
	minServerHello = 2 + 32 + 2
)

// begins judges the first octets of a side: the header of a record, and as much
// of a hello as the record holds (RFC 8446 sections 5.1 and 4), or a ClientHello
// of the SSL 2.0 form.
func begins(b []byte) session.Verdict {
	if len(b) == 0 {
		return session.More
	}
	if b[0]&0x80 != 0 {
		return beginsSSL2(b)
	}
	if b[0] != typeHandshake || len(b) > 1 && b[1] != 3 || len(b) > 2 && b[2] > 4 {
		return session.No
	}
	if len(b) < recordHeader+1 {
		return session.More
	}
	length := int(binary.BigEndian.Uint16(b[3:]))
	if length == 0 || length > maxPlain {
		return session.No
	}
	least := minClientHello
	switch b[5] {
	case messageClientHello:
	case messageServerHello:
		least = minServerHello
	default:
		return session.No
	}
	if length < messageHeader+2 {
		return session.Match // cut into small records; the type has to do
	}
	if len(b) < recordHeader+messageHeader+2 {
		return session.More
	}
	size := int(b[6])<<16 | int(binary.BigEndian.Uint16(b[7:]))
	version := binary.BigEndian.Uint16(b[9:])
	if size < least || size > maxMaxMessage || version>>8 != 3 && version>>8 != 0x7f {
		return session.No
	}
	return session.Match
}

// beginsSSL2 wants a CLIENT-HELLO whose lengths add up (RFC 5246 appendix E.2).
func beginsSSL2(b []byte) session.Verdict {
	if len(b) > 2 && b[2] != ssl2ClientHello {
		return session.No
	}
	if len(b) > 3 && b[3] != 0 && b[3] != 3 {
		return session.No
	}
	if len(b) < ssl2Header+ssl2HelloFixed {
		return session.More
	}
	length := int(b[0]&0x7f)<<8 | int(b[1])
	version := binary.BigEndian.Uint16(b[3:])
	suites, id, challenge := int(binary.BigEndian.Uint16(b[5:])), int(binary.BigEndian.Uint16(b[7:])), int(binary.BigEndian.Uint16(b[9:]))
	if version != ssl2 && (version < ssl3 || version > tls13) || suites == 0 || suites%3 != 0 || id > 32 || challenge < 16 || challenge > 32 {
		return session.No
	}
	if length != ssl2HelloFixed+suites+id+challenge {
		return session.No
	}
	return session.Match
}
