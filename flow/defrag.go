package flow

import (
	"bytes"
	"slices"

	"flowscope/ingest"
)

// maxDatagram is the longest payload an IP packet can have, in bytes.
const maxDatagram = 65535

// fragmentKey tells datagrams apart (RFC 791 section 3.2, RFC 8200 section 4.5).
// The protocol counts for both versions.
type fragmentKey struct {
	src, dst   [16]byte
	id         uint32
	proto, ip6 uint8
	scope      uint64
}

// fragment is what a fragment's header says. data is borrowed from the packet.
type fragment struct {
	key    fragmentKey
	offset int
	more   bool
	data   []byte
}

// fragmented ends a packet's decoding at a fragment.
func (d *decoded) fragmented(h *header, f *fragment, src, dst []byte, ip6 uint8) Outcome {
	end := f.offset + h.wire
	if h.wire == 0 || len(h.data) < h.wire || end > maxDatagram || f.more && h.wire%8 != 0 {
		return BadFragment
	}
	copy(f.key.src[:], src)
	copy(f.key.dst[:], dst)
	f.key.ip6 = ip6
	f.data = h.data[:h.wire]
	d.fragment = *f
	return FragmentHeld
}

// defragmenter puts datagrams together. Each waits for a fixed time from its
// first fragment on, so the order of arrival is that of the deadlines.
//
// Fragments that overlap with equal bytes are taken; with different bytes the
// datagram is dropped, and with it what still comes of it until its time is over
// (RFC 5722, RFC 8200 section 4.5): which bytes the receiver would take cannot
// be known.
type defragmenter struct {
	timeout  ingest.Timestamp
	max      int
	counters *Counters
	waiting  map[fragmentKey]*datagram
	order    []*datagram // by deadline, with done ones among them
	first    int         // of order; what is before is gone
	finished int         // done ones from first on
	maxBytes int
	bytes    int // held in pieces, with their overhead
	result   reassembled
	noted    uint8 // trouble to report
}

// maxPieces bounds the pieces of a datagram, pieceOverhead is what each counts
// beside its bytes.
const (
	maxPieces     = 1024
	pieceOverhead = 64
)

// datagram is one that is not complete yet.
type datagram struct {
	key      fragmentKey
	deadline ingest.Timestamp
	pieces   []piece // ordered, without overlap
	size     int     // bytes in pieces
	end      int     // length of the whole, 0 while the last fragment is missing
	done     bool    // complete, or given up
	poisoned bool

	frames, frameBytes, ipBytes uint64
	path                        path
}

type piece struct {
	offset int
	data   []byte
}

func (p *piece) end() int { return p.offset + len(p.data) }

// reassembled is a complete datagram, valid until the next one.
type reassembled struct {
	key                         fragmentKey
	path                        path
	data                        []byte
	frames, frameBytes, ipBytes uint64
}

func newDefragmenter(cfg *Config, c *Counters) *defragmenter {
	g := &defragmenter{counters: c, waiting: map[fragmentKey]*datagram{}}
	g.configure(cfg)
	return g
}

// configure sets the limits. A shorter time-out counts from the next datagram on,
// and not before those are over that wait.
func (g *defragmenter) configure(cfg *Config) {
	g.timeout, g.max, g.maxBytes = ingest.Timestamp(cfg.FragmentTimeout), cfg.MaxFragmented, cfg.MaxFragmentBytes
}

// add takes a copy of a fragment and returns the datagram if that completes it.
// The counters hold the fragment as FragmentHeld already.
func (g *defragmenter) add(d *decoded, now ingest.Timestamp) *reassembled {
	f := &d.fragment
	w := g.waiting[f.key]
	if w == nil {
		w = g.begin(f.key, now)
	}
	w.frames += d.frames
	w.frameBytes += d.frameBytes
	w.ipBytes += d.ipBytes
	if w.poisoned {
		g.drop(w, FragmentConflict)
		return nil
	}
	if f.offset == 0 {
		w.path = d.path
	}
	before := w.cost()
	ok := w.fits(f) && w.insert(f.offset, f.data)
	g.bytes += w.cost() - before
	switch {
	case !ok:
		w.poisoned = true
		g.noted |= 1 << troubleFragmentConflict
		g.release(w)
		g.drop(w, FragmentConflict)
		return nil
	case len(w.pieces) > maxPieces:
		g.noted |= 1 << troubleFragmentCap
		g.finish(w)
		g.drop(w, FragmentCap)
		return nil
	case w.end > 0 && w.size == w.end:
		r := g.assemble(w)
		g.finish(w)
		return r
	}
	for g.bytes > g.maxBytes {
		g.giveUp(FragmentCap)
	}
	return nil
}

// cost is what the pieces count against the cap.
func (w *datagram) cost() int { return w.size + len(w.pieces)*pieceOverhead }

// release frees the pieces.
func (g *defragmenter) release(w *datagram) {
	g.bytes -= w.cost()
	w.pieces, w.size = nil, 0
}

// finish ends a datagram's wait, for whatever reason.
func (g *defragmenter) finish(w *datagram) {
	g.release(w)
	w.done = true
	delete(g.waiting, w.key)
	g.finished++
	if gone := g.first + g.finished; gone > 64 && 2*gone > len(g.order) {
		kept := slices.DeleteFunc(g.order[g.first:], func(w *datagram) bool { return w.done })
		g.order = append(g.order[:0], kept...)
		g.first, g.finished = 0, 0
	}
}

func (g *defragmenter) begin(key fragmentKey, now ingest.Timestamp) *datagram {
	for len(g.waiting) >= g.max {
		g.giveUp(FragmentCap)
	}
	w := &datagram{key: key, deadline: now + g.timeout}
	g.waiting[key] = w
	g.order = append(g.order, w)
	return w
}

// fits checks the fragment against the datagram's end and notes the end.
func (w *datagram) fits(f *fragment) bool {
	end := f.offset + len(f.data)
	if w.end > 0 && end > w.end {
		return false
	}
	if f.more {
		return true
	}
	if w.end > 0 {
		return w.end == end
	}
	if n := len(w.pieces); n > 0 && w.pieces[n-1].end() > end {
		return false
	}
	w.end = end
	return true
}

// insert copies what is new of the bytes; false if they contradict others.
func (w *datagram) insert(offset int, data []byte) bool {
	i, _ := slices.BinarySearchFunc(w.pieces, offset, func(p piece, offset int) int {
		if p.end() <= offset {
			return -1
		}
		return 1
	})
	for len(data) > 0 {
		if i == len(w.pieces) || offset < w.pieces[i].offset {
			n := len(data)
			if i < len(w.pieces) {
				n = min(n, w.pieces[i].offset-offset)
			}
			w.pieces = slices.Insert(w.pieces, i, piece{offset, bytes.Clone(data[:n])})
			w.size += n
			offset, data = offset+n, data[n:]
			i++
			continue
		}
		p := &w.pieces[i]
		n := min(len(data), p.end()-offset)
		if !bytes.Equal(data[:n], p.data[offset-p.offset:][:n]) {
			return false
		}
		offset, data = offset+n, data[n:]
		i++
	}
	return true
}

func (g *defragmenter) assemble(w *datagram) *reassembled {
	r := &g.result
	*r = reassembled{
		key: w.key, path: w.path, data: r.data[:0],
		frames: w.frames, frameBytes: w.frameBytes, ipBytes: w.ipBytes,
	}
	for i := range w.pieces {
		r.data = append(r.data, w.pieces[i].data...)
	}
	return r
}

// drop counts the frames of a datagram as lost.
func (g *defragmenter) drop(w *datagram, why Outcome) {
	g.counters.Packets[FragmentHeld] -= w.frames
	g.counters.Packets[why] += w.frames
	w.frames = 0
}

// oldest returns the datagram that has waited longest, nil if none does.
func (g *defragmenter) oldest() *datagram {
	for ; g.first < len(g.order); g.first++ {
		if w := g.order[g.first]; !w.done {
			return w
		}
		g.order[g.first] = nil
		g.finished--
	}
	g.order, g.first = g.order[:0], 0
	return nil
}

// giveUp ends the datagram that has waited longest.
func (g *defragmenter) giveUp(why Outcome) {
	if w := g.oldest(); w != nil {
		if why == FragmentCap {
			g.noted |= 1 << troubleFragmentCap
		}
		g.finish(w)
		g.drop(w, why)
	}
}

// expire gives up the datagrams whose time is over by now.
func (g *defragmenter) expire(now ingest.Timestamp) {
	for w := g.oldest(); w != nil && w.deadline <= now; w = g.oldest() {
		g.giveUp(FragmentTimeout)
	}
}

// dropAll gives up everything.
func (g *defragmenter) dropAll(why Outcome) {
	for len(g.waiting) > 0 {
		g.giveUp(why)
	}
}
