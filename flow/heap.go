package flow

import "flowscope/ingest"

// dueEntry is a flow and a time. gen tells whether the slot still holds the flow
// that the entry was made for.
type dueEntry struct {
	at  ingest.Timestamp
	n   slot
	gen uint32
}

func (e dueEntry) before(o dueEntry) bool {
	return e.at < o.at || e.at == o.at && e.n < o.n
}

// dueHeap is a binary heap, ordered by time and then by slot.
type dueHeap []dueEntry

func (h *dueHeap) push(e dueEntry) {
	*h = append(*h, e)
	b := *h
	for i := len(b) - 1; i > 0; {
		up := (i - 1) / 2
		if !b[i].before(b[up]) {
			break
		}
		b[i], b[up] = b[up], b[i]
		i = up
	}
}

// pop takes the earliest entry; there must be one.
func (h *dueHeap) pop() dueEntry {
	b := *h
	top := b[0]
	last := len(b) - 1
	b[0] = b[last]
	b = b[:last]
	for i := 0; ; {
		c := 2*i + 1
		if c >= last {
			break
		}
		if c+1 < last && b[c+1].before(b[c]) {
			c++
		}
		if !b[c].before(b[i]) {
			break
		}
		b[i], b[c] = b[c], b[i]
		i = c
	}
	*h = b
	return top
}
