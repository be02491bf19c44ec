package session

import (
	"flowscope/flow"
)

// probeStream asks what protocol a stream speaks, with every piece of it, and
// holds the pieces until that is known.
func (d *Driver) probeStream(e *flow.Event, s *flowState) {
	h := d.held[e.Slot]
	if h == nil && e.Kind == flow.Data {
		// Nearly always the first bytes tell, and need not be copied.
		sample := d.sample(e)
		sample.Data, sample.Side = e.Data[:min(len(e.Data), d.cfg.ProbeBytes)], e.Side
		switch verdict := d.decide(d.candidatesOf(sample), sample, false); {
		case len(verdict.matches) > 0:
			d.start(e, s, verdict.matches)
			d.data(e, s)
			return
		case sample.Midstream && !verdict.more:
			d.counters.PayloadNoParser += uint64(len(e.Data))
			d.giveUp(e, s)
			return
		}
	}
	h = d.hold(e)
	d.add(h, e)
	d.decideHeld(e, s, h, h.full(e.Side, &d.cfg) || h.ended(flow.Initiator) && h.ended(flow.Responder) ||
		d.counters.PayloadBuffered > uint64(d.cfg.BufferTotal))
}

// sample begins a sample of the flow.
func (d *Driver) sample(e *flow.Event) *Sample {
	src, dst := e.Flow.Ports()
	d.probed = Sample{SrcPort: src, DstPort: dst, Transport: e.Flow.Transport(), Midstream: e.Flow.Transport() == flow.TCP && midstream(e.Flow)}
	return &d.probed
}

func (d *Driver) candidatesOf(s *Sample) []*candidate {
	if s.Transport == flow.UDP {
		return d.udp.candidates(s.SrcPort, s.DstPort)
	}
	return d.tcp.candidates(s.SrcPort, s.DstPort)
}

// ended says that the probes see no more of a side.
func (h *heldData) ended(side flow.Side) bool {
	if h.sealed[side] {
		return true
	}
	for i := range h.pieces {
		if h.pieces[i].kind == flow.Finished && h.pieces[i].side == side {
			return true
		}
	}
	return false
}

// decideHeld asks about all that is held of a stream; if that is final, the flow
// is what matches now or nobody's.
func (d *Driver) decideHeld(e *flow.Event, s *flowState, h *heldData, final bool) {
	sample := d.sample(e)
	for i := len(h.pieces) - 1; i >= 0; i-- {
		if h.pieces[i].kind == flow.Data {
			sample.Side = h.pieces[i].side
			break
		}
	}
	if h.pieces[0].kind == flow.Gap {
		// The beginning is not to be had: what follows the gap has to do.
		sample.Midstream = true
		h.prefix = [2]int{len(h.bytes[0]), len(h.bytes[1])}
	}
	sample.Data, sample.Other = h.seen(sample.Side, &d.cfg), h.seen(sample.Side.Opposite(), &d.cfg)
	if len(sample.Data) == 0 && len(sample.Other) == 0 && !final {
		return
	}
	var verdict decision
	if len(sample.Data)+len(sample.Other) > 0 {
		verdict = d.decide(d.candidatesOf(sample), sample, final)
	}
	switch {
	case len(verdict.matches) > 0:
		d.start(e, s, verdict.matches)
		d.replay(e, s)
	case final || !verdict.more && len(sample.Data) > 0 && len(sample.Other) > 0 || !verdict.more && sample.Midstream:
		d.giveUp(e, s)
	}
	// What one side has sent is refused, but the answer of the other may tell.
}

// seen is what the probes see of a side.
func (h *heldData) seen(side flow.Side, cfg *Config) []byte {
	return h.bytes[side][:min(h.prefix[side], cfg.ProbeBytes)]
}

// replay gives what was held to the parsers that have just started, in its order
// and with its times.
func (d *Driver) replay(e *flow.Event, s *flowState) {
	d.take(e.Slot, func(p *piece, data []byte) {
		switch {
		case s.phase != parsing:
			d.counters.PayloadNoParser += uint64(len(data))
		case e.Flow.Transport() == flow.UDP:
			d.parse(e, s, &payload{data: data, side: p.side, time: p.time, truncated: p.truncated})
		default:
			d.stream(e, s, p.kind, at{p.time, p.side}, data, p.length)
		}
	})
}

// stream passes what happened to a stream on to its parsers.
func (d *Driver) stream(e *flow.Event, s *flowState, kind flow.EventKind, at at, data []byte, length int) {
	switch kind {
	case flow.Data:
		d.streamData(e, s, at, data)
	case flow.Gap:
		d.streamGap(e, s, at, length)
	case flow.Finished:
		d.streamFin(e, s, at)
	case flow.Aborted:
		d.streamRst(e, s, at)
	}
}

// probeDatagram asks what protocol a datagram is of.
func (d *Driver) probeDatagram(e *flow.Event, s *flowState) {
	sample := d.sample(e)
	sample.Data, sample.Side = e.Data, e.Side
	switch verdict := d.decide(d.candidatesOf(sample), sample, false); {
	case len(verdict.matches) > 0:
		d.start(e, s, verdict.matches)
		d.replay(e, s)
		d.data(e, s)
	case verdict.more && d.holdDatagram(e):
	default:
		d.counters.PayloadNoParser += uint64(len(e.Data))
		d.giveUp(e, s)
	}
}

// holdDatagram keeps a copy of a datagram for the parser that may match later;
// false when that would pass a limit.
func (d *Driver) holdDatagram(e *flow.Event) bool {
	h := d.hold(e)
	if len(h.pieces)+1 >= d.cfg.ProbePackets || len(h.bytes[e.Side])+len(e.Data) > d.cfg.ProbeBytes ||
		d.counters.PayloadBuffered > uint64(d.cfg.BufferTotal) {
		return false
	}
	d.add(h, e)
	return true
}
