package session

import (
	"flowscope/flow"
	"flowscope/ingest"
)

// heldData is what a flow has sent while its protocol is not known: the pieces in
// their order, the bytes of each side together.
type heldData struct {
	pieces []piece
	bytes  [2][]byte
	// packets counts the pieces of data of each side.
	packets [2]int
	// sealed says that a gap has ended what the probes see of a side, after
	// prefix bytes.
	sealed [2]bool
	prefix [2]int
}

// piece is data of a side, a gap or the end in it.
type piece struct {
	kind      flow.EventKind
	side      flow.Side
	truncated bool
	length    int // of the data in bytes[side], or of the gap
	time      ingest.Timestamp
}

// What is kept of unused heldData: so many, of so many bytes each.
const (
	maxIdleHolds = 1024
	maxIdleHold  = 8 << 10
)

// hold returns what is held of the flow, or makes it; from then on the time for
// detection runs.
func (d *Driver) hold(e *flow.Event) *heldData {
	if h := d.held[e.Slot]; h != nil {
		return h
	}
	h := new(heldData)
	if n := len(d.idleHolds); n > 0 {
		h, d.idleHolds = d.idleHolds[n-1], d.idleHolds[:n-1]
	}
	d.held[e.Slot] = h
	e.Flow.WakeAt(e.Time.Add(d.cfg.ProbeTime))
	return h
}

// add keeps a copy of what an event says.
func (d *Driver) add(h *heldData, e *flow.Event) {
	p := piece{kind: e.Kind, side: e.Side, truncated: e.Truncated, length: e.Length, time: e.Time}
	switch e.Kind {
	case flow.Data:
		p.length = len(e.Data)
		h.bytes[e.Side] = append(h.bytes[e.Side], e.Data...)
		h.packets[e.Side]++
		if !h.sealed[e.Side] {
			h.prefix[e.Side] = len(h.bytes[e.Side])
		}
		d.counters.PayloadBuffered += uint64(p.length)
	case flow.Gap:
		h.sealed[e.Side] = true
	}
	h.pieces = append(h.pieces, p)
}

// smallest is how many bytes a packet of a stream has to have to count as one:
// a protocol that is sent byte by byte is found all the same.
const smallest = 16

// full says that no more of a stream's side is held.
func (h *heldData) full(side flow.Side, cfg *Config) bool {
	size := len(h.bytes[side])
	return size >= cfg.ProbeBytes || min(h.packets[side], (size+smallest-1)/smallest) >= cfg.ProbePackets
}

// take hands out what is held, one piece after the other, and forgets it. The data
// is borrowed until the next piece.
func (d *Driver) take(slot uint32, each func(p *piece, data []byte)) {
	h := d.held[slot]
	if h == nil {
		return
	}
	delete(d.held, slot)
	var at [2]int
	for i := range h.pieces {
		p := &h.pieces[i]
		var data []byte
		if p.kind == flow.Data {
			data = h.bytes[p.side][at[p.side]:][:p.length:p.length]
			at[p.side] += p.length
			d.counters.PayloadBuffered -= uint64(p.length)
		}
		each(p, data)
	}
	if len(d.idleHolds) < maxIdleHolds && cap(h.bytes[0])+cap(h.bytes[1]) <= maxIdleHold {
		*h = heldData{pieces: h.pieces[:0], bytes: [2][]byte{h.bytes[0][:0], h.bytes[1][:0]}}
		d.idleHolds = append(d.idleHolds, h)
	}
}

// dropHeld forgets what was held: nobody will read it.
func (d *Driver) dropHeld(slot uint32) {
	d.take(slot, func(_ *piece, data []byte) { d.counters.PayloadNoParser += uint64(len(data)) })
}
