package http

import "flowscope/session"

// How much of a request is kept until its response comes.
const (
	maxKeptMethod = 64
	maxKeptTarget = 8192
	maxKeptHost   = 1024
	// maxKeptAll bounds the targets and hosts of one connection; requests beyond
	// it are kept by their method alone.
	maxKeptAll = 1 << 16
	// maxIdleRaw is how much memory an entry may keep while it is not used.
	maxIdleRaw = 1024
)

// waiting is a request whose response has not come.
type waiting struct {
	start  session.Timestamp
	raw    []byte // method, target, host
	depth  uint32
	target uint16 // where it begins in raw
	host   uint16
	side   session.Side
	class  methodClass
	cut    bool // less is kept than there was
	ascii  bool // raw is known to be ASCII
}

// waitingSize is what an entry takes beside raw.
const waitingSize = 56

func (w *waiting) cost() int { return waitingSize + len(w.raw) }

func (w *waiting) line() RequestLine {
	return RequestLine{Method: str(w.raw[:w.target]), Target: str(w.raw[w.target:w.host]), Host: str(w.raw[w.host:])}
}

// queue holds the requests of a connection that wait for their responses, oldest
// first: responses come in the order of the requests (RFC 9112 section 9.3.2).
type queue struct {
	slots []waiting // those from head on are in use
	head  int
	bytes int // what those in use take
	// unnamed counts requests after those in slots of which nothing is kept.
	unnamed uint32
	// pipelined says that a request came before the response to another.
	pipelined bool
	// lost says that on a pipelined connection messages were missed: from then
	// on nobody can tell what belongs to what.
	lost bool
}

func (q *queue) n() int { return len(q.slots) - q.head }

// add appends an entry for the caller to fill, or returns nil if the request
// cannot be kept.
func (q *queue) add(most int) *waiting {
	if q.lost {
		return nil
	}
	if q.unnamed > 0 || q.n() >= most {
		q.unnamed++
		return nil
	}
	switch {
	case q.n() == 0:
		q.slots, q.head = q.slots[:0], 0
	case len(q.slots) == cap(q.slots) && q.head > 0:
		n := q.n()
		for i := range n { // exchange, so that no memory is lost
			q.slots[i], q.slots[q.head+i] = q.slots[q.head+i], q.slots[i]
		}
		q.slots, q.head = q.slots[:n], 0
	}
	if n := len(q.slots); n < cap(q.slots) {
		q.slots = q.slots[:n+1]
	} else {
		q.slots = append(q.slots, waiting{})
	}
	return &q.slots[len(q.slots)-1]
}

// keep writes into an entry what a response will say of its request.
func (q *queue) keep(w *waiting, room int, method, target, host []byte) {
	w.raw = w.raw[:0]
	method, cut1 := shorten(method, maxKeptMethod)
	target, cut2 := shorten(target, min(maxKeptTarget, max(room, 0)))
	host, cut3 := shorten(host, min(maxKeptHost, max(room-len(target), 0)))
	w.cut = cut1 || cut2 || cut3
	w.raw = append(w.raw, method...)
	w.target = uint16(len(w.raw))
	w.raw = append(w.raw, target...)
	w.host = uint16(len(w.raw))
	w.raw = append(w.raw, host...)
	q.bytes += w.cost()
}

func shorten(b []byte, n int) ([]byte, bool) {
	if len(b) > n {
		return b[:n], true
	}
	return b, false
}

// take returns the request that a response of this side belongs to, nil if it is
// not known. It is valid until the next call of add.
func (q *queue) take(side session.Side) *waiting {
	if q.n() == 0 {
		if q.unnamed > 0 {
			q.unnamed--
		}
		return nil
	}
	w := &q.slots[q.head]
	if w.side == side {
		return nil
	}
	q.head++
	q.bytes -= w.cost()
	return w
}

// missed says that messages were missed before a request or response that was
// found.
func (q *queue) missed(response bool) {
	switch {
	case !response && q.n() > 0, response && q.pipelined:
		q.lost = true
		q.drop(0)
	case response && q.n() > 1: // the others' responses were missed
		q.drop(1)
	}
}

// drop forgets all but the youngest few.
func (q *queue) drop(left int) {
	for q.n() > left {
		q.bytes -= q.slots[q.head].cost()
		q.head++
	}
	q.unnamed = 0
}

// rest lets go of memory that an idle connection should not hold.
func (q *queue) rest() {
	if q.n() > 0 || cap(q.slots) == 0 {
		return
	}
	q.slots, q.head = q.slots[:0], 0
	if cap(q.slots) > 4 {
		q.slots = nil
		return
	}
	all := q.slots[:cap(q.slots)]
	for i := range all {
		if cap(all[i].raw) > maxIdleRaw {
			all[i].raw = nil
		}
	}
}

func (q *queue) reset() {
	q.drop(0)
	q.rest()
	q.pipelined, q.lost = false, false
}
