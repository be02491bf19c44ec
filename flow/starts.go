package flow

import "flowscope/ingest"

// starts remembers how flows that have ended began, so that a flow with the key
// and first time of an earlier one gets an id of its own. That needs packets
// whose time does not run forward, or a five-tuple used twice within one tick of
// the capture's clock: so endings are only noted, and an index is built when the
// first such flow asks.
//
// It remembers between limit and 2·limit endings, the latest ones.
type starts struct {
	latest   ingest.Timestamp
	any      bool
	limit    int
	cur, old generation
}

// generation is a list of hashes and, for its first indexed ones, a table of how
// often each occurs.
type generation struct {
	log     []uint64
	indexed int
	table   []startCount
}

type startCount struct {
	hash uint64
	n    uint32
}

// note records the end of a flow.
func (s *starts) note(hash uint64, first ingest.Timestamp) {
	if len(s.cur.log) >= s.limit {
		s.cur, s.old = generation{log: s.old.log[:0]}, s.cur
	}
	s.cur.log = append(s.cur.log, startHash(hash, first))
	if !s.any || first > s.latest {
		s.latest, s.any = first, true
	}
}

// count returns how many flows that ended had this key and first time.
func (s *starts) count(hash uint64, first ingest.Timestamp) uint32 {
	if !s.any || first > s.latest {
		return 0
	}
	h := startHash(hash, first)
	return s.cur.count(h) + s.old.count(h)
}

func startHash(hash uint64, first ingest.Timestamp) uint64 {
	return mum(hash^0x9e3779b97f4a7c15, uint64(first)^hash) | 1
}

func (g *generation) count(h uint64) uint32 {
	for ; g.indexed < len(g.log); g.indexed++ {
		g.add(g.log[g.indexed])
	}
	if len(g.table) == 0 {
		return 0
	}
	return g.at(h).n
}

// at returns the entry of a hash, or the free one where it belongs.
func (g *generation) at(h uint64) *startCount {
	mask := uint64(len(g.table) - 1)
	for i := h >> 20 & mask; ; i = (i + 1) & mask {
		if e := &g.table[i]; e.hash == h || e.hash == 0 {
			return e
		}
	}
}

func (g *generation) add(h uint64) {
	if 2*(g.indexed+1) > len(g.table) {
		old := g.table
		g.table = make([]startCount, max(1024, 2*len(old)))
		for _, e := range old {
			if e.hash != 0 {
				*g.at(e.hash) = e
			}
		}
	}
	e := g.at(h)
	e.hash = h
	e.n++
}
