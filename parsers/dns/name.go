package dns

import (
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
type nameIndex struct {
	refs []nameRef
	slot [pointable]uint16
}

type nameRef struct {
	off, wire  uint16 // offset in the message; octets of the rest of the name
	start, end uint32 // its text, without final dot
}

func (x *nameIndex) reset() { x.refs = x.refs[:0] }

func (x *nameIndex) find(off int) *nameRef {
	if i := int(x.slot[off&(pointable-1)]); i < len(x.refs) && int(x.refs[i].off) == off {
		return &x.refs[i]
	}
	return nil
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
	if b := d.msg; off+1 < len(b) && b[off] >= 0xc0 {
		to := int(b[off]&0x3f)<<8 | int(b[off+1])
		if r := d.names.find(to); r != nil && to < off {
			return unsafe.String(&d.text[r.start], r.end-r.start), off + 2
		}
	}
	start := len(d.text)
	next := d.expand(off)
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
	start, refs := len(d.text), len(d.names.refs)
	next, problem := d.labels(off)
	if problem != "" {
		d.wrong(problem)
		d.text, d.names.refs = d.text[:start], d.names.refs[:refs]
		return -1
	}
	return next
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
				if r := d.names.find(off); r != nil && r.end != 0 {
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
func (d *decoder) joined(text []byte, start, refs, wire int, r *nameRef, next int) (int, string) {
	if wire += int(r.wire) - 1; wire > maxName {
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
