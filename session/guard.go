package session

import (
	"fmt"

	"flowscope/flow"
)

// parserPanic is the error of a parser that panicked.
type parserPanic struct{ value any }

func (p *parserPanic) Error() string { return fmt.Sprint(p.value) }

// tooMany is what Emit panics with when a parser passes its budget; guard turns
// it into a parse error.
type tooMany struct{ limit int }

func (t tooMany) Error() string {
	return fmt.Sprintf("parser emitted more than %d messages in one call", t.limit)
}

// operation is what a parser or its factory is called for.
type operation uint8

const (
	opProbe operation = iota
	opNew
	opParse
	opGap
	opFin
	opRst
	opWake
	opClose
	opReset
)

// call is one call of a parser or its factory: what it is given and what it
// answers.
type call struct {
	op        operation
	candidate *candidate
	datagram  DatagramParser // of a datagram flow, made by opNew
	stream    SessionParser  // of a stream, made by opNew
	ofStream  bool
	side      flow.Side
	reason    flow.Reason
	data      []byte
	sample    *Sample
	n         int // of a gap
	action    GapAction
	verdict   Verdict
}

// guard makes a call.
func (d *Driver) guard(c *call) (err error) {
	defer d.leave(&err)
	d.enter(c.candidate)
	return c.do(d.out)
}

// guardFeed is guard for bytes of a stream, the call that is made for every packet:
// without a description of it: with one, a segment takes 396 instructions from table
// to parser and back, without 329.
func (d *Driver) guardFeed(r *run, side flow.Side, data []byte) (n int, err error) {
	defer d.leave(&err)
	d.enter(r.candidate)
	if side == flow.Initiator {
		return r.stream.FeedInitiator(data, d.out)
	}
	return r.stream.FeedResponder(data, d.out)
}

// enter notes whose code is called.
func (d *Driver) enter(c *candidate) {
	d.emitted, d.who = 0, c.index
	d.calls++
	d.inside.store(d.calls)
}

// leave is deferred: it makes an error of a panic. It is the one place where a
// panic is caught: that parser ends, the flow and the sensor go on.
func (d *Driver) leave(err *error) {
	d.inside.store(0)
	switch r := recover().(type) {
	case nil:
	case tooMany:
		*err = r
	default:
		*err = &parserPanic{r}
	}
}

func (c *call) do(out *Output) error {
	switch c.op {
	case opParse:
		return c.datagram.Parse(c.data, c.side, out)
	case opProbe:
		c.verdict = c.candidate.factory.Probe(c.sample)
	case opNew:
		if c.ofStream {
			c.stream = c.candidate.stream.NewSessionParser()
		} else {
			c.datagram = c.candidate.datagram.NewDatagramParser()
		}
	case opGap:
		c.action = c.stream.(GapHandler).Gap(c.side, c.n, out)
	case opFin:
		return c.stream.(FinHandler).Fin(c.side, c.data, out)
	case opRst:
		c.stream.(RstHandler).Rst(c.side, out)
	case opWake:
		return c.parser().(Waker).Wake(out)
	case opClose:
		c.parser().(Closer).Close(c.reason, out)
	case opReset:
		c.parser().(Resetter).Reset()
	}
	return nil
}

func (c *call) parser() any {
	if c.ofStream {
		return c.stream
	}
	return c.datagram
}

// ask probes, if need be from the view of either side: bytes of one side do not
// refute what those of the other say. A probe that panics says no.
func (d *Driver) ask(c *candidate, s *Sample) Verdict {
	s.ports = c.ports
	verdict := d.askOnce(c, s)
	if verdict == No && len(s.Other) > 0 {
		s.turn()
		verdict = d.askOnce(c, s)
		s.turn()
	}
	return verdict
}

func (d *Driver) askOnce(c *candidate, s *Sample) Verdict {
	call := call{op: opProbe, candidate: c, sample: s}
	if len(s.Data) == 0 {
		return No
	}
	if d.guard(&call) != nil {
		d.counters.ProbePanics++
		return No
	}
	return call.verdict
}

// turn looks at the sample from the other side.
func (s *Sample) turn() {
	s.Data, s.Other, s.Side = s.Other, s.Data, s.Side.Opposite()
}

// abilities are the optional abilities of the parsers of one factory and family.
type abilities uint8

const (
	handlesGap abilities = 1 << iota
	handlesFin
	handlesRst
	wakes
	closes
	resets
)

// abilitiesOf looks at one parser for all of its kind.
func abilitiesOf(parser any) (a abilities) {
	set := func(bit abilities, ok bool) {
		if ok {
			a |= bit
		}
	}
	_, ok := parser.(GapHandler)
	set(handlesGap, ok)
	_, ok = parser.(FinHandler)
	set(handlesFin, ok)
	_, ok = parser.(RstHandler)
	set(handlesRst, ok)
	_, ok = parser.(Waker)
	set(wakes, ok)
	_, ok = parser.(Closer)
	set(closes, ok)
	_, ok = parser.(Resetter)
	set(resets, ok)
	return a
}
