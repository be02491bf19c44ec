package http

import (
	"bytes"
	"encoding/binary"
	"slices"
	"unsafe"
)

// span is where a field stands in the bytes of its head.
type span struct {
	name, nameEnd   uint32
	value, valueEnd uint32
	kind            fieldKind
}

// place is a piece of the start line.
type place struct{ from, to uint32 }

func (p place) of(b []byte) []byte { return b[p.from:p.to] }

// head is what was read of a message's head, as places in its bytes.
type head struct {
	response bool
	ascii    bool
	cut      bool // something is missing from the end
	class    methodClass
	minor    uint8 // of the version
	status   uint16
	method   place // of a request
	target   place // of a request
	version  place
	reason   place // of a response
	// first has, for each kind that has a key of its own, the number of the first
	// such field plus one.
	first   [numPublished]uint16
	lengths lengths
	flaws   flaws
}

// methodClass is what of a method decides about framing.
type methodClass uint8

const (
	ordinary methodClass = iota
	headMethod
	connectMethod
)

// outcome of reading a head.
type outcome uint8

const (
	headMore    outcome = iota // it is not complete
	headOK                     // it is
	headForeign                // these bytes begin no message
)

// decoder reads heads. It is scratch memory of one worker.
type decoder struct {
	maxFields int
	head      head
	base      []byte // the bytes that the places are in
	spans     []span
	unfolded  []byte
	last      *span // the field read last: folded lines may follow
	surplus   span  // the last one, if there are more than maxFields
}

// lineEnd returns where a line that ends before the line feed at nl ends.
func lineEnd(b []byte, from, nl int) (end int, crlf bool) {
	if nl > from && b[nl-1] == '\r' {
		return nl - 1, true
	}
	return nl, false
}

// read reads a head from the start of b (RFC 9112 section 2.1) and returns where
// it ends. With partial it takes the end of b for that of the head; with owned it
// may change b.
func (d *decoder) read(b []byte, owned, partial bool) (end int, o outcome) {
	d.head = head{}
	d.base, d.spans, d.last = b, d.spans[:0], nil
	nl := bytes.IndexByte(b, '\n')
	stop, crlf, next := len(b), true, len(b)
	switch {
	case nl >= 0:
		stop, crlf = lineEnd(b, 0, nl)
		next = nl + 1
	case !partial:
		return 0, headMore
	default:
		d.head.cut = true
	}
	if !d.startLine(b[:stop], nl < 0) {
		return 0, headForeign
	}
	if !crlf {
		d.head.flaws |= flawBareLF
	}
	end, ok := d.fields(next, owned, partial, count(crlf))
	if !ok {
		return 0, headMore
	}
	return end, headOK
}

// fields reads field lines from d.base (RFC 9112 section 5) up to the empty line
// that ends them. ends is how many line ends before them had a carriage return.
func (d *decoder) fields(pos int, owned, partial bool, ends int) (end int, ok bool) {
	b := d.base
	for {
		nl := bytes.IndexByte(b[pos:], '\n')
		if nl < 0 {
			if !partial {
				return 0, false
			}
			d.head.cut = true
			break
		}
		nl += pos
		stop, crlf := lineEnd(b, pos, nl)
		if crlf {
			ends++
		} else {
			d.head.flaws |= flawBareLF
		}
		if stop == pos {
			pos = nl + 1
			break
		}
		if c := b[pos]; c == ' ' || c == '\t' {
			if !owned {
				if b, ok = d.own(pos, partial); !ok {
					return 0, false
				}
				owned = true
			}
			d.fold(b, pos, stop)
		} else {
			d.field(b, pos, stop)
		}
		pos = nl + 1
	}
	d.finish()
	d.look(b[:pos], ends)
	return pos, true
}

// own copies the head to memory that may be changed.
func (d *decoder) own(from int, partial bool) ([]byte, bool) {
	var l lines
	end := l.scan(d.base[from:])
	if end < 0 {
		if !partial {
			return nil, false
		}
		end = len(d.base) - from
	}
	d.unfolded = append(d.unfolded[:0], d.base[:from+end]...)
	d.base = d.unfolded
	return d.base, true
}

// look judges the head as a whole.
func (d *decoder) look(b []byte, ends int) {
	d.head.ascii = isASCII(b)
	if bytes.Count(b, carriageReturn) != ends && d.head.flaws&flawFold == 0 || d.head.flaws&flawFold != 0 && bareCR(b) {
		d.head.flaws |= flawBareCR
	}
	if bytes.IndexByte(b, 0) >= 0 {
		d.head.flaws |= flawField
	}
}

var carriageReturn = []byte{'\r'}

func bareCR(b []byte) bool {
	for {
		i := bytes.IndexByte(b, '\r')
		if i < 0 {
			return false
		}
		if i+1 < len(b) && b[i+1] != '\n' {
			return true
		}
		b = b[i+1:]
	}
}

func isASCII(b []byte) bool {
	const high = 0x8080808080808080
	for ; len(b) >= 32; b = b[32:] {
		if (binary.LittleEndian.Uint64(b)|binary.LittleEndian.Uint64(b[8:])|
			binary.LittleEndian.Uint64(b[16:])|binary.LittleEndian.Uint64(b[24:]))&high != 0 {
			return false
		}
	}
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

// maxMethod is the longest method that is taken for one.
const maxMethod = 64

// startLine reads a request line or a status line (RFC 9112 sections 3 and 4),
// leniently: what is odd is a flaw. cut says that the line has no end.
func (d *decoder) startLine(b []byte, cut bool) bool {
	if len(b) > 5 && string(b[:5]) == "HTTP/" {
		return d.statusLine(b, cut)
	}
	return d.requestLine(b, cut)
}

func (d *decoder) statusLine(b []byte, cut bool) bool {
	h := &d.head
	h.response = true
	sp := bytes.IndexByte(b, ' ')
	if sp < 0 || !versionText(b[:sp]) {
		return false
	}
	h.version = place{0, uint32(sp)}
	h.minor = b[sp-1] - '0'
	if string(b[:7]) != "HTTP/1." || sp != 8 {
		h.flaws |= flawStart
	}
	code := sp + 1
	for code < len(b) && b[code] == ' ' {
		code++
		h.flaws |= flawStart
	}
	if len(b) < code+3 {
		return false
	}
	for _, c := range b[code : code+3] {
		if c < '0' || c > '9' {
			return false
		}
		h.status = h.status*10 + uint16(c-'0')
	}
	from, to := trim(b, code+3, len(b))
	if code+3 < len(b) && b[code+3] != ' ' || h.status < 100 {
		h.flaws |= flawStart
	}
	h.reason = place{uint32(from), uint32(to)}
	h.cut = h.cut || cut
	return true
}

// versionText says whether b looks like HTTP/1.1 (RFC 9112 section 2.3).
func versionText(b []byte) bool {
	if len(b) == 8 {
		return string(b[:5]) == "HTTP/" && isDigit(b[5]) && b[6] == '.' && isDigit(b[7])
	}
	if len(b) < 6 || len(b) > 12 || string(b[:5]) != "HTTP/" {
		return false
	}
	for _, c := range b[5:] {
		if !isDigit(c) && c != '.' {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool { return c-'0' < 10 }

func (d *decoder) requestLine(b []byte, cut bool) bool {
	h := &d.head
	sp := bytes.IndexByte(b, ' ')
	if sp < 1 || sp > maxMethod || !isToken(b[:sp]) {
		return false
	}
	h.method = place{0, uint32(sp)}
	h.class = classOf(b[:sp])
	if cut {
		b = bytes.TrimSuffix(b, carriageReturn)
		from, to := trim(b, sp+1, len(b))
		if at := from + bytes.LastIndexByte(b[from:to], ' '); at > from && isVersionStart(b[at+1:to]) {
			if to-at == len("HTTP/1.1")+1 && isDigit(b[to-1]) {
				h.version = place{uint32(at + 1), uint32(to)}
				h.minor = b[to-1] - '0'
			}
			from, to = trim(b, from, at)
		}
		h.target = place{uint32(from), uint32(to)}
		return from < to
	}
	n := len(b)
	if n < sp+10 || b[n-9] != ' ' || !versionText(b[n-8:]) {
		for n > sp && (b[n-1] == ' ' || b[n-1] == '\t') {
			n--
		}
		h.flaws |= flawStart
		at := bytes.LastIndexByte(b[:n], ' ')
		switch {
		case at >= sp && versionText(b[at+1:n]): // at sp: there is no target
			h.version = place{uint32(at + 1), uint32(n)}
			h.minor = b[n-1] - '0'
			n = max(at, sp+1)
		case withoutVersion(b[:n], sp):
		default:
			return false
		}
	} else {
		h.version = place{uint32(n - 8), uint32(n)}
		h.minor = b[n-1] - '0'
		if b[n-3] != '1' {
			h.flaws |= flawStart
		}
		n -= 9
	}
	from, to := trim(b, sp+1, n)
	if from != sp+1 || to != n || from == to || bytes.IndexByte(b[from:to], ' ') >= 0 {
		h.flaws |= flawStart
	}
	h.target = place{uint32(from), uint32(to)}
	return true
}

// isVersionStart says whether b is a version or the beginning of one.
func isVersionStart(b []byte) bool {
	return bytes.HasPrefix(versionStart, b) || bytes.HasPrefix(b, versionStart)
}

// withoutVersion says whether a line is a request as of HTTP/0.9, or one whose
// version was forgotten or stuck to its target: for a path, and of a well-known
// method if nothing else speaks for HTTP.
func withoutVersion(line []byte, sp int) bool {
	return len(line) > sp+1 && line[sp+1] == '/' &&
		(commonMethods[string(line[:sp])] || bytes.Contains(line[sp:], []byte("HTTP/")))
}

// classOf judges a method; methods are case-sensitive (RFC 9110 section 9.1).
func classOf(method []byte) methodClass {
	switch string(method) {
	case "HEAD":
		return headMethod
	case "CONNECT":
		return connectMethod
	default:
		return ordinary
	}
}

// trim moves from and to past white space at both ends.
func trim(b []byte, from, to int) (int, int) {
	for from < to && (b[from] == ' ' || b[from] == '\t') {
		from++
	}
	for to > from && (b[to-1] == ' ' || b[to-1] == '\t') {
		to--
	}
	return from, to
}

// notToken is not 0 for characters that tokens may not have (RFC 9110 section
// 5.6.2).
var notToken = func() (t [256]byte) {
	for c := range 256 {
		if !(c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' && c < 0x80 ||
			bytes.IndexByte([]byte("!#$%&'*+-.^_`|~"), byte(c)) >= 0) {
			t[c] = 1
		}
	}
	return t
}()

func isToken(b []byte) bool {
	bad := byte(0)
	for _, c := range b {
		bad |= notToken[c]
	}
	return bad == 0
}

// field reads one field line (RFC 9112 section 5.1).
func (d *decoder) field(b []byte, from, to int) {
	if s := d.last; s != nil && (s.kind == contentLengthField || s.kind == transferEncodingField) {
		d.finish()
	}
	if n, kind, ok := plainName(b[from:]); ok {
		value, end := from+n+1, to
		if value < to && b[value] == ' ' { // as nearly always
			value++
		}
		if value < to && (b[value] <= ' ' || b[to-1] <= ' ') {
			value, end = trim(b, value, to)
		}
		d.add(uint32(from), uint32(from+n), uint32(value), uint32(end), kind)
		return
	}
	colon := bytes.IndexByte(b[from:to], ':')
	if colon <= 0 {
		d.head.flaws |= flawField
		d.add(uint32(from), uint32(from), uint32(from), uint32(to), lineKind(b[from:to]))
		return
	}
	colon += from
	name := b[from:colon]
	end := colon
	if !isToken(name) {
		for end > from && (b[end-1] == ' ' || b[end-1] == '\t') {
			end--
			d.head.flaws |= flawSpaceColon
		}
		if name = b[from:end]; !isToken(name) {
			d.head.flaws |= flawField
		}
	}
	value, valueEnd := trim(b, colon+1, to)
	d.add(uint32(from), uint32(end), uint32(value), uint32(valueEnd), kindOf(name))
}

// add notes a field, if there is room for it.
func (d *decoder) add(name, nameEnd, value, valueEnd uint32, kind fieldKind) {
	n := len(d.spans)
	if n >= d.maxFields {
		d.head.flaws |= flawLong
		d.head.cut = true
		d.surplus = span{name, nameEnd, value, valueEnd, kind}
		d.last = &d.surplus
		return
	}
	if n == cap(d.spans) {
		d.spans = slices.Grow(d.spans, 16)
	}
	d.spans = d.spans[:n+1]
	s := &d.spans[n]
	s.name, s.nameEnd, s.value, s.valueEnd, s.kind = name, nameEnd, value, valueEnd, kind
	d.last = s
	if kind < numPublished && d.head.first[kind] == 0 {
		d.head.first[kind] = uint16(n + 1)
	}
}

// lineKind judges a line that is no field: it may hold a secret all the same.
func lineKind(line []byte) fieldKind {
	for name, kind := range secretNames {
		if len(line) >= len(name) && equalFold(line[:len(name)], name) {
			return kind
		}
	}
	return otherField
}

// fold appends a line to the value of the field before it, one space between
// (RFC 9112 section 5.2).
func (d *decoder) fold(b []byte, from, to int) {
	s := d.last
	if s == nil {
		d.head.flaws |= flawField
		return
	}
	d.head.flaws |= flawFold
	from, to = trim(b, from, to)
	if from == to {
		return
	}
	if s.valueEnd > s.value {
		b[s.valueEnd] = ' '
		s.valueEnd++
	}
	s.valueEnd += uint32(copy(b[s.valueEnd:], b[from:to]))
}

// finish takes the field read last into account: no line of it follows.
func (d *decoder) finish() {
	if s := d.last; s != nil && (s.kind == contentLengthField || s.kind == transferEncodingField) {
		d.head.lengths.add(s.kind, d.base[s.value:s.valueEnd])
	}
	d.last = nil
}

// str returns b as a string that shares its memory.
func str(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// lines finds the end of a head that comes in pieces.
type lines struct {
	n  uint32 // bytes of the line so far
	cr bool   // the first of them is a carriage return
}

// scan returns where the empty line that ends a head ends in b, -1 if it does
// not.
func (l *lines) scan(b []byte) int {
	i := 0
	for {
		j := bytes.IndexByte(b[i:], '\n')
		if j < 0 {
			if rest := b[i:]; len(rest) > 0 {
				l.cr = l.cr || l.n == 0 && rest[0] == '\r'
				l.n += uint32(len(rest))
			}
			return -1
		}
		n := l.n + uint32(j)
		empty := n == 0 || n == 1 && (l.cr || l.n == 0 && b[i] == '\r')
		*l = lines{}
		i += j + 1
		if empty {
			return i
		}
	}
}
