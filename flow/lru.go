package flow

import "flowscope/ingest"

// lru finds the least recently used flow of a full table. It holds one entry per
// flow, ordered by when the flow was last known to be used; an entry that turns
// out to be older than its flow is put back with the true time, so a packet costs
// nothing and the answer is exact. It exists only while the table is full.
type lru struct {
	heap dueHeap
}

// oldest returns the flow whose latest packet is the longest ago; the caller
// ends it. There must be a flow.
func (l *lru) oldest(s *store) slot {
	for {
		if len(l.heap) == 0 {
			l.fill(s)
		}
		e := l.heap.pop()
		f := s.at(e.n)
		if f.gen != e.gen || !f.live() {
			continue
		}
		if f.lastClock > e.at {
			l.heap.push(dueEntry{f.lastClock, e.n, f.gen})
			continue
		}
		return e.n
	}
}

// added notes a new flow.
func (l *lru) added(s *store, n slot, now ingest.Timestamp) {
	if len(l.heap) == 0 {
		return
	}
	if len(l.heap) > 2*s.live+1024 || s.live < s.used/2 {
		l.heap = nil
		return
	}
	l.heap.push(dueEntry{now, n, s.at(n).gen})
}

func (l *lru) fill(s *store) {
	for n := range slot(s.used) {
		if f := s.at(n); f.live() {
			l.heap.push(dueEntry{f.lastClock, n, f.gen})
		}
	}
}
