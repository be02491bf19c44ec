package session

import (
	"errors"
	"fmt"
	"sync"

	"flowscope/flow"
	"flowscope/ingest"
)

var _ flow.Handler = (*Driver)(nil)

// Identity says who makes the events.
type Identity struct {
	// Sensor is the configured name of the sensor, Run the id of this run.
	Sensor, Run string
}

// Counters is the session layer's part of the ledger, and what it counts beside.
// The payload bytes that the flow stage handed up are delivered, unread or
// buffered.
type Counters struct {
	PayloadDelivered, PayloadNoParser, PayloadBuffered uint64
	// ParserPanics, ParserErrors count parsers that ended so.
	ParserPanics, ParserErrors uint64
}

// Add adds the counters of another driver.
func (c *Counters) Add(o *Counters) {
	c.PayloadDelivered += o.PayloadDelivered
	c.PayloadNoParser += o.PayloadNoParser
	c.PayloadBuffered += o.PayloadBuffered
	c.ParserPanics += o.ParserPanics
	c.ParserErrors += o.ParserErrors
}

// Driver detects protocols and runs parsers for the flows of one worker.
type Driver struct {
	cfg      Config
	id       Identity
	registry *Registry
	next     Sink
	all      []*candidate
	udp      *detector
	states   []flowState
	parsers  parserPool
	held     map[uint32]*heldData
	limiter  limiter
	out      *Output
	event    SessionEvent
	info     flow.Info
	hasInfo  bool
	cur      *flow.Event // the event being handled
	emitted  int         // messages of the parser call being made
	counters Counters
	mu       sync.Mutex // guards shared
	shared   Counters
}

// flowState is what the session layer keeps of each flow: half a cache line.
type flowState struct {
	parser    DatagramParser // nil: none
	seq       uint64
	candidate int16 // index into Driver.all of the flow's protocol, noCandidate: flow
	phase     phase
}

type phase uint8

const (
	probing   phase = iota // the protocol is not known yet, nothing was emitted
	parsing                // a parser is running
	unclaimed              // no parser, or it has ended: a tombstone
)

const noCandidate = -1

// NewDriver returns a driver that parses with the registry's factories.
func NewDriver(cfg Config, registry *Registry, id Identity, next Sink) (*Driver, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("session driver: %w", err)
	}
	d := &Driver{
		cfg: cfg, id: id, registry: registry, next: next,
		held: map[uint32]*heldData{},
	}
	for i, f := range registry.Factories() {
		if w, ok := f.(PerWorker); ok {
			f = w.PerWorker()
		}
		c := &candidate{index: i, factory: f, protocol: f.Protocol(), first: registry.first[f.Protocol().Name]}
		c.names = []string{c.protocol.Name}
		c.datagram, _ = f.(DatagramParserFactory)
		d.all = append(d.all, c)
	}
	var datagram []*candidate
	for _, c := range d.all {
		if c.datagram != nil {
			datagram = append(datagram, c)
		}
	}
	d.udp = newDetector(datagram, flow.UDP)
	d.parsers = make(parserPool, len(d.all))
	d.limiter = newLimiter(cfg.AnomalyInterval)
	d.out = NewOutput((*receiver)(d))
	d.event = SessionEvent{Sensor: id.Sensor, Run: id.Run, Flow: &d.info}
	return d, nil
}

// Stats returns the counters as they were at the end of the latest batch. Any
// goroutine may call it.
func (d *Driver) Stats() Counters {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.shared
}

// HandleEvent takes one event of a flow.
func (d *Driver) HandleEvent(e *flow.Event) {
	d.cur, d.hasInfo = e, false
	if int(e.Slot) >= len(d.states) {
		d.states = append(d.states, make([]flowState, int(e.Slot)+1-len(d.states))...)
	}
	s := &d.states[e.Slot]
	switch e.Kind {
	case flow.Opened:
		d.opened(e, s)
	case flow.Data:
		d.data(e, s)
	case flow.Woken:
		d.woken(e, s)
	case flow.Closed:
		d.closed(e, s)
	}
	d.cur = nil
}

// Tick passes the end of a batch on.
func (d *Driver) Tick(now ingest.Timestamp) {
	d.mu.Lock()
	d.shared = d.counters
	d.mu.Unlock()
	d.next.Tick(now.Time())
}

// Close passes the end on; all flows have closed before.
func (d *Driver) Close() { d.next.Close() }

func (d *Driver) opened(e *flow.Event, s *flowState) {
	*s = flowState{candidate: noCandidate}
	if e.Flow.Transport() != flow.UDP || len(d.udp.orders[0]) == 0 {
		d.giveUp(e, s)
	}
}

// giveUp settles that no parser takes the flow.
func (d *Driver) giveUp(e *flow.Event, s *flowState) {
	d.settle(e, s, noCandidate)
	s.phase = unclaimed
	e.Flow.Ignore()
	d.dropHeld(e.Slot)
}

// settle fixes the flow's protocol and announces the flow.
func (d *Driver) settle(e *flow.Event, s *flowState, candidate int16) {
	s.candidate = candidate
	d.prepare(e, s, Started, e.Flow.Stats().First)
	d.send(s)
}

func (d *Driver) data(e *flow.Event, s *flowState) {
	switch s.phase {
	case probing:
		d.probe(e, s)
	case parsing:
		d.parse(e, s, &payload{data: e.Data, side: e.Side, time: e.Time, truncated: e.Truncated})
	case unclaimed:
		d.counters.PayloadNoParser += uint64(len(e.Data))
	}
}

// payload is one datagram on its way to a parser.
type payload struct {
	data      []byte
	side      flow.Side
	time      ingest.Timestamp
	truncated bool
}

func (d *Driver) probe(e *flow.Event, s *flowState) {
	src, dst := e.Flow.Ports()
	c, verdict := d.udp.probe(&Sample{
		Data: e.Data, Side: e.Side, SrcPort: src, DstPort: dst, Transport: e.Flow.Transport(),
	})
	switch verdict {
	case Match:
		d.start(e, s, c)
		d.replayHeld(e, s)
		d.data(e, s)
	case More:
		if !d.hold(e) {
			d.counters.PayloadNoParser += uint64(len(e.Data))
			d.giveUp(e, s)
		}
	case No:
		d.counters.PayloadNoParser += uint64(len(e.Data))
		d.giveUp(e, s)
	}
}

// start gives the flow a parser of the matching factory.
func (d *Driver) start(e *flow.Event, s *flowState, c *candidate) {
	e.Flow.WakeAt(0)
	s.phase = parsing
	s.parser = d.parsers.get(c)
	d.settle(e, s, int16(c.index))
}

// parse calls the flow's parser with one datagram.
func (d *Driver) parse(e *flow.Event, s *flowState, p *payload) {
	d.counters.PayloadDelivered += uint64(len(p.data))
	d.out.Begin(p.time, p.side, p.truncated)
	err := d.guard(func(parser DatagramParser) error {
		return parser.Parse(p.data, p.side, d.out)
	}, s)
	d.after(e, s, p.time, err)
}

func (d *Driver) woken(e *flow.Event, s *flowState) {
	switch s.phase {
	case probing:
		d.giveUp(e, s)
	case parsing:
		d.out.Begin(e.Time, flow.Initiator, false)
		err := d.guard(func(parser DatagramParser) error {
			if w, ok := parser.(Waker); ok {
				return w.Wake(d.out)
			}
			return nil
		}, s)
		d.after(e, s, e.Time, err)
	case unclaimed:
	}
}

func (d *Driver) closed(e *flow.Event, s *flowState) {
	if s.phase == probing {
		d.giveUp(e, s)
	}
	if s.phase == parsing {
		d.out.Begin(e.Time, flow.Initiator, false)
		err := d.guard(func(parser DatagramParser) error {
			if c, ok := parser.(Closer); ok {
				c.Close(e.Reason, d.out)
			}
			return nil
		}, s)
		d.after(e, s, e.Time, err)
	}
	d.release(s)
	d.limiter.flush(e.Slot, func(a *pendingAnomaly) { d.emitAnomaly(e, s, a) })
	stats := e.Flow.Stats()
	ev := d.prepare(e, s, Closed, stats.Last)
	ev.Reason, ev.Stats, ev.TCP, ev.Events = e.Reason.String(), stats, e.TCP(), s.seq
	if s.candidate != noCandidate {
		ev.Protocols = d.all[s.candidate].names
	}
	d.send(s)
}

// after deals with the outcome of a parser call.
func (d *Driver) after(e *flow.Event, s *flowState, now ingest.Timestamp, err error) {
	if err == nil {
		return
	}
	reason, detail := "parse_error", ""
	var panicked *parserPanic
	switch {
	case errors.Is(err, ErrDone):
		reason = "done"
	case errors.As(err, &panicked):
		reason, detail = "panic", err.Error()
		d.counters.ParserPanics++
		s.parser = nil // what it left behind is not used again
	default:
		detail = err.Error()
		d.counters.ParserErrors++
	}
	d.release(s)
	s.phase = unclaimed
	e.Flow.Ignore()
	e.Flow.WakeAt(0)
	ev := d.prepare(e, s, ParserClosed, now)
	ev.Reason, ev.Detail = reason, clip(detail)
	d.send(s)
}

func (d *Driver) release(s *flowState) {
	if s.parser != nil {
		d.parsers.put(s.candidate, s.parser)
		s.parser = nil
	}
}

// maxDetail bounds the details that events carry, in bytes.
const maxDetail = 256

func clip(s string) string {
	if len(s) > maxDetail {
		s = s[:maxDetail]
	}
	return s
}

// prepare begins the next event of a flow. Every event but a tick takes the next
// sequence number. The caller sets what the type needs and calls send.
func (d *Driver) prepare(e *flow.Event, s *flowState, t EventType, at ingest.Timestamp) *SessionEvent {
	ev := &d.event
	ev.Type, ev.Time, ev.Seq = t, at, s.seq
	s.seq++
	ev.Start, ev.Side, ev.HasSide, ev.Message, ev.Truncated = 0, 0, false, nil, false
	ev.Reason, ev.Detail, ev.Severity, ev.Count = "", "", "", 0
	ev.Stats, ev.TCP, ev.Events, ev.Protocols = nil, nil, 0, nil
	if !d.hasInfo {
		e.Info(&d.info)
		d.hasInfo = true
	}
	return ev
}

// send hands the prepared event to the sink.
func (d *Driver) send(s *flowState) {
	ev := &d.event
	first := 0
	if s.candidate != noCandidate {
		first = d.all[s.candidate].first
	}
	if ev.Type == Application {
		ev.Topic = d.messageTopic(first, ev.Message.Kind())
	} else {
		ev.Topic = first + int(lifecycleOffset[ev.Type])
	}
	topic := &d.registry.topics[ev.Topic]
	ev.Protocol, ev.Kind = topic.Protocol, topic.Kind
	d.next.HandleEvent(ev)
}

// lifecycleOffset is the place of an event type's topic after the first of its
// protocol.
var lifecycleOffset = func() (offset [numEventTypes]uint8) {
	for i, t := range lifecycleTypes {
		offset[t] = uint8(i)
	}
	return offset
}()

// messageTopic finds a message's topic among those of its protocol. A kind that
// the factory did not declare is a bug of the parser, found by its contract test;
// it ends that parser.
func (d *Driver) messageTopic(first int, kind string) int {
	topics := d.registry.topics
	for i := first + len(lifecycleKinds); i < len(topics) && topics[i].Type == Application; i++ {
		if topics[i].Kind == kind {
			return i
		}
	}
	panic(fmt.Sprintf("message kind %q is not declared", kind))
}
