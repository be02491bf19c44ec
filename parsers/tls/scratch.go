package tls

import (
	"encoding/binary"
	"strconv"
	"unsafe"
)

// scratch is what reading one message needs beside the state of its connection.
// Connections are many and messages are read one at a time, so parsers borrow
// it. The store of buffers is for messages that are put together across calls.
type scratch struct {
	text        text
	hello       ClientHello
	retry       HelloRetryRequest
	server      ServerHello
	chain       CertificateMessage
	alert       Alert
	handshake   Handshake
	answer      answer
	versions    []uint16
	certificate []*certificateScratch
	fingerprint fingerprints
	buffers     [][]byte
}

const (
	// maxBuffers is how many buffers are kept for later, maxBuffer how large
	// they may be.
	maxBuffers = 16
	maxBuffer  = 64 << 10
)

// take returns an empty buffer.
func (s *scratch) take() []byte {
	n := len(s.buffers)
	if n == 0 {
		return nil
	}
	b := s.buffers[n-1]
	s.buffers = s.buffers[:n-1]
	return b[:0]
}

// put keeps a buffer for later.
func (s *scratch) put(b []byte) {
	if cap(b) > 0 && cap(b) <= maxBuffer && len(s.buffers) < maxBuffers {
		s.buffers = append(s.buffers, b)
	}
}

// text is memory for strings that are made while a message is read. Strings stay
// valid until the next reset, also when the memory has to grow.
type text struct{ b []byte }

const maxText = 64 << 10

func (t *text) reset() {
	if cap(t.b) > maxText {
		t.b = nil
	}
	t.b = t.b[:0]
}

// since returns what was appended after the memory had this length.
func (t *text) since(start int) string { return borrowed(t.b[start:]) }

// borrowed is the string of octets that do not change while it is in use.
func borrowed(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

const hexDigits = "0123456789abcdef"

// hexPairs are the two digits of each octet, the first in the low half.
var hexPairs = func() (pairs [256]uint16) {
	for i := range pairs {
		pairs[i] = uint16(hexDigits[i>>4]) | uint16(hexDigits[i&15])<<8
	}
	return pairs
}()

func appendHex(b, v []byte) []byte {
	n := len(b)
	b = room(b, 2*len(v))[:n+2*len(v)]
	for _, c := range v {
		binary.LittleEndian.PutUint16(b[n:], hexPairs[c])
		n += 2
	}
	return b
}

func appendHex16(b []byte, v uint16) []byte {
	return append(b, hexDigits[v>>12], hexDigits[v>>8&15], hexDigits[v>>4&15], hexDigits[v&15])
}

// hex returns octets as hex digits.
func (t *text) hex(v []byte) string {
	start := len(t.b)
	t.b = appendHex(t.b, v)
	return t.since(start)
}

// point returns a name, or 0x and four digits if there is none.
func (t *text) point(name string, v uint16) string {
	if name != "" {
		return name
	}
	start := len(t.b)
	t.b = appendHex16(append(t.b, "0x"...), v)
	return t.since(start)
}

func (t *text) version(v uint16) string { return t.point(versionName(v), v) }
func (t *text) suite(v uint16) string   { return t.point(suiteName(v), v) }
func (t *text) group(v uint16) string   { return t.point(groupName(v), v) }

// number returns a name, or the number in decimal if there is none.
func (t *text) number(name string, v uint64) string {
	if name != "" {
		return name
	}
	start := len(t.b)
	t.b = strconv.AppendUint(t.b, v, 10)
	return t.since(start)
}
