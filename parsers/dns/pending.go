package dns

import (
	"encoding/binary"
	"math/bits"

	"flowscope/session"
)

// maxKept is how many octets of a query are kept while it waits.
const maxKept = 512

// fewQueries is up to how many queries the list is searched without an index.
const fewQueries = 8

// waiting is what is known of a query that waits for its answer, beside its
// octets.
type waiting struct {
	first   session.Timestamp
	retries uint32
	size    uint16 // of the whole message
	keyEnd  uint16 // offset after the first question, headerSize without one
	side    session.Side
	cut     bool // less is kept than the message was
	// answered says that a transfer has had a response and may have more.
	answered bool
}

// is says whether w, of which raw is kept, is the transaction of this id, side
// and question.
func (w *waiting) is(raw []byte, id uint16, side session.Side, question []byte) bool {
	return binary.BigEndian.Uint16(raw) == id && w.side == side && sameQuestion(raw[headerSize:w.keyEnd], question)
}

// query is one of several transactions that wait for their answers.
type query struct {
	waiting
	raw []byte // the message from its header on, at most maxKept octets
	// Links are slot numbers plus one, 0 is none: prev and next in the order of
	// first, the others in the chains of the index. Many transactions may have
	// the same id, so that their chain is linked both ways.
	prev, next              uint16
	nextKey, prevID, nextID uint16
}

func (q *query) matches(id uint16, side session.Side, question []byte) bool {
	return q.is(q.raw, id, side, question)
}

func (q *query) id() uint16 { return binary.BigEndian.Uint16(q.raw) }

// sameQuestion compares two question entries as they stand on the wire: names
// without case, type and class exactly. No length octet is a letter.
func sameQuestion(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	if string(a) == string(b) || len(a) < 4 {
		return true
	}
	for i := range len(a) - 4 {
		if x, y := a[i], b[i]; x != y && lower(x) != lower(y) {
			return false
		}
	}
	return string(a[len(a)-4:]) == string(b[len(b)-4:])
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c | 0x20
	}
	return c
}

// pending holds the transactions of a flow of which several wait, in the order of their
// first query. All operations take constant time, whatever ids and questions a
// sender chooses, but for packets whose time runs backwards.
type pending struct {
	slots      []query
	index      *index
	head, tail uint16 // oldest and youngest
	free       uint16 // chain of unused slots by next
	n          uint16
}

// index finds transactions by id, side and question, and by id and side.
type index struct {
	seed      uint64
	mask      uint32
	keys, ids []uint16
}

func (x *index) hashID(id uint16, side session.Side) uint32 {
	return mix(x.seed, uint64(id)<<8|uint64(side)) & x.mask
}

func (x *index) hashKey(id uint16, side session.Side, question []byte) uint32 {
	const fold = 0x2020202020202020
	h := x.seed ^ uint64(id)<<8 ^ uint64(side)
	for ; len(question) >= 8; question = question[8:] {
		h = multiply(h, binary.LittleEndian.Uint64(question)|fold)
	}
	var rest [8]byte
	copy(rest[:], question)
	return mix(h, binary.LittleEndian.Uint64(rest[:])|fold) & x.mask
}

func multiply(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^0x9e3779b97f4a7c15, b^0xd1b54a32d192ed03)
	return hi ^ lo
}

func mix(a, b uint64) uint32 { return uint32(multiply(a, b) >> 16) }

// find returns the slot of the transaction with this id, side and question, 0 if
// there is none.
func (p *pending) find(id uint16, side session.Side, question []byte) uint16 {
	if p.index == nil {
		for s := p.head; s != 0; s = p.slots[s-1].next {
			if p.slots[s-1].matches(id, side, question) {
				return s
			}
		}
		return 0
	}
	for s := p.index.keys[p.index.hashKey(id, side, question)]; s != 0; s = p.slots[s-1].nextKey {
		if p.slots[s-1].matches(id, side, question) {
			return s
		}
	}
	return 0
}

// findID returns the slot of a transaction with this id and side whatever its
// question, 0 if there is none.
func (p *pending) findID(id uint16, side session.Side) uint16 {
	if p.index == nil {
		for s := p.head; s != 0; s = p.slots[s-1].next {
			if q := &p.slots[s-1]; q.id() == id && q.side == side {
				return s
			}
		}
		return 0
	}
	for s := p.index.ids[p.index.hashID(id, side)]; s != 0; s = p.slots[s-1].nextID {
		if q := &p.slots[s-1]; q.id() == id && q.side == side {
			return s
		}
	}
	return 0
}

// add keeps a query; raw are its first octets, at most maxKept.
func (p *pending) add(raw []byte, w waiting, seed uint64) {
	s := p.free
	if s != 0 {
		p.free = p.slots[s-1].next
	} else {
		p.slots = append(p.slots, query{})
		s = uint16(len(p.slots))
	}
	q := &p.slots[s-1]
	*q = query{waiting: w, raw: append(q.raw[:0], raw...)}
	p.n++
	p.link(s)
	switch {
	case p.index != nil && int(p.n) <= len(p.index.keys):
		p.enter(s)
	case p.n > fewQueries:
		p.reindex(seed)
	}
}

// link inserts a slot into the list, from its young end.
func (p *pending) link(s uint16) {
	q := &p.slots[s-1]
	after := p.tail
	for after != 0 && p.slots[after-1].first > q.first {
		after = p.slots[after-1].prev
	}
	q.prev = after
	if after == 0 {
		q.next, p.head = p.head, s
	} else {
		q.next, p.slots[after-1].next = p.slots[after-1].next, s
	}
	if q.next == 0 {
		p.tail = s
	} else {
		p.slots[q.next-1].prev = s
	}
}

// remove forgets a transaction and keeps its memory.
func (p *pending) remove(s uint16) {
	if p.index != nil {
		p.leave(s)
	}
	q := &p.slots[s-1]
	if q.prev == 0 {
		p.head = q.next
	} else {
		p.slots[q.prev-1].next = q.next
	}
	if q.next == 0 {
		p.tail = q.prev
	} else {
		p.slots[q.next-1].prev = q.prev
	}
	q.next, p.free = p.free, s
	p.n--
}

// reindex makes an index of twice as many chains as there are transactions.
func (p *pending) reindex(seed uint64) {
	size := 4 * fewQueries
	for size < 2*int(p.n) {
		size *= 2
	}
	p.index = &index{seed: seed, mask: uint32(size - 1), keys: make([]uint16, size), ids: make([]uint16, size)}
	for s := p.head; s != 0; s = p.slots[s-1].next {
		p.enter(s)
	}
}

func (p *pending) enter(s uint16) {
	q := &p.slots[s-1]
	k := &p.index.keys[p.index.hashKey(q.id(), q.side, q.raw[headerSize:q.keyEnd])]
	q.nextKey, *k = *k, s
	i := &p.index.ids[p.index.hashID(q.id(), q.side)]
	if *i != 0 {
		p.slots[*i-1].prevID = s
	}
	q.prevID, q.nextID, *i = 0, *i, s
}

func (p *pending) leave(s uint16) {
	q := &p.slots[s-1]
	k := &p.index.keys[p.index.hashKey(q.id(), q.side, q.raw[headerSize:q.keyEnd])]
	for *k != s {
		k = &p.slots[*k-1].nextKey
	}
	*k = q.nextKey
	if q.prevID == 0 {
		p.index.ids[p.index.hashID(q.id(), q.side)] = q.nextID
	} else {
		p.slots[q.prevID-1].nextID = q.nextID
	}
	if q.nextID != 0 {
		p.slots[q.nextID-1].prevID = q.prevID
	}
}

// reset forgets everything and keeps its memory.
func (p *pending) reset() {
	for p.head != 0 {
		p.remove(p.head)
	}
}
