package tls

import (
	"encoding/binary"

	"flowscope/session"
)

const (
	ssl2Header      = 2
	ssl2HelloFixed  = 9
	ssl2ServerFixed = 11
	maxSSL2Record   = 1<<15 - 1

	ssl2Error       = 0
	ssl2ClientHello = 1
	ssl2ServerHello = 4
)

// What can be wrong with a hello of SSL 2.0.
const problemSSL2 = "lengths of a hello of SSL 2.0 do not fit"

// nextSSL2 reads the first record of a side that has the form of SSL 2.0, two
// octets of length and a message: a ClientHello, also of later versions (RFC 5246
// appendix E.2), or the answer of a server that speaks no other. More of SSL 2.0
// is not read: the summary follows.
func (p *parser) nextSSL2(side session.Side, b []byte, out *session.Output) (int, error) {
	s := &p.sides[side]
	if len(b) < ssl2Header {
		return 0, nil
	}
	size := ssl2Header + (int(b[0]&0x7f)<<8 | int(b[1]))
	if size == ssl2Header {
		return 0, errSSL2
	}
	if len(b) < size {
		s.record = size
		return 0, nil
	}
	body := b[ssl2Header+1 : size]
	switch kind := b[ssl2Header]; {
	case kind == ssl2ClientHello && (!p.known || side == p.client):
		p.clientHelloSSL2(side, body, out)
	case kind == ssl2ServerHello && p.known && side != p.client:
		p.serverHelloSSL2(side, body, out)
	case kind == ssl2Error && p.known && side != p.client:
		p.finish(out, OutcomeFailed, false)
	default:
		return 0, errSSL2
	}
	return size, nil
}

// clientHelloSSL2 reads a CLIENT-HELLO without its type (Hickman: "The SSL
// Protocol", section 2.5). It has no fingerprints.
func (p *parser) clientHelloSSL2(side session.Side, b []byte, out *session.Output) {
	p.began(p.sides[side].recordStart)
	p.scratch.text.reset()
	m := &p.scratch.hello
	m.reset()
	if len(b) < ssl2HelloFixed-1 {
		p.report(problemSSL2, out)
		return
	}
	version := binary.BigEndian.Uint16(b)
	suites, id, challenge := int(binary.BigEndian.Uint16(b[2:])), int(binary.BigEndian.Uint16(b[4:])), int(binary.BigEndian.Uint16(b[6:]))
	rest := b[ssl2HelloFixed-1:]
	problem := ""
	if suites%3 != 0 || suites+id+challenge != len(rest) || id > maxSessionID {
		problem = problemSSL2
	} else {
		for list := rest[:suites]; len(list) > 0; list = list[3:] {
			m.CipherSuites = append(m.CipherSuites, uint32(list[0])<<16|uint32(list[1])<<8|uint32(list[2]))
		}
		p.idLen = uint8(copy(p.id[:], rest[suites:suites+id]))
		m.SessionID = p.scratch.text.hex(p.id[:p.idLen])
	}
	m.RecordVersion, m.Version = versionName(ssl2), p.scratch.text.version(version)
	p.know(side)
	p.sides[side].hello = true
	out.EmitWith(session.Emission{
		Message: m, Side: side, Start: p.start(p.sides[side].recordStart, out), Truncated: p.report(problem, out),
	})
}

// serverHelloSSL2 reads a SERVER-HELLO without its type (section 2.6 there).
func (p *parser) serverHelloSSL2(side session.Side, b []byte, out *session.Output) {
	start := p.sides[side].recordStart
	p.scratch.text.reset()
	m := &p.scratch.server
	m.Answer = Answer{Extensions: m.Extensions[:0], RecordVersion: versionName(ssl2)}
	if len(b) < ssl2ServerFixed-1 {
		p.report(problemSSL2, out)
		p.finish(out, OutcomeUnknown, false)
		return
	}
	p.version, p.resumed = binary.BigEndian.Uint16(b[2:]), b[0] != 0
	p.sides[side].hello = true
	m.Version, m.SessionResumed = p.scratch.text.version(p.version), p.resumed
	n := int(binary.BigEndian.Uint16(b[4:]))
	rest := b[ssl2ServerFixed-1:]
	problem := ""
	if n > len(rest) {
		n, problem = 0, problemSSL2
	}
	out.EmitWith(session.Emission{Message: m, Side: side, Start: p.start(start, out), Truncated: p.report(problem, out)})
	if n > 0 {
		p.scratch.startChain()
		p.scratch.addCertificate(rest[:n], p.config.MaxCertificates)
		p.emitChain(side, start, "", out)
	}
	p.finish(out, OutcomeUnknown, false)
}
