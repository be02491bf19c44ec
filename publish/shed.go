package publish

import "flowscope/session"

// class says how dear an event is to live capture when the queue runs full.
type class uint8

// The classes, in the order in which they are given up.
const (
	classTick class = iota
	classMessage
	classFlow // started, parser_closed
	classLast // closed, anomaly
	numClasses
)

// shedAt is how full the queue is, in sixteenths, when a class is given up;
// closed and anomaly are dropped only when there is no room at all. From the
// first level on, bodies are taken out of messages.
var shedAt = [numClasses]int{8, 12, 14, 17}

// shedReasons say which class was dropped.
var shedReasons = [numClasses]dropReason{dropTick, dropMessage, dropFlow, dropQueueFull}

func classOf(t session.EventType) class {
	switch t {
	case session.Tick:
		return classTick
	case session.Application:
		return classMessage
	case session.Started, session.ParserClosed:
		return classFlow
	default:
		return classLast
	}
}

// shedBelow is the lowest class that is still kept when the queue is so many
// sixteenths full.
func shedBelow(fill int) class {
	for c, at := range shedAt {
		if fill < at {
			return class(c)
		}
	}
	return classLast
}

// minBody is the size from which on an event is searched for a body, in bytes.
const minBody = 1 << 10

// bodyKey is the key of a message that holds what was transferred.
const bodyKey = "body"

// dropBody takes the body out of the message of the event that b holds from start
// on, and marks it truncated. It is false when there is none.
func dropBody(b []byte, start int) ([]byte, bool) {
	out, ok := appendEdited(b, b[start:], func(b []byte, r *reader) ([]byte, bool) {
		return appendWithout(b, r, bodyKey)
	})
	if !ok {
		return b, false
	}
	n := copy(out[start:], out[len(b):])
	return out[:start+n], true
}

// appendWithout copies the map that comes next in r without one of its keys. It
// is false when the map has no such key.
func appendWithout(b []byte, r *reader, without string) ([]byte, bool) {
	var head value
	from := r.pos
	if r.next(&head) != nil || head.format != mapFormat {
		return b, false
	}
	// A map of as many pairs has the same kind of head with one pair less, but
	// at the edges; a larger head than needed is allowed.
	start := len(b)
	b = append(b, r.b[from:r.pos]...)
	size := len(b) - start
	found := false
	for range head.n {
		var key value
		from := r.pos
		if r.next(&key) != nil || key.format != strFormat || r.skip() != nil {
			return b, false
		}
		if string(key.data) == without {
			found = true
			continue
		}
		b = append(b, r.b[from:r.pos]...)
	}
	if !found {
		return b, false
	}
	n := head.n - 1
	switch h := b[start : start+size]; size {
	case 1:
		h[0] = 0x80 | byte(n)
	case 3:
		h[1], h[2] = byte(n>>8), byte(n)
	default:
		h[1], h[2], h[3], h[4] = byte(n>>24), byte(n>>16), byte(n>>8), byte(n)
	}
	return b, true
}
