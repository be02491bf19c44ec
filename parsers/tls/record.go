package tls

import (
	"encoding/binary"
	"errors"

	"flowscope/session"
)

// Content types (IANA "TLS ContentType").
const (
	typeChangeCipherSpec = 20
	typeAlert            = 21
	typeHandshake        = 22
	typeApplicationData  = 23
	typeHeartbeat        = 24
)

const (
	recordHeader = 5
	// maxPlain is the largest plaintext, maxRecord the largest ciphertext (RFC
	// 5246 section 6.2.3).
	maxPlain  = 1 << 14
	maxRecord = maxPlain + 2048
)

var (
	errRecord       = errors.New("octets where a record of TLS should begin are none")
	errRecordLength = errors.New("length of a record is out of range")
	errSSL2         = errors.New("octets where a message of SSL 2.0 should begin are none")
)

// feed reads the records that are there (RFC 8446 section 5.1). Records whose
// content cannot be read are passed over as they come, others wait until they
// are complete.
func (p *parser) feed(side session.Side, data []byte, out *session.Output) (int, error) {
	s := &p.sides[side]
	s.pending, s.record = 0, 0
	for n := 0; ; {
		if k := min(s.skip, len(data)-n); k > 0 {
			s.skip -= k
			n += k
		}
		b := data[n:]
		if len(b) == 0 {
			return n, nil
		}
		if s.lost {
			return len(data), nil
		}
		if s.recordStart == 0 {
			s.recordStart = out.Now()
		}
		if s.unsure {
			switch resumes(b, !s.begun) {
			case session.More:
				s.pending = len(b)
				return n, nil
			case session.No:
				return len(data), p.lose(side, out)
			}
			s.unsure = false
		}
		size, err := p.next(side, b, out)
		switch {
		case err != nil:
			p.finish(out, OutcomeMalformed, false)
			return n, err
		case size == 0:
			s.pending = len(b)
			return n, nil
		}
		n += size
		s.begun, s.recordStart, s.record = true, 0, 0
		if p.done {
			return n, session.ErrDone
		}
	}
}

// resumes says whether a record begins here, after a gap: encrypted octets look
// like it once in two million times.
func resumes(b []byte, first bool) session.Verdict {
	if first && b[0]&0x80 != 0 {
		return beginsSSL2(b)
	}
	switch {
	case b[0] < typeChangeCipherSpec || b[0] > typeHeartbeat || len(b) > 1 && b[1] != 3 || len(b) > 2 && b[2] > 4:
		return session.No
	case len(b) < recordHeader:
		return session.More
	}
	if length := binary.BigEndian.Uint16(b[3:]); length == 0 || length > maxRecord {
		return session.No
	}
	return session.Match
}

// lose gives a side up.
func (p *parser) lose(side session.Side, out *session.Output) error {
	s := &p.sides[side]
	s.lost = true
	if p.sides[side.Opposite()].lost {
		p.finish(out, OutcomeGap, false)
	}
	if p.check(out); p.done {
		return session.ErrDone
	}
	return nil
}

// next reads the record at the start of b, and returns how many octets it took,
// 0 if more are needed.
func (p *parser) next(side session.Side, b []byte, out *session.Output) (int, error) {
	s := &p.sides[side]
	if !s.begun && b[0]&0x80 != 0 {
		return p.nextSSL2(side, b, out)
	}
	if len(b) < recordHeader {
		return 0, nil
	}
	kind, length := b[0], int(binary.BigEndian.Uint16(b[3:]))
	if kind < typeChangeCipherSpec || kind > typeHeartbeat || b[1] != 3 {
		return 0, errRecord
	}
	if length > maxRecord {
		return 0, errRecordLength
	}
	if p.encrypted(s, kind, length) {
		s.skip = length
		p.passed(side, kind, length, out)
		return recordHeader, nil
	}
	if len(b) < recordHeader+length {
		s.record = recordHeader + length
		return 0, nil
	}
	body := b[recordHeader : recordHeader+length]
	switch kind {
	case typeChangeCipherSpec:
		p.changeCipherSpec(side)
	case typeAlert:
		p.plainAlert(side, body, out)
	case typeHandshake:
		p.fragment(side, binary.BigEndian.Uint16(b[1:]), body, out)
	}
	return recordHeader + length, nil
}

// encrypted says whether nothing can be read of a record but its type: up to TLS
// 1.2 all after ChangeCipherSpec; in TLS 1.3 those that claim to be application
// data, whatever they are.
func (p *parser) encrypted(s *half, kind uint8, length int) bool {
	switch kind {
	case typeApplicationData, typeHeartbeat:
		return true
	case typeAlert:
		return length != alertSize || s.ccs && !is13(p.version)
	case typeHandshake:
		return s.ccs && !is13(p.version)
	default:
		return length > 1 // ChangeCipherSpec is one octet
	}
}

// passed notes what a record tells that is passed over.
func (p *parser) passed(side session.Side, kind uint8, length int, out *session.Output) {
	s := &p.sides[side]
	switch {
	case kind == typeAlert:
		p.sealedAlert(side, out)
	case kind == typeHandshake:
		s.finished = true
	case kind != typeApplicationData:
	case is13(p.version):
		p.passed13(side, length, out)
	default:
		s.app = true
		p.sealed = p.sealed || !p.known || side == p.client
	}
	p.check(out)
}

// passed13 judges encrypted records of TLS 1.3 by their length: those of an
// alert, and of Finished after early data, are known (RFC 8446 sections 5.2, 6
// and 4.4.4).
func (p *parser) passed13(side session.Side, length int, out *session.Output) {
	s := &p.sides[side]
	if !p.sides[p.client.Opposite()].hello {
		p.sealed = p.sealed || side == p.client
		return
	}
	tag := 16
	if p.suite == suiteCCM8 {
		tag = 8
	}
	early := side == p.client && p.early
	switch {
	case length == alertSize+1+tag && !early:
		p.sealedAlert(side, out)
	case early && length != finishedSize(p.suite)+1+tag:
		p.beyond = true
	default:
		s.finished = true
	}
}

// Cipher suites of TLS 1.3 with a hash or tag of their own.
const (
	suiteSHA384 = 0x1302
	suiteCCM8   = 0x1305
)

// finishedSize is the length of the message Finished in TLS 1.3.
func finishedSize(suite uint16) int {
	if suite == suiteSHA384 {
		return messageHeader + 48
	}
	return messageHeader + 32
}

// changeCipherSpec notes that a side's records are encrypted from now on, unless
// it is TLS 1.3, where it means nothing. A server that sends it without having
// said ServerHelloDone resumes a session (RFC 5246 section 7.3, RFC 5077 section
// 3.1).
func (p *parser) changeCipherSpec(side session.Side) {
	s := &p.sides[side]
	s.ccs, s.damaged = true, false
	p.release(side)
	if p.known && side != p.client && s.hello && !is13(p.version) && !s.missed {
		p.resumed = !p.helloDone
	}
}
