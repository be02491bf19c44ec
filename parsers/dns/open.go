package dns

import (
	"encoding/binary"

	"flowscope/session"
)

// keptInline is how many octets of a query are kept without further memory.
// Most queries have less, and the state of a flow fits two cache lines and a
// bit.
const keptInline = 68

// open holds the transactions of one flow that wait. Nearly all flows have one
// at a time, which stands here, so that a flow takes one piece of memory; as
// long as there are several, they are all in many.
type open struct {
	many   *pending
	long   []byte // the query instead of inline, if it is longer
	one    waiting
	kept   uint16 // octets of the query
	alone  bool   // one waits
	inline [keptInline]byte
}

func (o *open) raw() []byte {
	if o.kept <= keptInline {
		return o.inline[:o.kept]
	}
	return o.long
}

// n is how many transactions wait.
func (o *open) n() int {
	switch {
	case o.alone:
		return 1
	case o.many != nil:
		return int(o.many.n)
	default:
		return 0
	}
}

// find returns the transaction with this id, side and question, or with this id
// and side if there is no question, and its slot; nil if there is none.
func (o *open) find(id uint16, side session.Side, question []byte, asked bool) (*waiting, uint16) {
	if o.alone {
		raw := o.raw()
		if asked && o.one.is(raw, id, side, question) || !asked && o.one.is(raw, id, side, raw[headerSize:o.one.keyEnd]) {
			return &o.one, 0
		}
		return nil, 0
	}
	if o.many == nil {
		return nil, 0
	}
	var s uint16
	if asked {
		s = o.many.find(id, side, question)
	} else {
		s = o.many.findID(id, side)
	}
	if s == 0 {
		return nil, 0
	}
	return &o.many.slots[s-1].waiting, s
}

// asked returns the type in question of a transaction that find returned, 0 if
// there is none.
func (o *open) asked(w *waiting, slot uint16) uint16 {
	raw := o.raw()
	if slot != 0 {
		raw = o.many.slots[slot-1].raw
	}
	if w.keyEnd < headerSize+4 || int(w.keyEnd) > len(raw) {
		return 0
	}
	return binary.BigEndian.Uint16(raw[w.keyEnd-4:])
}

// add keeps a query.
func (o *open) add(payload []byte, w waiting, seed uint64) {
	w.size = uint16(len(payload))
	if len(payload) > maxKept {
		payload, w.cut = payload[:maxKept], true
	}
	if o.n() == 0 {
		o.one, o.alone, o.kept = w, true, uint16(len(payload))
		if len(payload) <= keptInline {
			copy(o.inline[:], payload)
		} else {
			o.long = append(o.long[:0], payload...)
		}
		return
	}
	if o.many == nil {
		o.many = &pending{slots: make([]query, 0, 2)}
	}
	if o.alone {
		o.alone = false
		o.many.add(o.raw(), o.one, seed)
	}
	o.many.add(payload, w, seed)
}

// oldest returns the transaction that is due first, its octets and its slot; nil
// if none waits.
func (o *open) oldest() (*waiting, []byte, uint16) {
	if o.alone {
		return &o.one, o.raw(), 0
	}
	if o.many == nil || o.many.head == 0 {
		return nil, nil, 0
	}
	q := &o.many.slots[o.many.head-1]
	return &q.waiting, q.raw, o.many.head
}

// remove forgets the transaction in a slot that find or oldest returned. What
// they returned stands until the next one is added.
func (o *open) remove(slot uint16) {
	if slot == 0 {
		o.alone = false
		return
	}
	o.many.remove(slot)
}

// reset forgets everything, and gives back what a busy flow took.
func (o *open) reset() {
	o.alone = false
	if o.many == nil {
		return
	}
	if cap(o.many.slots) > fewQueries {
		o.many = nil
		return
	}
	o.many.reset()
}
