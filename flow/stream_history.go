package flow

import "bytes"

// history is what a stream has handed up and the other side not acknowledged:
// without holes up to next, in a list of pages of which only the last is not full.
type history struct {
	head, tail pageRef
	// from is the sequence number of the first byte of head.
	from  uint32
	pages uint32
	conn  connRef
	side  Side

	older, newer historyRef // the queue of all, by when they began
}

type historyRef uint32

// histories keeps the histories of a table, to compare with what is sent again.
type histories struct {
	records        pool[history, historyRef]
	pages          *pool[page, pageRef]
	conns          *pool[conn, connRef]
	oldest, newest historyRef
	// limit is how many bytes of a stream are looked at.
	limit uint32
	cost  int
}

// add appends bytes that now end at next.
func (h *histories) add(g *segment, s *stream, data []byte) {
	if s.history == 0 {
		h.begin(g, s, uint32(len(data)))
	}
	r := h.records.at(s.history)
	used := int(s.next-r.from) - len(data) - int(r.pages-1)*pageBytes
	for {
		n := copy(h.pages.at(r.tail).data[used:], data)
		if data = data[n:]; len(data) == 0 {
			break
		}
		p := h.pages.take()
		h.pages.at(r.tail).next, r.tail = p, p
		r.pages++
		h.cost += pageSize
		used = 0
	}
	for s.next-r.from > h.limit+pageBytes {
		h.dropPage(r)
	}
}

// begin makes the history of a stream whose last n bytes will be its first.
func (h *histories) begin(g *segment, s *stream, n uint32) {
	s.history = h.records.take()
	p := h.pages.take()
	r := h.records.at(s.history)
	*r = history{head: p, tail: p, pages: 1, from: s.next - n, conn: g.f.conn, side: g.side, older: h.newest}
	if h.newest != 0 {
		h.records.at(h.newest).newer = s.history
	} else {
		h.oldest = s.history
	}
	h.newest = s.history
	h.cost += recordOverhead + pageSize
}

// dropPage forgets the oldest page, which is not the last.
func (h *histories) dropPage(r *history) {
	p := r.head
	r.head = h.pages.at(p).next
	r.from += pageBytes
	r.pages--
	h.pages.give(p)
	h.cost -= pageSize
}

// acked forgets what has been acknowledged.
func (h *histories) acked(s *stream) {
	if s.acked == s.next {
		h.drop(s)
		return
	}
	r := h.records.at(s.history)
	for r.pages > 1 && !before(s.acked, r.from+pageBytes) {
		h.dropPage(r)
	}
}

// drop forgets a stream's history, if it has one.
func (h *histories) drop(s *stream) {
	if s.history == 0 {
		return
	}
	r := h.records.at(s.history)
	for r.pages > 1 {
		h.dropPage(r)
	}
	h.pages.give(r.head)
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
	h.records.give(s.history)
	s.history = 0
	h.cost -= recordOverhead + pageSize
}

// dropOldest forgets the history that began first; false if there is none.
func (h *histories) dropOldest() bool {
	if h.oldest == 0 {
		return false
	}
	r := h.records.at(h.oldest)
	h.drop(&h.conns.at(r.conn).sides[r.side])
	return true
}

// differs says that bytes before next are not those handed up, as far as that is
// known: of those that are not acknowledged, and no more than limit of them.
func (h *histories) differs(s *stream, seq uint32, data []byte) bool {
	if s.history == 0 {
		return false
	}
	r := h.records.at(s.history)
	from := r.from
	if before(from, s.acked) {
		from = s.acked
	}
	if before(from, s.next-h.limit) {
		from = s.next - h.limit
	}
	if before(seq, from) {
		data = data[min(len(data), int(from-seq)):]
		seq = from
	}
	p, at := r.head, seq-r.from
	for ; len(data) > 0; p, at = h.pages.at(p).next, at-pageBytes {
		if at >= pageBytes {
			continue
		}
		n := min(len(data), int(pageBytes-at))
		if !bytes.Equal(h.pages.at(p).data[at:][:n], data[:n]) {
			return true
		}
		data, at = data[n:], pageBytes
	}
	return false
}
