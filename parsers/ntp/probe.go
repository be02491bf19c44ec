package ntp

import (
	"encoding/binary"

	"flowscope/session"
)

// Probe implements session.Factory. On the configured ports a plausible header
// is enough; on others it must be a request or a reply in its plainest form.
func (f *Factory) Probe(s *session.Sample) session.Verdict {
	if s.Transport != session.UDP {
		return session.No
	}
	known := s.OnPort(&f.description)
	if known && plausible(s.Data) || !known && ordinary(s.Data) {
		return session.Match
	}
	return session.No
}

// plausible judges version, mode and length alone.
func plausible(b []byte) bool {
	if len(b) < 4 {
		return false
	}
	version, mode := b[0]>>3&7, b[0]&7
	if version == 0 || version > maxVersion {
		return false
	}
	switch mode {
	case modeControl:
		return len(b) >= controlSize
	case modePrivate:
		return len(b) >= privateSize
	default:
		return len(b) >= headerSize
	}
}

// ordinary wants a message of a client that knows nothing yet, or a server's
// whose clocks agree with each other (RFC 4330 section 5). Either fixes some
// 200 bits.
func ordinary(b []byte) bool {
	if len(b) != headerSize || b[0]>>3&7 < 3 || b[0]>>3&7 > maxVersion || int8(b[3]) > 32 || int8(b[3]) < -32 || b[2] > 17 {
		return false
	}
	transmit := binary.BigEndian.Uint64(b[40:])
	switch b[0] & 7 {
	case modeClient:
		return b[1] == 0 && transmit != 0 && allZero(b[4:40])
	case modeServer:
		receive, reference := binary.BigEndian.Uint64(b[32:]), binary.BigEndian.Uint64(b[16:])
		return b[1] >= 1 && b[1] < 16 && reference != 0 && int64(transmit-receive) >= 0 && transmit-receive < 1<<32 &&
			receive-reference < 1<<49 && binary.BigEndian.Uint64(b[24:]) != 0
	}
	return false
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
