package publish

import (
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"
)

// maxTextValue is how many bytes of one string AppendText shows.
const maxTextValue = 256

// AppendText appends an event's payload as one line for people, without a newline,
// and returns the grown slice; with an error, dst as it was:
//
//	2026-11-23T10:15:30.000000000Z dns.query 192.0.2.1:5353 → 192.0.2.53:53 id=4711 rd questions=[{name=example.com type=A class=IN}]
//
// The initiator stands on the left; the arrow of a responder's message points to
// it. Then come reason, detail and the like, the fields of the message, and the
// statistics. A boolean is its name alone if true and absent if false. Strings
// with other characters than plain ASCII or with blanks are quoted as in Go, so
// that no byte from the wire reaches the terminal as a control character; of one
// string at most 256 bytes are shown, and an ellipsis. The line is not meant for
// programs: they have AppendJSON.
func AppendText(dst, payload []byte) ([]byte, error) {
	if err := Check(payload); err != nil {
		return dst, fmt.Errorf("event as text: %w", err)
	}
	var l line
	if err := l.read(payload); err != nil {
		return dst, fmt.Errorf("event as text: %w", err)
	}
	b, err := l.append(dst)
	if err != nil {
		return dst, fmt.Errorf("event as text: %w", err)
	}
	return b, nil
}

// line is what AppendText needs of an envelope, each a borrowed msgpack value.
type line struct {
	ts, protocol, kind, flow, side, sensor []byte
	rest                                   [6]span // in the order of restKeys
	message, stats                         []byte
}

// span is one pair.
type span struct{ key, value []byte }

// restKeys are the pairs shown between the addresses and the message.
var restKeys = [...]string{"reason", "severity", "count", "detail", "weight", "truncated"}

func (l *line) read(payload []byte) error {
	return eachPair(payload, func(key, value []byte) error {
		switch string(key) {
		case "ts":
			l.ts = value
		case "protocol":
			l.protocol = value
		case "kind":
			l.kind = value
		case "flow":
			l.flow = value
		case "side":
			l.side = value
		case "sensor":
			l.sensor = value
		case "message":
			l.message = value
		case "stats":
			l.stats = value
		}
		for i, k := range restKeys {
			if string(key) == k {
				l.rest[i] = span{key, value}
			}
		}
		return nil
	})
}

// eachPair calls f with each key and value of a checked map.
func eachPair(data []byte, f func(key, value []byte) error) error {
	r := reader{b: data}
	var v value
	if err := r.next(&v); err != nil || v.format != mapFormat {
		return ErrNotMap
	}
	for range v.n {
		var key value
		if err := r.next(&key); err != nil || key.format != strFormat {
			return ErrKey
		}
		start := r.pos
		if err := r.skip(); err != nil {
			return err
		}
		if err := f(key.data, data[start:r.pos]); err != nil {
			return err
		}
	}
	return nil
}

func (l *line) append(b []byte) ([]byte, error) {
	t := texter{out: b}
	t.bare(l.ts)
	t.out = append(t.out, ' ')
	t.bare(l.protocol)
	t.out = append(t.out, '.')
	t.bare(l.kind)
	if l.flow != nil {
		l.appendFlow(&t)
	} else if l.sensor != nil {
		t.pair([]byte("sensor"), l.sensor)
	}
	for _, p := range l.rest {
		if p.value != nil {
			t.pair(p.key, p.value)
		}
	}
	t.pairs(l.message)
	t.pairs(l.stats)
	return t.out, t.err
}

// appendFlow appends both ends with the arrow between them.
func (l *line) appendFlow(t *texter) {
	var srcIP, srcPort, dstIP, dstPort, transport []byte
	t.keep(eachPair(l.flow, func(key, value []byte) error {
		switch string(key) {
		case "src_ip":
			srcIP = value
		case "src_port":
			srcPort = value
		case "dst_ip":
			dstIP = value
		case "dst_port":
			dstPort = value
		case "transport":
			transport = value
		}
		return nil
	}))
	t.end(srcIP, srcPort)
	if stringOf(l.side) == "responder" {
		t.out = append(t.out, " ←"...)
	} else {
		t.out = append(t.out, " →"...)
	}
	t.end(dstIP, dstPort)
	if name := stringOf(transport); name != "tcp" && name != "udp" && name != "" {
		t.pair([]byte("transport"), transport)
	}
}

// stringOf returns the text of a str, "" for anything else.
func stringOf(data []byte) string {
	var v value
	r := reader{b: data}
	if r.next(&v) != nil || v.format != strFormat {
		return ""
	}
	return string(v.data)
}

// texter writes values for people. The first error stays.
type texter struct {
	out []byte
	err error
}

func (t *texter) keep(err error) {
	if t.err == nil {
		t.err = err
	}
}

// bare writes a value, a question mark if there is none.
func (t *texter) bare(data []byte) {
	if data == nil {
		t.out = append(t.out, '?')
		return
	}
	r := reader{b: data}
	t.value(&r)
}

// end writes address and port, the address of IPv6 in brackets (RFC 5952 section
// 6).
func (t *texter) end(ip, port []byte) {
	t.out = append(t.out, ' ')
	v6 := false
	for _, c := range []byte(stringOf(ip)) {
		v6 = v6 || c == ':'
	}
	if v6 && port != nil {
		t.out = append(t.out, '[')
	}
	t.bare(ip)
	if port == nil {
		return
	}
	if v6 {
		t.out = append(t.out, ']')
	}
	t.out = append(t.out, ':')
	t.bare(port)
}

// pairs writes the pairs of a map, if there is one.
func (t *texter) pairs(data []byte) {
	if data == nil {
		return
	}
	t.keep(eachPair(data, func(key, value []byte) error {
		t.pair(key, value)
		return nil
	}))
}

// pair writes a blank and a pair.
func (t *texter) pair(key, data []byte) {
	r := reader{b: data}
	var v value
	if err := r.next(&v); err != nil {
		t.keep(err)
		return
	}
	if v.format == boolFormat {
		if v.bits != 0 {
			t.out = append(t.out, ' ')
			t.string(key)
		}
		return
	}
	t.out = append(t.out, ' ')
	t.string(key)
	t.out = append(t.out, '=')
	r.pos = 0
	t.value(&r)
}

// value writes the next value of r.
func (t *texter) value(r *reader) {
	start := r.pos
	var v value
	if err := r.next(&v); err != nil {
		t.keep(err)
		return
	}
	switch v.format {
	case nilFormat:
		t.out = append(t.out, "null"...)
	case boolFormat:
		t.out = strconv.AppendBool(t.out, v.bits != 0)
	case uintFormat:
		t.out = strconv.AppendUint(t.out, v.bits, 10)
	case intFormat:
		t.out = strconv.AppendInt(t.out, int64(v.bits), 10)
	case float32Format:
		t.out = strconv.AppendFloat(t.out, float64(math.Float32frombits(uint32(v.bits))), 'g', -1, 32)
	case float64Format:
		t.out = strconv.AppendFloat(t.out, math.Float64frombits(v.bits), 'g', -1, 64)
	case strFormat, binFormat:
		t.string(v.data)
	case extFormat:
		t.timestamp(&v)
	case mapFormat:
		r.pos = start
		t.keep(r.skip())
		t.object(r.b[start:r.pos])
	case arrayFormat:
		t.out = append(t.out, '[')
		for i := range v.n {
			if i > 0 {
				t.out = append(t.out, ' ')
			}
			t.value(r)
		}
		t.out = append(t.out, ']')
	}
}

// object writes a map in braces.
func (t *texter) object(data []byte) {
	t.out = append(t.out, '{')
	start := len(t.out)
	t.pairs(data)
	if len(t.out) > start { // each pair begins with a blank
		t.out = append(t.out[:start], t.out[start+1:]...)
	}
	t.out = append(t.out, '}')
}

func (t *texter) timestamp(v *value) {
	sec, nsec, ok := v.time()
	switch {
	case !ok:
		t.keep(ErrExtension)
	case !inRFC3339(sec):
		t.out = append(t.out, '?')
	default:
		t.out = appendRFC3339(t.out, sec, nsec)
	}
}

// string writes text as it is if every byte is plain, else quoted.
func (t *texter) string(s []byte) {
	long := len(s) > maxTextValue
	if long {
		s = s[:maxTextValue]
		for i := 1; i < utf8.UTFMax && i < len(s); i++ { // end between characters
			if c := s[len(s)-i]; c >= utf8.RuneSelf && utf8.RuneStart(c) {
				if !utf8.FullRune(s[len(s)-i:]) {
					s = s[:len(s)-i]
				}
				break
			}
		}
	}
	if isBare(s) {
		t.out = append(t.out, s...)
	} else {
		t.out = strconv.AppendQuote(t.out, string(s))
	}
	if long {
		t.out = append(t.out, "…"...)
	}
}

// isBare says whether text can stand without quotes: visible ASCII without what
// delimits values in the line.
func isBare(s []byte) bool {
	for _, c := range s {
		switch {
		case c <= ' ' || c >= 0x7f:
			return false
		case c == '"' || c == '\\' || c == '=' || c == '[' || c == ']' || c == '{' || c == '}':
			return false
		}
	}
	return len(s) > 0
}
