package flow

// Counters is a table's part of the ledger. The packets of all outcomes add up
// to those handed to the table; flows started to those ended and active; payload
// bytes seen to the other payload fields and what the handler was given.
type Counters struct {
	// Packets counts by Outcome.
	Packets [numOutcomes]uint64
	// FlowsStarted counts flows, FlowsEnded by Reason, FlowsActive those that
	// have started and not ended.
	FlowsStarted uint64
	FlowsEnded   [numReasons]uint64
	FlowsActive  uint64
	// FlowsShed counts flows that were not followed, see Table.Shed, as well as
	// that can be said without remembering them: of TCP by their SYN, of others by
	// any packet; each once, as long as its place among the last 4,096 that were
	// shed is not taken by another.
	FlowsShed uint64
	// Checksums counts by ChecksumKind, packets of all outcomes.
	Checksums [numChecksumKinds]uint64
	// PayloadSeen is the transport payload of all handled packets, in bytes;
	// PayloadUp what was handed up; PayloadNoParser what nobody reads;
	// PayloadTruncated what the capture does not hold; of streams,
	// PayloadDuplicate what had come before, PayloadBuffered what waits behind
	// holes, PayloadDiscarded what belongs to no stream, by Discard.
	PayloadSeen, PayloadUp, PayloadNoParser, PayloadTruncated uint64
	PayloadDuplicate, PayloadBuffered                         uint64
	PayloadDiscarded                                          [numDiscards]uint64
	// GapBytes is what never came of streams.
	GapBytes uint64
}

// Undecodable returns the sum of packets that could not be decoded.
func (c *Counters) Undecodable() uint64 {
	sum := uint64(0)
	for _, n := range c.Packets[firstUndecodable:] {
		sum += n
	}
	return sum
}

// Add adds the counters of another table.
func (c *Counters) Add(o *Counters) {
	for i, n := range o.Packets {
		c.Packets[i] += n
	}
	for i, n := range o.Checksums {
		c.Checksums[i] += n
	}
	for i, n := range o.FlowsEnded {
		c.FlowsEnded[i] += n
	}
	c.FlowsStarted += o.FlowsStarted
	c.FlowsActive += o.FlowsActive
	c.FlowsShed += o.FlowsShed
	c.PayloadSeen += o.PayloadSeen
	c.PayloadUp += o.PayloadUp
	c.PayloadNoParser += o.PayloadNoParser
	c.PayloadTruncated += o.PayloadTruncated
	c.PayloadDuplicate += o.PayloadDuplicate
	c.PayloadBuffered += o.PayloadBuffered
	for i, n := range o.PayloadDiscarded {
		c.PayloadDiscarded[i] += n
	}
	c.GapBytes += o.GapBytes
}

// UndecodableByReason returns the counts of the outcomes that are not zero.
func (c *Counters) UndecodableByReason() map[string]uint64 {
	m := map[string]uint64{}
	for o := firstUndecodable; o < numOutcomes; o++ {
		if c.Packets[o] > 0 {
			m[o.String()] = c.Packets[o]
		}
	}
	return m
}

// ChecksumsByKind returns the counts of the kinds that are not zero.
func (c *Counters) ChecksumsByKind() map[string]uint64 {
	m := map[string]uint64{}
	for k, n := range c.Checksums {
		if n > 0 {
			m[ChecksumKind(k).String()] = n
		}
	}
	return m
}

// PayloadAccounted returns where the bytes of PayloadSeen are: it is the same at any
// quiet moment.
func (c *Counters) PayloadAccounted() uint64 {
	sum := c.PayloadUp + c.PayloadNoParser + c.PayloadTruncated + c.PayloadDuplicate + c.PayloadBuffered
	for _, n := range c.PayloadDiscarded {
		sum += n
	}
	return sum
}

// DiscardedByReason returns the counts of the reasons that are not zero.
func (c *Counters) DiscardedByReason() map[string]uint64 {
	m := map[string]uint64{}
	for d, n := range c.PayloadDiscarded {
		if n > 0 {
			m[Discard(d).String()] = n
		}
	}
	return m
}

// EndedByReason returns the counts of the reasons that are not zero.
func (c *Counters) EndedByReason() map[string]uint64 {
	m := map[string]uint64{}
	for r, n := range c.FlowsEnded {
		if n > 0 {
			m[Reason(r).String()] = n
		}
	}
	return m
}
