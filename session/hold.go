package session

import (
	"flowscope/flow"
	"flowscope/ingest"
)

// heldData is what a flow has sent while its protocol is not known.
type heldData struct {
	payloads []payload
	bytes    [2]int
	since    ingest.Timestamp
}

// hold keeps a copy of a datagram for the parser that may match later; false when
// that would pass a limit.
func (d *Driver) hold(e *flow.Event) bool {
	h := d.held[e.Slot]
	if h == nil {
		h = &heldData{since: e.Time}
		d.held[e.Slot] = h
		e.Flow.WakeAt(e.Time.Add(d.cfg.ProbeTime))
	}
	if len(h.payloads)+1 >= d.cfg.ProbePackets || h.bytes[e.Side]+len(e.Data) > d.cfg.ProbeBytes {
		return false
	}
	h.bytes[e.Side] += len(e.Data)
	h.payloads = append(h.payloads, payload{
		data: append([]byte(nil), e.Data...), side: e.Side, time: e.Time, truncated: e.Truncated,
	})
	d.counters.PayloadBuffered += uint64(len(e.Data))
	return true
}

// replayHeld gives what was held to the parser that has just started.
func (d *Driver) replayHeld(e *flow.Event, s *flowState) {
	h := d.held[e.Slot]
	if h == nil {
		return
	}
	delete(d.held, e.Slot)
	for i := range h.payloads {
		p := &h.payloads[i]
		d.counters.PayloadBuffered -= uint64(len(p.data))
		if s.phase == parsing {
			d.parse(e, s, p)
		} else {
			d.counters.PayloadNoParser += uint64(len(p.data))
		}
	}
}

// dropHeld forgets what was held: nobody will read it.
func (d *Driver) dropHeld(slot uint32) {
	h := d.held[slot]
	if h == nil {
		return
	}
	delete(d.held, slot)
	for i := range h.payloads {
		n := uint64(len(h.payloads[i].data))
		d.counters.PayloadBuffered -= n
		d.counters.PayloadNoParser += n
	}
}
