package dns

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"unsafe"
)

// maxHops is how many compression pointers one name may follow; a name has at
// most 127 labels, and each pointer but a pointless one is followed by a label.
const maxHops = 128

// pointable is the number of offsets that a compression pointer can express.
const pointable = 1 << 14

// nameIndex remembers where in the text the rest of a name stands that begins at
// an offset of the message, for each label expanded so far. slot needs no
// clearing: an entry counts only if refs agrees with it.
//
// Most pointers lead to the first question. Its labels stand in the text as they
// do in the message, so that a bit for each is all that is noted of them.
type nameIndex struct {
	first  uint64 // bit k: a label of the first name begins at headerSize+k
	octets uint32 // of the first name, without the root's; its text is one less
	refs   []nameRef
	slot   [pointable]uint16
}

type nameRef struct {
	off, wire  uint16 // offset in the message; octets of the rest of the name, without the root
	start, end uint32 // its text, without final dot
}

func (x *nameIndex) reset() { x.first, x.refs = 0, x.refs[:0] }

// find returns what is known of the rest of a name that begins at off.
func (x *nameIndex) find(off int) (r nameRef, ok bool) {
	if k := uint(off - headerSize); k < 64 && x.first>>k&1 != 0 {
		return nameRef{off: uint16(off), wire: uint16(x.octets) - uint16(k), start: uint32(k), end: x.octets - 1}, true
	}
	if i := int(x.slot[off&(pointable-1)]); i < len(x.refs) && int(x.refs[i].off) == off {
		return x.refs[i], true
	}
	return nameRef{}, false
}

// note remembers that the label at off begins at start of the text; wire is how
// many octets of the name came before it.
func (x *nameIndex) note(off, start, wire int) {
	if off >= pointable {
		return
	}
	x.slot[off] = uint16(len(x.refs))
	x.refs = append(x.refs, nameRef{off: uint16(off), start: uint32(start), wire: uint16(wire)})
}

// close completes the entries from the given one on: the name ends at end of the
// text and takes wire octets.
func (x *nameIndex) close(from, end, wire int) {
	for i := from; i < len(x.refs); i++ {
		r := &x.refs[i]
		r.end, r.wire = uint32(end), uint16(wire)-r.wire
	}
}

// name expands the name at off (RFC 1035 section 4.1.4) and returns it with the
// offset after it, -1 if it is malformed.
func (d *decoder) name(off int) (string, int) {
	start := len(d.text)
	if next := d.ordinary(off); next >= 0 {
		return unsafe.String(&d.text[start], len(d.text)-start), next
	}
	if b := d.msg; off+1 < len(b) && b[off] >= 0xc0 {
		to := int(b[off]&0x3f)<<8 | int(b[off+1])
		if r, ok := d.names.find(to); ok && to < off {
			return unsafe.String(&d.text[r.start], r.end-r.start), off + 2
		}
	}
	next := d.extraordinary(off)
	if next < 0 {
		return "", -1
	}
	if start == len(d.text) {
		return ".", next
	}
	return d.since(start), next
}

// expand appends the name at off to the text, nothing for the root, and returns
// the offset after it; on error -1, and the text is as before.
func (d *decoder) expand(off int) int {
	if next := d.ordinary(off); next >= 0 {
		return next
	}
	return d.extraordinary(off)
}

// extraordinary is expand for all names.
func (d *decoder) extraordinary(off int) int {
	start, refs := len(d.text), len(d.names.refs)
	next, problem := d.labels(off)
	if problem != "" {
		d.wrong(problem)
		d.text, d.names.refs = d.text[:start], d.names.refs[:refs]
		return -1
	}
	return next
}

// ordinary is expand for what nearly all names are: up to 64 octets of labels in
// which nothing is escaped, then the root or a pointer to a known name. It
// returns -1, and has done nothing, for all others, malformed ones among them.
// It costs a third of labels.
func (d *decoder) ordinary(off int) int {
	msg, at := d.msg, off
	var begins uint64 // bit k: a label begins at off+k
	c := 0xff
	for at < len(msg) {
		if c = int(msg[at]); c-1 >= 0x3f || c == 0 {
			break
		}
		begins |= 1 << uint((at-off)&63)
		at += 1 + c
	}
	n := at - off
	if n == 0 || n > 64 || at >= len(msg) || off < headerSize || off > pointable-64 && off < pointable {
		return -1
	}
	next, wire := at+1, n+1
	var rest nameRef
	if c != 0 {
		if c < 0xc0 || next >= len(msg) {
			return -1
		}
		to := c&0x3f<<8 | int(msg[next])
		var ok bool
		if rest, ok = d.names.find(to); !ok || rest.end == 0 || to >= off {
			return -1
		}
		if wire += int(rest.wire); wire > maxName {
			return -1
		}
		next++
	}
	start := len(d.text)
	if !d.copyLabels(off, n, begins) {
		return -1
	}
	if c != 0 {
		d.text = append(append(d.text, '.'), d.text[rest.start:rest.end]...)
	} else if off == headerSize && start == 0 {
		d.names.first, d.names.octets = begins, uint32(n)
		return next
	}
	d.noteAll(off, start, wire, begins)
	return next
}

// noteAll notes the labels of an ordinary name.
func (d *decoder) noteAll(off, start, wire int, begins uint64) {
	x := &d.names
	if off >= pointable {
		return // no pointer leads there
	}
	slots := x.slot[off : off+64 : off+64]
	for ; begins != 0; begins &= begins - 1 {
		k := bits.TrailingZeros64(begins)
		slots[k&63] = uint16(len(x.refs))
		x.refs = append(x.refs, nameRef{
			off: uint16(off + k), wire: uint16(wire - 1 - k), start: uint32(start + k), end: uint32(len(d.text)),
		})
	}
}

// Eight octets at a time.
const (
	ones  = 0x0101010101010101
	highs = 0x80 * ones
	lows  = 0x7f * ones
)

// unusual sets the high bit of each octet that is below '-', above '~', or one
// of . ; @ \: all that presentation format escapes and some that it does not.
func unusual(x uint64) uint64 {
	y := x & lows
	usual := (y + (0x80-'-')*ones) & (y ^ '.'*ones + lows) & (y ^ ';'*ones + lows) &
		(y ^ '@'*ones + lows) & (y ^ '\\'*ones + lows) & (y ^ 0x7f*ones + lows)
	return (^usual | x) & highs
}

// gather returns the high bits of eight octets as one octet.
func gather(x uint64) uint64 { return x >> 7 * 0x0102040810204080 >> 56 }

// copyLabels appends n octets of labels with dots for the lengths between them.
// It returns false, and the text is as before, if an octet that is no length is
// unusual, or a length is not.
func (d *decoder) copyLabels(off, n int, begins uint64) bool {
	const most = 64 + 8
	start := len(d.text)
	if cap(d.text)-start < most {
		d.text = slices.Grow(d.text, maxName+most)
	}
	// The loops below stay inside these two, so that they need no checks: off
	// and n are within the message, and at least headerSize octets precede it.
	size := n - 1
	from := unsafe.Pointer(&d.msg[off : off+n+1 : off+n+1][1])
	to := unsafe.Pointer(&d.text[start : start+most : start+most][0])
	var found uint64
	i := 0
	for ; i+8 < size; i += 8 {
		x := word(from, i)
		u := unusual(x)
		found |= gather(u) << uint(i&63)
		mask := u<<1 - u>>7
		setWord(to, i, x&^mask|'.'*ones&mask)
	}
	// The last one to eight octets, with what precedes them.
	shift := uint(i+8-size) * 8 & 63
	x := word(from, size-8)
	u := unusual(x) >> shift
	found |= gather(u) << uint(i&63)
	mask := u<<1 - u>>7
	setWord(to, i, x>>shift&^mask|'.'*ones&mask)
	if found != begins>>1 {
		return false
	}
	d.text = d.text[:start+size]
	return true
}

// word reads eight octets that the caller knows to be there.
func word(p unsafe.Pointer, at int) uint64 {
	return binary.LittleEndian.Uint64((*[8]byte)(unsafe.Add(p, at))[:])
}

func setWord(p unsafe.Pointer, at int, x uint64) {
	binary.LittleEndian.PutUint64((*[8]byte)(unsafe.Add(p, at))[:], x)
}

func (d *decoder) labels(off int) (next int, problem string) {
	msg, text := d.msg, d.text
	start, refs := len(text), len(d.names.refs)
	begin, hops, wire := off, 0, 1
	next = -1
	for {
		if off >= len(msg) {
			return -1, problemShort
		}
		c := int(msg[off])
		switch {
		case c == 0:
			if next < 0 {
				next = off + 1
			}
			d.text = text
			d.names.close(refs, len(text), wire)
			return next, ""
		case c < 0x40:
			if hops > 0 {
				if r, ok := d.names.find(off); ok && r.end != 0 {
					return d.joined(text, start, refs, wire, r, next)
				}
			}
			if off+1+c > len(msg) {
				return -1, problemShort
			}
			if wire += 1 + c; wire > maxName {
				return -1, problemLong
			}
			if len(text) > start {
				text = append(text, '.')
			}
			d.names.note(off, len(text), wire-1-c)
			text = appendLabel(text, msg[off+1:off+1+c])
			off += 1 + c
		case c >= 0xc0:
			if off+1 >= len(msg) {
				return -1, problemShort
			}
			to := c&0x3f<<8 | int(msg[off+1])
			if next < 0 {
				next = off + 2
			}
			// Each jump leads before where the labels just read began, so
			// that there is no loop.
			if hops++; to >= begin || hops > maxHops {
				return -1, problemPointer
			}
			begin, off = to, to
		default:
			return -1, problemName
		}
	}
}

// joined completes a name whose rest is already known as r: each label is
// expanded and noted once, however many pointers lead to it.
func (d *decoder) joined(text []byte, start, refs, wire int, r nameRef, next int) (int, string) {
	if wire += int(r.wire); wire > maxName {
		return -1, problemLong
	}
	if len(text) > start {
		text = append(text, '.')
	}
	d.text = append(text, text[r.start:r.end]...)
	d.names.close(refs, len(d.text), wire)
	return next, ""
}

// special marks the octets that presentation format escapes: those outside
// printable ASCII as \DDD, those with a meaning in master files by a backslash
// (RFC 1035 section 5.1).
var special = func() (t [256]byte) {
	for i := range t {
		if i < '!' || i > '~' {
			t[i] = 1
		}
	}
	for _, c := range []byte(`.'@;()"\`) {
		t[c] = 1
	}
	return t
}()

// appendLabel copies a label and looks at its octets on the way; labels are too
// short for a call of copy to be worth it.
func appendLabel(b, label []byte) []byte {
	n := len(b)
	if cap(b)-n < len(label) {
		b = slices.Grow(b, maxName)
	}
	to := b[n : n+len(label)]
	var marks byte
	for i := range to {
		c := label[i]
		to[i] = c
		marks |= special[c]
	}
	if marks != 0 {
		return escapeLabel(b[:n], label)
	}
	return b[:n+len(label)]
}

func escapeLabel(b, label []byte) []byte {
	for _, c := range label {
		switch {
		case c < ' ' || c > '~':
			b = appendDDD(b, c)
		case special[c] != 0:
			b = append(b, '\\', c)
		default:
			b = append(b, c)
		}
	}
	return b
}
