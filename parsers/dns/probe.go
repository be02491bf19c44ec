package dns

import (
	"encoding/binary"

	"flowscope/session"
)

// Probe implements session.Factory. On the configured ports a plausible header
// is enough (of streams that of the first message); on others the whole message must be flawless and ordinary. The
// ports of mDNS, LLMNR and the NetBIOS name service belong to those.
func (f *Factory) Probe(s *session.Sample) session.Verdict {
	known := s.OnPort(&f.description)
	switch {
	case s.Transport != session.UDP:
		return f.probeStream(s, known)
	case known:
		return verdict(plausible(s.Data))
	case foreign(s.SrcPort) || foreign(s.DstPort):
		return session.No
	default:
		return verdict(flawless(s.Data))
	}
}

// Probe implements session.Factory: a plausible header on the protocol's port,
// unless the other port is that of DNS.
func (f *MulticastFactory) Probe(s *session.Sample) session.Verdict {
	if s.Transport != session.UDP || !s.OnPort(&f.description) {
		return session.No
	}
	if s.SrcPort == 53 || s.DstPort == 53 {
		return session.No
	}
	return verdict(plausible(s.Data))
}

func foreign(port uint16) bool {
	return port == mdnsPort || port == llmnrPort || port == netbiosPort
}

func verdict(match bool) session.Verdict {
	if match {
		return session.Match
	}
	return session.No
}

// maxQuestions is how many questions a plausible header may announce: mDNS asks
// for many at once, DNS for one.
const maxQuestions = 255

// plausible judges the header alone (RFC 1035 section 4.1.1), but for messages
// of an opcode that is not assigned: those must be well-formed.
func plausible(b []byte) bool {
	if len(b) < headerSize {
		return false
	}
	opcode := b[2] >> 3 & 15
	questions := binary.BigEndian.Uint16(b[4:])
	records := 0
	for i := 6; i < headerSize; i += 2 {
		records += int(binary.BigEndian.Uint16(b[i:]))
	}
	if questions > maxQuestions || records > (maxMessage-headerSize)/minRecord {
		return false
	}
	if opcode == 3 || opcode > opcodeDSO {
		return wellFormed(b, int(questions), records)
	}
	response := b[2]&0x80 != 0
	return response || opcode == opcodeDSO || questions > 0 || records > 0 || len(b) == headerSize
}

// flawless wants an ordinary message: one question of a known type and class,
// flags that fit, as many records as announced, nothing left over.
func flawless(b []byte) bool {
	if len(b) < headerSize || binary.BigEndian.Uint16(b[4:]) != 1 || b[3]&0x40 != 0 {
		return false
	}
	opcode := b[2] >> 3 & 15
	if opcode != 0 && opcode != opcodeNotify && opcode != opcodeUpdate {
		return false
	}
	answers := int(binary.BigEndian.Uint16(b[6:]))
	if response := b[2]&0x80 != 0; !response && (b[3]&15 != 0 || b[2]&0x02 != 0 || opcode == 0 && answers != 0) {
		return false
	}
	off := skipName(b, headerSize)
	if off < 0 || off+4 > len(b) || !knownType(binary.BigEndian.Uint16(b[off:])) || !knownClass(binary.BigEndian.Uint16(b[off+2:])) {
		return false
	}
	return wellFormed(b, 1, answers+int(binary.BigEndian.Uint16(b[8:]))+int(binary.BigEndian.Uint16(b[10:])))
}

// wellFormed walks the whole message without expanding it: as many questions and
// records as announced, nothing left over.
func wellFormed(b []byte, questions, records int) bool {
	off := headerSize
	for range questions {
		if off = skipName(b, off); off < 0 || off+4 > len(b) {
			return false
		}
		off += 4
	}
	for range records {
		if off = skipName(b, off); off < 0 || off+10 > len(b) {
			return false
		}
		if off += 10 + int(binary.BigEndian.Uint16(b[off+8:])); off > len(b) {
			return false
		}
	}
	return off == len(b)
}

// skipName returns the offset after the name at off, -1 if that is no name. It
// does not follow pointers but wants them to lead backwards, past the header.
func skipName(b []byte, off int) int {
	for start := off; off < len(b) && off-start < maxName; {
		switch c := int(b[off]); {
		case c == 0:
			return off + 1
		case c < 0x40:
			off += 1 + c
		case c >= 0xc0 && off+1 < len(b):
			if to := c&0x3f<<8 | int(b[off+1]); to >= start || to < headerSize {
				return -1
			}
			return off + 2
		default:
			return -1
		}
	}
	return -1
}
