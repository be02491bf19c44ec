package tls

import (
	"encoding/binary"

	"flowscope/session"
)

// Handshake types (IANA "TLS HandshakeType").
const (
	messageClientHello     = 1
	messageServerHello     = 2
	messageCertificate     = 11
	messageServerHelloDone = 14

	messageHeader = 4
)

// wanted says whether the body of a message is of interest.
func wanted(kind uint8) bool {
	return kind == messageClientHello || kind == messageServerHello || kind == messageCertificate
}

// fragment reads the handshake messages of one record (RFC 8446 section 4), the
// first of which may have begun in an earlier one, the last may not end here.
func (p *parser) fragment(side session.Side, version uint16, b []byte, out *session.Output) {
	s := &p.sides[side]
	if s.damaged && !tiles(b) && !startsHello(b) {
		return
	}
	s.damaged = false
	for len(b) > 0 && !p.done {
		if k := min(s.drop, len(b)); k > 0 {
			s.drop -= k
			b = b[k:]
			continue
		}
		if len(s.assembled) > 0 {
			b = p.assemble(side, version, b, out)
			continue
		}
		kind, size, complete := message(b)
		switch {
		case complete:
			p.message(side, version, kind, b[messageHeader:size], s.recordStart, out)
			b = b[size:]
		case len(b) >= messageHeader && p.unread(kind, size, out):
			s.drop = size
		default:
			s.messageStart = s.recordStart
			s.assembled = append(p.scratch.take(), b...)
			return
		}
	}
}

// message reads the header of a message: its type and its size with the header,
// 0 if the header is not complete, and whether all of it is there.
func message(b []byte) (kind uint8, size int, complete bool) {
	if len(b) < messageHeader {
		return 0, 0, false
	}
	size = messageHeader + int(b[1])<<16 + int(binary.BigEndian.Uint16(b[2:]))
	return b[0], size, size <= len(b)
}

// unread says whether a message that is not complete yet need not be kept.
func (p *parser) unread(kind uint8, size int, out *session.Output) bool {
	if !wanted(kind) {
		return true
	}
	if size <= p.config.MaxMessage {
		return false
	}
	out.Anomaly(&oversized, "handshake message is larger than what is read")
	return true
}

// assemble adds to the message that is put together, and returns what follows it.
func (p *parser) assemble(side session.Side, version uint16, b []byte, out *session.Output) []byte {
	s := &p.sides[side]
	if missing := messageHeader - len(s.assembled); missing > 0 {
		k := min(missing, len(b))
		s.assembled = append(s.assembled, b[:k]...)
		b = b[k:]
	}
	if len(s.assembled) < messageHeader {
		return b
	}
	kind, size, _ := message(s.assembled)
	if len(s.assembled) == messageHeader && size-messageHeader > len(b) && p.unread(kind, size, out) {
		p.release(side)
		s.drop = size - messageHeader
		return b
	}
	k := min(size-len(s.assembled), len(b))
	s.assembled = append(s.assembled, b[:k]...)
	if len(s.assembled) == size {
		p.message(side, version, kind, s.assembled[messageHeader:], s.messageStart, out)
		p.release(side)
	}
	return b[k:]
}

// tiles says whether b is a sequence of whole messages of types that may follow
// each other: then it begins with one, whatever is missing before.
func tiles(b []byte) bool {
	for len(b) > 0 {
		kind, size, complete := message(b)
		if !complete || kind > 24 {
			return false
		}
		b = b[size:]
	}
	return true
}

// startsHello says whether b begins with a hello that goes on in the next record.
func startsHello(b []byte) bool {
	kind, size, _ := message(b)
	return len(b) > messageHeader+1 && (kind == messageClientHello || kind == messageServerHello) &&
		size <= maxMaxMessage && (b[messageHeader] == 3 || b[messageHeader] == 0x7f)
}

// message reads one message.
func (p *parser) message(side session.Side, version uint16, kind uint8, body []byte, first session.Timestamp, out *session.Output) {
	switch kind {
	case messageClientHello:
		p.clientHello(side, version, body, first, out)
	case messageServerHello:
		p.serverHello(side, version, body, first, out)
	case messageCertificate:
		p.certificates(side, body, first, out)
	case messageServerHelloDone:
		p.helloDone = p.helloDone || p.known && side != p.client
	}
}

// report raises the anomaly for a message in which something is wrong.
func (p *parser) report(problem string, out *session.Output) (truncated bool) {
	if problem != "" {
		out.Anomaly(&malformed, problem)
	}
	return problem != ""
}

// clientHello reads and emits a ClientHello: the first, and after a
// HelloRetryRequest one more.
func (p *parser) clientHello(side session.Side, version uint16, body []byte, first session.Timestamp, out *session.Output) {
	s := &p.sides[side]
	if p.known && side != p.client || s.hello && (!p.retried || p.again) {
		return
	}
	p.began(first)
	m := &p.scratch.hello
	readable, problem := p.scratch.decodeClientHello(body, m)
	truncated := p.report(problem, out)
	if !readable {
		return
	}
	p.know(side)
	m.RecordVersion = p.scratch.text.version(version)
	if s.hello {
		p.again, m.Retried = true, true
		m.JA3, m.JA4 = "", ""
	} else {
		s.hello = true
		p.keep(m, body)
	}
	out.EmitWith(session.Emission{Message: m, Side: side, Start: p.start(first, out), Truncated: truncated})
}

// keep notes what later messages are judged by, and what the summary repeats.
func (p *parser) keep(m *ClientHello, body []byte) {
	p.sni = append(p.sni[:0], m.SNI...)
	p.ech, p.early, p.psk = m.ECH, m.EarlyData, m.PSK
	p.idLen = 0
	if n := int(body[34]); n <= len(p.id) && 35+n <= len(body) {
		p.idLen = uint8(copy(p.id[:], body[35:35+n]))
	}
	f := &p.scratch.fingerprint
	p.ja3, p.ja4, p.hasJA3 = f.ja3, f.ja4, true
}

// began notes when the handshake did.
func (p *parser) began(first session.Timestamp) {
	if p.first == 0 {
		p.first = first
	}
}

// know notes whose side is the client's.
func (p *parser) know(client session.Side) { p.client, p.known = client, true }

// serverHello reads and emits a ServerHello or HelloRetryRequest.
func (p *parser) serverHello(side session.Side, version uint16, body []byte, first session.Timestamp, out *session.Output) {
	s := &p.sides[side]
	if p.known && side == p.client || s.hello {
		return
	}
	p.began(first)
	a := &p.scratch.answer
	m := &p.scratch.server
	readable, problem := p.scratch.decodeServerHello(body, &m.Answer, a)
	truncated := p.report(problem, out)
	if !readable {
		return
	}
	p.know(side.Opposite())
	m.RecordVersion = p.scratch.text.version(version)
	p.version, p.suite = a.version, a.suite
	if a.group != 0 {
		p.group = a.group
	}
	emission := session.Emission{Message: m, Side: side, Start: p.start(first, out), Truncated: truncated}
	if a.retry {
		if p.retried {
			return
		}
		// Early data is refused by it (RFC 8446 section 4.2.10).
		p.retried, p.early = true, false
		p.scratch.retry.Answer = m.Answer
		emission.Message = &p.scratch.retry
		out.EmitWith(emission)
		return
	}
	s.hello = true
	p.ja3s, p.hasJA3S = p.scratch.fingerprint.ja3s, true
	p.alpn = append(p.alpn[:0], m.ALPN...)
	c := &p.sides[p.client]
	if is13(a.version) {
		p.resumed = a.psk
		c.finished = c.finished || p.sealed && !p.early
	} else {
		p.resumed = len(a.id) > 0 && c.hello && string(a.id) == string(p.id[:p.idLen])
	}
	m.SessionResumed = p.resumed
	out.EmitWith(emission)
	p.check(out)
}
