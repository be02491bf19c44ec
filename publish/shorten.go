package publish

import (
	"unicode/utf8"

	"flowscope/session/pack"
)

// shortenSteps are the bounds that the message of an event which is too large is
// brought under, one after another until it fits: first every text and byte
// string in it is cut to so many bytes, then every list to so many elements.
// Maps keep all their keys.
var shortenSteps = []struct{ text, list int }{
	{64 << 10, maxList},
	{16 << 10, maxList},
	{4 << 10, maxList},
	{1 << 10, maxList},
	{256, maxList},
	{256, 1024},
	{256, 256},
	{256, 64},
	{256, 16},
	{256, 4},
}

const maxList = 1 << 31

// shortenRecord replaces a payload by one of at most limit bytes that is marked
// truncated, appended to the batch. It is false, and nothing has changed, if the
// payload is no event, or cannot be made to fit.
func shortenRecord(b *Batch, r *Record, limit int) bool {
	if r.Count > 1 {
		return false
	}
	start := len(b.Buf)
	for _, step := range shortenSteps {
		out, ok := appendShortened(b.Buf[:start], b.Buf[r.Start:r.End], step.text, step.list)
		if !ok {
			break
		}
		if len(out)-start <= limit {
			b.Buf = out
			// The id is among the first keys, and is not moved.
			shift := uint32(start) - r.Start
			r.Start, r.End = uint32(start), uint32(len(out))
			r.IDStart, r.IDEnd = r.IDStart+shift, r.IDEnd+shift
			return true
		}
	}
	b.Buf = b.Buf[:start]
	return false
}

// truncatedPair is what a shortened event has more.
const truncatedPair = "\xa9truncated\xc3"

// appendShortened appends an event with a shortened message.
func appendShortened(b, data []byte, text, list int) ([]byte, bool) {
	return appendEdited(b, data, func(b []byte, r *reader) ([]byte, bool) {
		return appendCut(b, r, text, list, MaxDepth)
	})
}

// appendEdited appends an event whose message edit has copied, and marks it
// truncated. Everything but the message stays as it is, in the same order. b and
// data may be parts of one array, data before b.
func appendEdited(b, data []byte, edit func([]byte, *reader) ([]byte, bool)) ([]byte, bool) {
	r := reader{b: data}
	var head value
	if r.next(&head) != nil || head.format != mapFormat || r.pos != 3 {
		return b, false // an Encoder's map has a head of three bytes
	}
	start := len(b)
	b = append(b, data[:3]...)
	marked, found := false, false
	for range head.n {
		var key value
		from := r.pos
		if r.next(&key) != nil || key.format != strFormat {
			return b, false
		}
		b = append(b, data[from:r.pos]...)
		from = r.pos
		switch string(key.data) {
		case "message":
			found = true
			var ok bool
			if b, ok = edit(b, &r); !ok {
				return b, false
			}
		case "truncated":
			marked = true
			fallthrough
		default:
			if r.skip() != nil {
				return b, false
			}
			b = append(b, data[from:r.pos]...)
		}
	}
	if !found {
		return b, false
	}
	if !marked {
		b = append(b, truncatedPair...)
		n := head.n + 1
		b[start+1], b[start+2] = byte(n>>8), byte(n)
	}
	return b, true
}

// appendCut copies the value that comes next in r, cutting it.
func appendCut(b []byte, r *reader, text, list, depth int) ([]byte, bool) {
	var v value
	from := r.pos
	if depth == 0 || r.next(&v) != nil {
		return b, false
	}
	switch v.format {
	case strFormat:
		if len(v.data) > text {
			return pack.String(b, string(cutText(v.data, text))), true
		}
	case binFormat:
		if len(v.data) > text {
			return pack.Bytes(b, v.data[:text]), true
		}
	case arrayFormat:
		b = pack.ArrayHeader(b, min(v.n, list))
		for i := range v.n {
			if i >= list {
				if r.skip() != nil {
					return b, false
				}
				continue
			}
			var ok bool
			if b, ok = appendCut(b, r, text, list, depth-1); !ok {
				return b, false
			}
		}
		return b, true
	case mapFormat:
		b = append(b, r.b[from:r.pos]...)
		for range v.n {
			key := r.pos
			if r.skip() != nil {
				return b, false
			}
			b = append(b, r.b[key:r.pos]...)
			var ok bool
			if b, ok = appendCut(b, r, text, list, depth-1); !ok {
				return b, false
			}
		}
		return b, true
	}
	return append(b, r.b[from:r.pos]...), true
}

// cutText cuts UTF-8 between two characters.
func cutText(s []byte, n int) []byte {
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
