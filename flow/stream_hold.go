package flow

import (
	"bytes"

	"flowscope/ingest"
)

// What reassembly keeps counts with a fixed overhead beside its pages, so that
// the caps hold however small the chunks are.
const (
	pageSize       = 2048
	pageBytes      = pageSize - 4
	chunkOverhead  = 64
	recordOverhead = 128
)

// How many pages and records are allocated at once: 256 KiB of pages.
const (
	pageSlabBits   = 7
	recordSlabBits = 10
)

// page is memory for bytes of streams.
type page struct {
	next pageRef // in a history
	data [pageBytes]byte
}

type pageRef uint32

// chunkLevels is the height of the skip list that orders the chunks of a stream:
// each level holds an eighth of the one below.
const chunkLevels = 4

type links [chunkLevels]chunkRef

// chunk is a range of a stream that came before what stands ahead of it.
type chunk struct {
	next links
	seq  uint32
	n    uint32
	at   ingest.Timestamp // input clock when its first byte came
	page pageRef          // 0: its bytes are not kept
	cut  bool             // its bytes are not in the capture
}

func (p *chunk) end() uint32 { return p.seq + p.n }

type chunkRef uint32

// hold is what is known of a stream beyond next, whose byte is missing: chunks,
// an acknowledgement of what was not seen, or both.
type hold struct {
	first links
	last  chunkRef
	slot  slot
	side  Side
	cost  int // of the chunks
	// since is when the hole at next began to be waited for: when the chunk
	// behind it came, or, if it grew since, what was behind it then; without a
	// chunk when FIN came.
	since ingest.Timestamp
	// ackedAt is when the other side acknowledged ackedTo, which is past next;
	// noDeadline: it has not.
	ackedAt      ingest.Timestamp
	ackedTo      uint32
	older, newer holdRef // the queue of all holds, by when the hole at next began
}

type holdRef uint32

// holds keeps the holds of a table.
type holds struct {
	records        pool[hold, holdRef]
	chunks         pool[chunk, chunkRef]
	pages          *pool[page, pageRef]
	oldest, newest holdRef
	random         uint64
	cost           int // of everything
}

// end returns the end of what was seen of a stream.
func (h *holds) end(s *stream) uint32 {
	if s.held != 0 {
		if last := h.records.at(s.held).last; last != 0 {
			return h.chunks.at(last).end()
		}
	}
	return s.next
}

// room returns how many of the n bytes from next on stand before the first chunk.
func (h *holds) room(s *stream, n uint32) uint32 {
	if first := h.records.at(s.held).first[0]; first != 0 {
		return min(n, h.chunks.at(first).seq-s.next)
	}
	return n
}

// knows says that some of these bytes were seen before.
func (h *holds) knows(s *stream, seq, length uint32) bool {
	end := seq + length
	if old := span(seq, end, s.start, s.next); before(seq, s.next) && old > span(seq, end, s.lost, s.lostEnd) {
		return true
	}
	if s.held == 0 {
		return false
	}
	at := h.find(h.records.at(s.held), seq)
	p := at.chunk()
	return p != 0 && before(h.chunks.at(p).seq, end)
}

// cursor is a place between two chunks: the links that lead across it, and the
// chunk before it.
type cursor struct {
	links [chunkLevels]*links
	prev  chunkRef
}

// chunk returns the chunk after the cursor, 0 if there is none.
func (c *cursor) chunk() chunkRef { return c.links[0][0] }

// pass moves the cursor past the chunk after it.
func (c *cursor) pass(r chunkRef, p *chunk) {
	for i, l := range c.links {
		if l[i] == r {
			c.links[i] = &p.next
		}
	}
	c.prev = r
}

// find returns the cursor before the first chunk that ends after seq.
func (h *holds) find(r *hold, seq uint32) cursor {
	var c cursor
	l := &r.first
	for i := chunkLevels - 1; i >= 0; i-- {
		for l[i] != 0 {
			p := h.chunks.at(l[i])
			if before(seq, p.end()) {
				break
			}
			c.prev = l[i]
			l = &p.next
		}
		c.links[i] = l
	}
	return c
}

// insert puts a chunk at the cursor and moves the cursor past it.
func (h *holds) insert(r *hold, c *cursor, seq, n uint32, now ingest.Timestamp) *chunk {
	ref := h.chunks.take()
	p := h.chunks.at(ref)
	*p = chunk{seq: seq, n: n, at: now}
	for i := range h.level() {
		p.next[i], c.links[i][i] = c.links[i][i], ref
		c.links[i] = &p.next
	}
	if c.prev == r.last {
		r.last = ref
	}
	c.prev = ref
	h.pay(r, chunkOverhead)
	return p
}

// level returns how many lists a new chunk stands in.
func (h *holds) level() int {
	h.random ^= h.random << 13
	h.random ^= h.random >> 7
	h.random ^= h.random << 17
	n := 1
	for bits := h.random; n < chunkLevels && bits&7 == 0; bits >>= 3 {
		n++
	}
	return n
}

func (h *holds) pay(r *hold, n int) {
	r.cost += n
	h.cost += n
}

// pop takes the first chunk out of its list.
func (h *holds) pop(r *hold) chunkRef {
	ref := r.first[0]
	p := h.chunks.at(ref)
	for i := range r.first {
		if r.first[i] == ref {
			r.first[i] = p.next[i]
		}
	}
	if r.last == ref {
		r.last = 0
	}
	return ref
}

// free gives back a chunk that is in no list any more.
func (h *holds) free(r *hold, ref chunkRef) {
	p := h.chunks.at(ref)
	if p.page != 0 {
		h.pages.give(p.page)
		h.pay(r, -pageSize)
	}
	h.chunks.give(ref)
	h.pay(r, -chunkOverhead)
}

// begin makes the hold of a stream that has none.
func (h *holds) begin(g *segment, s *stream) *hold {
	s.held = h.records.take()
	r := h.records.at(s.held)
	*r = hold{slot: g.n, side: g.side, since: g.now, ackedAt: noDeadline}
	h.enqueue(s.held, r)
	h.cost += recordOverhead
	return r
}

// drop ends a stream's hold, which has no chunks.
func (h *holds) drop(s *stream) {
	h.dequeue(h.records.at(s.held))
	h.records.give(s.held)
	h.cost -= recordOverhead
	s.held = 0
}

func (h *holds) enqueue(ref holdRef, r *hold) {
	r.older, r.newer = h.newest, 0
	if h.newest != 0 {
		h.records.at(h.newest).newer = ref
	} else {
		h.oldest = ref
	}
	h.newest = ref
}

func (h *holds) dequeue(r *hold) {
	if r.older != 0 {
		h.records.at(r.older).newer = r.newer
	} else {
		h.oldest = r.newer
	}
	if r.newer != 0 {
		h.records.at(r.newer).older = r.older
	} else {
		h.newest = r.older
	}
}

// maxAhead bounds what can be ordered before and after next.
const maxAhead = 1 << 30

// hold keeps bytes that stand beyond next. What is held already is compared, and
// replaced if the policy says so.
func (t *Table) hold(g *segment, s *stream, seq uint32, data []byte, length uint32) {
	h := &t.holds
	ahead := int32(seq - s.next)
	if ahead > maxAhead {
		t.counters.PayloadDiscarded[DiscardFar] += uint64(len(data))
		return
	}
	far := int32(seq-t.reach(s)) > farAhead && !t.corroborated(s, seq)
	if !far && s.state&farNoted != 0 && before(s.far, seq+length) {
		s.state &^= farNoted // this reaches it
	}
	var r *hold
	if s.held == 0 {
		r = h.begin(g, s)
	} else {
		r = h.records.at(s.held)
	}
	if r.first[0] == 0 {
		r.since = g.now
	}
	c := h.find(r, seq)
	if first := r.first[0]; first != 0 && before(seq, h.chunks.at(first).seq) && t.isFar(s, h.chunks.at(first).seq) {
		r.since = g.now // what the time ran for so far may be nothing
	}
	read := g.f.reads(g.side)
	for length > 0 {
		n, next := length, c.chunk()
		if next != 0 {
			p := h.chunks.at(next)
			if !before(seq, p.seq) {
				n = min(n, p.end()-seq)
				known := min(int(n), len(data))
				t.overlap(g, p, seq, data[:known])
				data, seq, length = data[known:], seq+n, length-n
				c.pass(next, p)
				continue
			}
			n = min(n, p.seq-seq)
		}
		n = t.keep(g, r, &c, seq, n, data, read, far)
		data, seq, length = data[min(int(n), len(data)):], seq+n, length-n
	}
}

// keep puts up to n bytes that nobody has sent before into a chunk and returns how
// many.
func (t *Table) keep(g *segment, r *hold, c *cursor, seq, n uint32, data []byte, read, far bool) uint32 {
	h := &t.holds
	cut := len(data) == 0
	if !cut {
		n = min(n, uint32(len(data)))
	}
	if !read && !cut {
		t.counters.PayloadNoParser += uint64(n)
	}
	if c.prev != 0 && !far {
		p := h.chunks.at(c.prev)
		if p.end() == seq && p.cut == cut && (p.page != 0) == (read && !cut) {
			if p.page == 0 {
				p.n += n
				return n
			}
			if m := min(n, pageBytes-p.n); m > 0 {
				copy(h.pages.at(p.page).data[p.n:], data[:m])
				p.n += m
				t.counters.PayloadBuffered += uint64(m)
				return m
			}
		}
	}
	if !read || cut {
		h.insert(r, c, seq, n, g.now).cut = cut
		return n
	}
	n = min(n, pageBytes)
	p := h.insert(r, c, seq, n, g.now)
	p.page = h.pages.take()
	h.pay(r, pageSize)
	copy(h.pages.at(p.page).data[:], data[:n])
	t.counters.PayloadBuffered += uint64(n)
	return n
}

// overlap accounts for bytes that a chunk holds already.
func (t *Table) overlap(g *segment, p *chunk, seq uint32, data []byte) {
	t.counters.PayloadDuplicate += uint64(len(data))
	if p.page == 0 || len(data) == 0 {
		return
	}
	held := t.holds.pages.at(p.page).data[seq-p.seq:][:len(data)]
	if bytes.Equal(held, data) {
		return
	}
	if t.cfg.Reassembly.Policy == PolicyLast {
		copy(held, data)
	}
	t.conflict(g)
}

// release hands up the chunks that follow next without a hole.
func (t *Table) release(g *segment, s *stream) {
	if s.held == 0 {
		return
	}
	h := &t.holds
	r := h.records.at(s.held)
	popped := false
	for r.first[0] != 0 && h.chunks.at(r.first[0]).seq == s.next {
		ref := h.pop(r)
		p := h.chunks.at(ref)
		switch {
		case p.page != 0:
			t.counters.PayloadBuffered -= uint64(p.n)
			t.deliver(g, s, h.pages.at(p.page).data[:p.n])
		case p.cut:
			t.gap(g, s, p.n+h.popCut(r, p.end()), GapTruncated)
		default:
			s.next += p.n
		}
		h.free(r, ref)
		popped = true
	}
	t.settle(g, s, r, popped)
}

// popCut takes away the ranges that follow end and are not in the capture, so that
// what came one by one is one gap; it returns their length.
func (h *holds) popCut(r *hold, end uint32) uint32 {
	n := uint32(0)
	for r.first[0] != 0 {
		p := h.chunks.at(r.first[0])
		if !p.cut || p.seq != end+n {
			break
		}
		n += p.n
		h.free(r, h.pop(r))
	}
	return n
}

// settle brings a hold up to date after next has moved.
func (t *Table) settle(g *segment, s *stream, r *hold, popped bool) {
	h := &t.holds
	past := before(s.next, s.acked)
	switch {
	case !past:
		r.ackedAt = noDeadline
	case r.ackedAt == noDeadline || !before(s.next, r.ackedTo):
		r.ackedAt, r.ackedTo = g.now, s.acked
	}
	first := r.first[0]
	if first == 0 && !past {
		h.drop(s)
		return
	}
	if popped {
		r.since = g.now
		if first != 0 {
			r.since = h.chunks.at(first).at
		}
		h.dequeue(r)
		h.enqueue(s.held, r)
	}
}
