package ntp

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"time"
	"unsafe"

	"flowscope/session"
	"flowscope/session/wire"
)

// The modes (RFC 5905 figure 10).
const (
	modeReserved = iota
	modeActive
	modePassive
	modeClient
	modeServer
	modeBroadcast
	modeControl
	modePrivate
)

// Sizes of the formats in bytes.
const (
	maxVersion   = 4
	headerSize   = 48
	controlSize  = 12
	privateSize  = 8
	minExtension = 16
	maxMAC       = 24 // key and SHA-1 (RFC 7822 section 7.5.1.4)
	maxListed    = 64 // extension fields that are listed
)

// What can be wrong with a message; the texts are details of ntp_malformed.
const (
	problemHeader    = "shorter than its header"
	problemVersion   = "version is not 1 to 4"
	problemExtension = "length of an extension field does not fit"
	problemMany      = "more than 64 extension fields"
	problemMAC       = "authenticator has a wrong length"
	problemCount     = "less data than announced"
)

// scratch is what parsing one message needs beside the state of its flow.
type scratch struct {
	text       []byte
	message    Message
	control    Control
	private    Private
	extensions [maxListed]Extension
	key        uint32
	rtt        int64
	problem    string

	client    Client
	server    Server
	active    SymmetricActive
	passive   SymmetricPassive
	broadcast Broadcast
	reserved  Reserved
}

func (s *scratch) wrong(problem string) {
	if s.problem == "" {
		s.problem = problem
	}
}

// since returns the text from start on. Text that has been handed out is never
// written again until the next message; when the buffer grows, what was handed
// out stays in the old one.
func (s *scratch) since(start int) string {
	if start == len(s.text) {
		return ""
	}
	return unsafe.String(&s.text[start], len(s.text)-start)
}

func (s *scratch) hex(b []byte) string {
	start := len(s.text)
	s.text = hex.AppendEncode(s.text, b)
	return s.since(start)
}

// header reads the 48 octets that all modes but two begin with (RFC 5905 section
// 7.3), and what follows them.
func (s *scratch) header(b []byte, now session.Timestamp) {
	m := &s.message
	*m = Message{
		Version: b[0] >> 3 & 7, Leap: b[0] >> 6, Stratum: b[1], Poll: int8(b[2]), Precision: int8(b[3]),
		RootDelay:      shortFormat(binary.BigEndian.Uint32(b[4:])),
		RootDispersion: shortFormat(binary.BigEndian.Uint32(b[8:])),
		Size:           len(b),
	}
	m.ReferenceID = s.referenceID(b[1], b[12:16])
	m.ReferenceTimestamp, m.ReferenceTime = s.timestamp(b[16:24], now)
	m.OriginTimestamp, m.OriginTime = s.timestamp(b[24:32], now)
	m.ReceiveTimestamp, m.ReceiveTime = s.timestamp(b[32:40], now)
	m.TransmitTimestamp, m.TransmitTime = s.timestamp(b[40:48], now)
	rest := b[headerSize:]
	if m.Version == maxVersion {
		rest = s.extensionFields(rest)
	}
	m.KeyID, m.MAC = s.authenticator(rest)
}

// shortFormat converts seconds in 16.16 fixed point to nanoseconds (RFC 5905
// section 6), to the nearest.
func shortFormat(v uint32) int64 { return (int64(v)*1e9 + 1<<15) >> 16 }

// referenceID writes the reference identifier (RFC 5905 section 7.3).
func (s *scratch) referenceID(stratum uint8, b []byte) string {
	start := len(s.text)
	if stratum > 1 {
		s.text = netip.AddrFrom4([4]byte(b)).AppendTo(s.text)
		return s.since(start)
	}
	n := len(b)
	for n > 0 && b[n-1] == 0 {
		n--
	}
	for _, c := range b[:n] {
		if c < ' ' || c > '~' {
			return s.hex(b)
		}
	}
	s.text = append(s.text, b[:n]...)
	return s.since(start)
}

// epoch is how many seconds before that of Unix the first era began.
const epoch = 2208988800

// timestamp reads a 64-bit timestamp (RFC 5905 section 6): of all eras the one
// that is closest to now.
func (s *scratch) timestamp(b []byte, now session.Timestamp) (string, time.Time) {
	sec, fraction := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
	if sec == 0 && fraction == 0 {
		return "", time.Time{}
	}
	near := int64(now)/1e9 + epoch
	full := near + int64(int32(sec-uint32(near))) - epoch
	return s.hex(b[:8]), time.Unix(full, int64(uint64(fraction)*1e9>>32))
}

// extensionFields reads extension fields (RFC 7822 section 3) and returns the
// authenticator that follows them: what is no longer than one.
func (s *scratch) extensionFields(b []byte) []byte {
	list := s.extensions[:0]
	for len(b) > maxMAC {
		typ, size := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		if size < minExtension || size%4 != 0 || size > len(b) {
			s.wrong(problemExtension)
			b = nil
			break
		}
		if len(list) == maxListed {
			s.wrong(problemMany)
			b = nil
			break
		}
		list = append(list, Extension{Type: typ, Name: extensionNames[typ], Size: size})
		b = b[size:]
	}
	if len(list) > 0 {
		s.message.Extensions = list
	}
	return b
}

// extensionNames are those of the registry "NTP Extension Field Types".
var extensionNames = map[uint16]string{
	0x0002: "autokey_no_operation_request", 0x8002: "autokey_no_operation_response",
	0x0102: "autokey_association_request", 0x8102: "autokey_association_response",
	0x0104: "unique_identifier",
	0x0202: "autokey_certificate_request", 0x8202: "autokey_certificate_response",
	0x0204: "nts_cookie",
	0x0302: "autokey_cookie_request", 0x8302: "autokey_cookie_response",
	0x0304: "nts_cookie_placeholder",
	0x0402: "autokey_request", 0x8402: "autokey_response",
	0x0404: "nts_authenticator",
	0x0502: "autokey_leapseconds_request", 0x8502: "autokey_leapseconds_response",
	0x0602: "autokey_sign_request", 0x8602: "autokey_sign_response",
	0x0702: "autokey_iff_request", 0x8702: "autokey_iff_response",
	0x0802: "autokey_gq_request", 0x8802: "autokey_gq_response",
	0x0902: "autokey_mv_request", 0x8902: "autokey_mv_response",
	0x2005: "checksum_complement",
}

// authenticator reads the key identifier and the message digest at the end (RFC
// 5905 section 7.3; a key alone is a crypto-NAK).
func (s *scratch) authenticator(b []byte) (*uint32, string) {
	if len(b) == 0 {
		return nil, ""
	}
	if len(b) < 4 || len(b)%4 != 0 {
		s.wrong(problemMAC)
		return nil, ""
	}
	s.key = binary.BigEndian.Uint32(b)
	return &s.key, s.hex(b[4:])
}

// decodeControl reads a control message (RFC 9327 section 2).
func (s *scratch) decodeControl(b []byte) {
	c := &s.control
	*c = Control{
		Version: b[0] >> 3 & 7, Response: b[1]&0x80 != 0, Error: b[1]&0x40 != 0, More: b[1]&0x20 != 0,
		Opcode: opcodeNames[b[1]&0x1f], Size: len(b),
	}
	r := wire.NewCursor(b[2:])
	c.Sequence, c.Status, c.AssociationID, c.Offset, c.Count = r.Uint16(), r.Uint16(), r.Uint16(), r.Uint16(), r.Uint16()
	rest := r.Rest()
	if len(rest) < int(c.Count) {
		s.wrong(problemCount)
		c.Data = borrowed(rest)
		return
	}
	c.Data = borrowed(rest[:c.Count])
	// The data is padded to whole words, and to twice that before a digest.
	padded := min((int(c.Count)+3)&^3, len(rest))
	if rest = rest[padded:]; allZero(rest) {
		return
	}
	c.KeyID, c.MAC = s.authenticator(rest)
}

// borrowed is b as a string, good until b is written to.
func borrowed(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// opcodeNames are those of RFC 9327 section 2 and of ntpd's ntp_control.h.
var opcodeNames = [32]string{
	"opcode0", "read_status", "read_variables", "write_variables", "read_clock_variables", "write_clock_variables",
	"set_trap", "trap_response", "configure", "save_configuration", "read_mru", "read_ordered_list", "request_nonce",
	"opcode13", "opcode14", "opcode15", "opcode16", "opcode17", "opcode18", "opcode19", "opcode20", "opcode21", "opcode22",
	"opcode23", "opcode24", "opcode25", "opcode26", "opcode27", "opcode28", "opcode29", "opcode30", "unset_trap",
}

// decodePrivate reads the head of a private message (ntpd's ntp_request.h).
func (s *scratch) decodePrivate(b []byte) {
	s.private = Private{
		Version: b[0] >> 3 & 7, Response: b[0]&0x80 != 0, More: b[0]&0x40 != 0,
		Authenticated: b[1]&0x80 != 0, Sequence: b[1] & 0x7f, Implementation: b[2], RequestCode: b[3],
		Error: b[4] >> 4, Items: binary.BigEndian.Uint16(b[4:]) & 0xfff, ItemSize: binary.BigEndian.Uint16(b[6:]) & 0xfff,
		Size: len(b),
	}
	if int(s.private.Items)*int(s.private.ItemSize) > len(b)-privateSize {
		s.wrong(problemCount)
	}
}
