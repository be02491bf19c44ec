package session

import "slices"

// Counters is the session layer's part of the ledger, and what it counts beside.
// The payload bytes that the flow stage handed up are delivered, unread or
// buffered.
type Counters struct {
	PayloadDelivered, PayloadNoParser, PayloadBuffered uint64
	// ParserPanics, ParserErrors count parsers that ended so, buffer overflow
	// among the errors. ProbePanics counts probes.
	ParserPanics, ParserErrors, ProbePanics uint64
	// BufferBytes is the memory that holds what parsers have not consumed yet.
	BufferBytes uint64
	// Protocols is in the order of the registry.
	Protocols []ProtocolCounters
}

// ProtocolCounters counts for one protocol.
type ProtocolCounters struct {
	Name string
	// Flows counts those that a parser took, Messages what the parsers emitted.
	Flows, Messages uint64
	// Errors and Panics count the parsers that ended so.
	Errors, Panics uint64
	// Gaps counts the holes in what the parsers were given, Bytes that itself.
	Gaps, Bytes uint64
}

// Add adds the counters of another driver.
func (c *Counters) Add(o *Counters) {
	c.PayloadDelivered += o.PayloadDelivered
	c.PayloadNoParser += o.PayloadNoParser
	c.PayloadBuffered += o.PayloadBuffered
	c.ParserPanics += o.ParserPanics
	c.ParserErrors += o.ParserErrors
	c.ProbePanics += o.ProbePanics
	c.BufferBytes += o.BufferBytes
	for i := range o.Protocols {
		c.protocol(o.Protocols[i].Name).add(&o.Protocols[i])
	}
}

// protocol returns the counters of a protocol, new ones if it had none.
func (c *Counters) protocol(name string) *ProtocolCounters {
	for i := range c.Protocols {
		if c.Protocols[i].Name == name {
			return &c.Protocols[i]
		}
	}
	c.Protocols = append(c.Protocols, ProtocolCounters{Name: name})
	return &c.Protocols[len(c.Protocols)-1]
}

func (p *ProtocolCounters) add(o *ProtocolCounters) {
	p.Flows += o.Flows
	p.Messages += o.Messages
	p.Errors += o.Errors
	p.Panics += o.Panics
	p.Gaps += o.Gaps
	p.Bytes += o.Bytes
}

func (c *Counters) clone() Counters {
	own := *c
	own.Protocols = slices.Clone(c.Protocols)
	return own
}

// set makes c equal to o without sharing memory with it.
func (c *Counters) set(o *Counters) {
	protocols := append(c.Protocols[:0], o.Protocols...)
	*c = *o
	c.Protocols = protocols
}
