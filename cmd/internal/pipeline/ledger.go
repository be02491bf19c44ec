package pipeline

import (
	"flowscope/flow"
	"flowscope/ingest"
	"flowscope/publish"
	"flowscope/session"
)

// Ledger puts the parts of all stages together. Seconds and PeakRSS are left to
// the caller.
func (l *Pipeline) Ledger() *publish.Ledger {
	var tables flow.Counters
	for _, t := range l.tables {
		c := t.Stats()
		tables.Add(&c)
	}
	var drivers session.Counters
	for _, d := range l.drivers {
		c := d.Stats()
		drivers.Add(&c)
	}
	ledger := l.publisher.Ledger()
	ledger.Packets = packets(l.runner.Stats().Packets, l.runner.Losses(), &tables)
	ledger.Flows = publish.Flows{
		Started: tables.FlowsStarted,
		Ended:   tables.EndedByReason(),
		Active:  tables.FlowsActive,
		Shed:    tables.FlowsShed,
	}
	ledger.Payload = payload(&tables, &drivers)
	ledger.GapBytes = tables.GapBytes
	return ledger
}

// packets adds what was not handed on to what was.
func packets(handedOn uint64, lost ingest.Losses, c *flow.Counters) publish.Packets {
	return publish.Packets{
		Received:      handedOn + lost.Filtered + lost.DroppedKernel,
		Filtered:      lost.Filtered,
		DroppedKernel: lost.DroppedKernel,
		Unseen:        lost.Unseen,
		Handled:       c.Packets[flow.Handled],
		Shed:          c.Packets[flow.ShedPacket],
		NotIP:         c.Packets[flow.NotIP],
		FragmentsHeld: c.Packets[flow.FragmentHeld],
		Undecodable:   c.UndecodableByReason(),
		Checksums:     c.ChecksumsByKind(),
	}
}

func payload(c *flow.Counters, d *session.Counters) publish.PayloadBytes {
	p := publish.PayloadBytes{
		Seen:      c.PayloadSeen,
		Duplicate: c.PayloadDuplicate,
		Delivered: d.PayloadDelivered,
		NoParser:  c.PayloadNoParser + d.PayloadNoParser,
		Discarded: c.DiscardedByReason(),
		Buffered:  c.PayloadBuffered + d.PayloadBuffered,
	}
	p.Discarded.Add("truncated", c.PayloadTruncated)
	return p
}
