package flow

import "flowscope/ingest"

// slabBits sets how many records are allocated at once: 4,096, one MiB.
const slabBits = 12

// store holds the records in slabs, so that growing moves nothing, and finds
// them by an open-addressing index.
//
// An index entry is a slot plus one in its lower 32 bits and the upper 32 bits of
// the key's hash above, of which the lowest choose where it would best stand; 0
// is free. Probing is linear, at most half of the entries are used, and deletion
// moves later entries back, so lookups never meet tombstones.
type store struct {
	slabs [][]Flow
	free  []slot
	used  int // slots ever handed out
	live  int
	index []uint64
	mask  uint64
	tick  ingest.Timestamp // between periodic statistics; 0: there are none
	conns pool[conn, connRef]
}

const minIndex = 1 << 10

func newStore() store {
	return store{
		index: make([]uint64, minIndex), mask: minIndex - 1,
		conns: newPool[conn, connRef](slabBits),
	}
}

func (s *store) at(i slot) *Flow { return &s.slabs[i>>slabBits][i&(1<<slabBits-1)] }

// find returns the slot of a key, or noSlot.
func (s *store) find(k *Key, hash uint64) slot {
	for i := hash >> 32 & s.mask; ; i = (i + 1) & s.mask {
		e := s.index[i]
		if e == 0 {
			return noSlot
		}
		if e>>32 == hash>>32 {
			if n := slot(uint32(e)) - 1; s.at(n).key.equal(k) {
				return n
			}
		}
	}
}

// alarm returns when something is to happen to a flow other than its end.
func (s *store) alarm(f *Flow) ingest.Timestamp {
	if f.state&(holed|ticking) == 0 {
		return f.wake
	}
	return min(f.wake, s.holeAt(f), s.tickAt(f))
}

// holeAt returns when the first hole of a flow is given up, or noDeadline.
func (s *store) holeAt(f *Flow) ingest.Timestamp {
	if f.state&holed == 0 {
		return noDeadline
	}
	return s.conns.at(f.conn).deadline
}

// tickAt returns when a flow's statistics are next due, or noDeadline: at
// multiples of the interval after its first packet.
func (s *store) tickAt(f *Flow) ingest.Timestamp {
	if f.state&ticking == 0 {
		return noDeadline
	}
	return f.stats.First + ingest.Timestamp(f.tickNumber()+1)*s.tick
}

// deadline returns when a flow next needs attention.
func (s *store) deadline(f *Flow) ingest.Timestamp { return min(f.idleAt(), s.alarm(f)) }

// guess returns the slot that find will most likely look at first, noSlot if
// there is none.
func (s *store) guess(hash uint64) slot {
	e := s.index[hash>>32&s.mask]
	if e>>32 != hash>>32 || e == 0 {
		return noSlot
	}
	return slot(uint32(e)) - 1
}

// insert takes a free slot for a key that is not in the table. The record keeps
// its generation; all else is zero.
func (s *store) insert(k *Key, hash uint64) slot {
	if 2*(s.live+1) > len(s.index) {
		s.grow()
	}
	var n slot
	if len(s.free) > 0 {
		n = s.free[len(s.free)-1]
		s.free = s.free[:len(s.free)-1]
	} else {
		n = slot(s.used)
		s.used++
		if int(n>>slabBits) == len(s.slabs) {
			s.slabs = append(s.slabs, make([]Flow, 1<<slabBits))
		}
	}
	f := s.at(n)
	*f = Flow{key: *k, gen: f.gen + 1}
	if k.Proto == TCP {
		f.conn = s.conns.take()
		*s.conns.at(f.conn) = conn{deadline: noDeadline}
	}
	s.live++
	s.put(n, hash)
	return n
}

func (s *store) put(n slot, hash uint64) {
	s.place(hash&^(1<<32-1) | uint64(n+1))
}

func (s *store) place(entry uint64) {
	i := entry >> 32 & s.mask
	for s.index[i] != 0 {
		i = (i + 1) & s.mask
	}
	s.index[i] = entry
}

// remove gives back a slot whose key has this hash.
func (s *store) remove(n slot, hash uint64) {
	i := hash >> 32 & s.mask
	for uint32(s.index[i]) != uint32(n+1) {
		i = (i + 1) & s.mask
	}
	s.live--
	s.free = append(s.free, n)
	if f := s.at(n); f.conn != noConn {
		s.conns.give(f.conn)
		f.conn = noConn
	}
	// Close the gap: an entry moves back unless its home lies after the gap.
	for gap := i; ; {
		i = (i + 1) & s.mask
		e := s.index[i]
		if e == 0 {
			s.index[gap] = 0
			return
		}
		if home := e >> 32 & s.mask; (i-home)&s.mask >= (i-gap)&s.mask {
			s.index[gap] = e
			gap = i
		}
	}
}

func (s *store) grow() {
	old := s.index
	s.index = make([]uint64, 2*len(old))
	s.mask = uint64(len(s.index) - 1)
	for _, e := range old {
		if e != 0 {
			s.place(e)
		}
	}
}
