package syslog

import (
	"bytes"
	"unsafe"
)

// Limits of what is listed of one message.
const (
	maxElements = 64
	maxParams   = 1024
)

// What can be wrong with a message; the texts are details of syslog_malformed.
const (
	problemHeader = "header of RFC 5424 is incomplete"
	problemData   = "structured data is malformed"
	problemCount  = "length of a message is followed by no message"
)

// facilities and severities are named as everywhere (RFC 5424 section 6.2.1).
var (
	facilities = [...]string{
		"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
		"ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
	}
	severities = [...]string{"emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"}
)

// scratch is what parsing one message needs.
type scratch struct {
	message  Message
	priority uint8
	elements []Element
	params   []Param
	text     []byte // of values with escapes
	problem  string
	cut      bool // structured data was not listed to its end
}

// borrowed is b as a string, good until b is written to.
func borrowed(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// decode reads one message without its framing.
func (s *scratch) decode(b []byte) {
	s.problem, s.cut = "", false
	m := &s.message
	*m = Message{Format: "rfc3164", Size: len(b)}
	rest := b
	if p, n := priority(b); n > 0 {
		s.priority = p
		m.Priority, m.Facility, m.Severity = &s.priority, facilities[p>>3], severities[p&7]
		rest = b[n:]
		if bytes.HasPrefix(rest, []byte("1 ")) {
			if s.decodeNew(rest[2:]) {
				m.Format = "rfc5424"
				return
			}
			*m = Message{Format: m.Format, Size: m.Size, Priority: m.Priority, Facility: m.Facility, Severity: m.Severity}
		}
	}
	m.decodeOld(rest)
}

// priority reads the part <PRI> and returns its length, 0 if there is none (RFC
// 5424 section 6.2.1: 0 to 191, without zeros in front).
func priority(b []byte) (p uint8, n int) {
	if len(b) < 3 || b[0] != '<' {
		return 0, 0
	}
	v := 0
	for i, c := range b[1:min(len(b), 5)] {
		switch {
		case c == '>' && i > 0 && v < 8*len(facilities):
			return uint8(v), i + 2
		case c < '0' || c > '9' || i == 3 || i == 1 && v == 0:
			return 0, 0
		}
		v = 10*v + int(c-'0')
	}
	return 0, 0
}

// field cuts b at the next blank.
func field(b []byte) (value, rest []byte, ok bool) {
	i := bytes.IndexByte(b, ' ')
	if i <= 0 {
		return nil, b, false
	}
	return b[:i], b[i+1:], true
}

// decodeNew reads what follows the version (RFC 5424 section 6).
func (s *scratch) decodeNew(b []byte) bool {
	m := &s.message
	for _, to := range []*string{&m.Timestamp, &m.Hostname, &m.AppName, &m.ProcID, &m.MsgID} {
		value, rest, ok := field(b)
		if !ok {
			s.problem = problemHeader
			return false
		}
		if b = rest; string(value) != "-" {
			*to = borrowed(value)
		}
	}
	b, ok := s.structuredData(b)
	if !ok {
		s.problem = problemData
		return false
	}
	m.Text = borrowed(trimEnd(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))))
	return true
}

// structuredData reads structured data (RFC 5424 section 6.3) and returns what
// follows it and its blank.
func (s *scratch) structuredData(b []byte) (rest []byte, ok bool) {
	s.elements, s.params, s.text = s.elements[:0], s.params[:0], s.text[:0]
	if len(b) > 0 && b[0] == '-' {
		b = b[1:]
	} else {
		for len(b) > 0 && b[0] == '[' {
			if b, ok = s.element(b[1:]); !ok {
				return nil, false
			}
		}
		if len(s.elements) == 0 {
			return nil, false
		}
		s.message.StructuredData = s.elements
	}
	switch {
	case len(trimEnd(b)) == 0:
		return nil, true
	case b[0] == ' ':
		return b[1:], true
	default:
		return nil, false
	}
}

// element reads one element from after its bracket. The parameters of all
// elements stand in one list, which moves when it grows: so they are cut out of
// it at the end of each.
func (s *scratch) element(b []byte) (rest []byte, ok bool) {
	end := bytes.IndexAny(b, " ]")
	if end <= 0 {
		return nil, false
	}
	id, first := b[:end], len(s.params)
	for b = b[end:]; len(b) > 1 && b[0] == ' '; {
		if b, ok = s.param(b[1:]); !ok {
			return nil, false
		}
	}
	if len(b) == 0 || b[0] != ']' {
		return nil, false
	}
	if len(s.elements) < maxElements {
		e := Element{ID: borrowed(id)}
		if len(s.params) > first {
			e.Params = s.params[first:len(s.params):len(s.params)]
		}
		s.elements = append(s.elements, e)
	} else {
		s.cut = true
	}
	return b[1:], true
}

// param reads name="value".
func (s *scratch) param(b []byte) (rest []byte, ok bool) {
	eq := bytes.IndexByte(b, '=')
	if eq <= 0 || len(b) < eq+2 || b[eq+1] != '"' || bytes.ContainsAny(b[:eq], " ]\"") {
		return nil, false
	}
	name, b := b[:eq], b[eq+2:]
	escapes := false
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '\\':
			escapes = true
			i++
		case '"':
			if len(s.params) < maxParams {
				s.params = append(s.params, Param{Name: borrowed(name), Value: s.value(b[:i], escapes)})
			} else {
				s.cut = true
			}
			return b[i+1:], true
		}
	}
	return nil, false
}

// value undoes the three escapes (RFC 5424 section 6.3.3); other backslashes
// stand for themselves.
func (s *scratch) value(b []byte, escapes bool) string {
	if !escapes {
		return borrowed(b)
	}
	start := len(s.text)
	for i := 0; i < len(b); i++ {
		if b[i] == '\\' && i+1 < len(b) && (b[i+1] == '"' || b[i+1] == '\\' || b[i+1] == ']') {
			i++
		}
		s.text = append(s.text, b[i])
	}
	return borrowed(s.text[start:])
}

// decodeOld reads what follows the priority in the old format (RFC 3164 section
// 4.1), as far as it is there.
func (m *Message) decodeOld(b []byte) {
	b = trimEnd(b)
	if n := timestamp(b); n > 0 {
		m.Timestamp = borrowed(b[:n])
		b = bytes.TrimPrefix(b[n:], []byte(" "))
		if host, rest, ok := field(b); ok && host[len(host)-1] != ':' && !bytes.ContainsRune(host, '[') {
			m.Hostname, b = borrowed(host), rest
		}
	}
	if tag, pid, rest, ok := cutTag(b); ok {
		m.AppName, m.ProcID, b = borrowed(tag), borrowed(pid), rest
	}
	m.Text = borrowed(b)
}

const months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec "

// timestamp returns the length of the time at the front of b, 0 if there is none:
// Mmm dd hh:mm:ss, also with a year or fractions of seconds as routers write it,
// or the format of RFC 3339, which relays write.
func timestamp(b []byte) int {
	if n := bytes.IndexByte(b, ' '); n >= 19 && n <= 40 && shaped(b, "0000-00-00T00:00:00") {
		return n
	}
	if len(b) < 15 || b[3] != ' ' || !bytes.Contains([]byte(months), b[:4]) {
		return 0
	}
	for _, shape := range []string{"XXX _0 00:00:00", "XXX _0 0000 00:00:00"} {
		if !shaped(b, shape) {
			continue
		}
		n := len(shape)
		if n < len(b) && b[n] == '.' {
			for n++; n < len(b) && b[n] >= '0' && b[n] <= '9'; n++ {
			}
		}
		if n == len(b) || b[n] == ' ' {
			return n
		}
	}
	return 0
}

// shaped compares the front of b with a shape: 0 is a digit, _ a digit or a
// blank, X anything, all else itself.
func shaped(b []byte, shape string) bool {
	if len(b) < len(shape) {
		return false
	}
	for i := range len(shape) {
		digit := b[i] >= '0' && b[i] <= '9'
		switch shape[i] {
		case 'X':
		case '0':
			if !digit {
				return false
			}
		case '_':
			if !digit && b[i] != ' ' {
				return false
			}
		default:
			if b[i] != shape[i] {
				return false
			}
		}
	}
	return true
}

// maxTag bounds tags: RFC 3164 section 4.1.3 allows 32 characters, programs use
// more.
const maxTag = 64

// cutTag cuts TAG: or TAG[PID]: from the front.
func cutTag(b []byte) (tag, pid, rest []byte, ok bool) {
	for i, c := range b[:min(len(b), maxTag)] {
		switch {
		case c == ':' && i > 0:
			tag, b = b[:i], b[i+1:]
			if len(b) > 0 && b[0] != ' ' {
				return nil, nil, nil, false // a time or an address
			}
			return tag, nil, bytes.TrimPrefix(b, []byte(" ")), true
		case c == '[' && i > 0:
			end := bytes.Index(b, []byte("]:"))
			if end < i || end-i > maxTag || bytes.IndexByte(b[i:end], ' ') >= 0 {
				return nil, nil, nil, false
			}
			return b[:i], b[i+1 : end], bytes.TrimPrefix(b[end+2:], []byte(" ")), true
		case c <= ' ' || c == '<' || c == '%':
			return nil, nil, nil, false
		}
	}
	return nil, nil, nil, false
}

// trimEnd cuts off what some senders end messages with.
func trimEnd(b []byte) []byte {
	for len(b) > 0 && (b[len(b)-1] == '\n' || b[len(b)-1] == '\r' || b[len(b)-1] == 0) {
		b = b[:len(b)-1]
	}
	return b
}
