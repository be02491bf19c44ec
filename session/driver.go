package session

import (
	"fmt"
	"sync"
	"sync/atomic"

	"flowscope/flow"
	"flowscope/ingest"
)

var _ flow.Handler = (*Driver)(nil)

// Identity says who makes the events.
type Identity struct {
	// Sensor is the configured name of the sensor, Run the id of this run.
	Sensor, Run string
}

// Driver detects protocols and runs parsers for the flows of one worker.
type Driver struct {
	cfg      Config
	coming   atomic.Pointer[Driver] // whose configuration takes its place, nil: nobody's
	id       Identity
	registry *Registry
	next     Sink
	all      []*candidate
	udp, tcp *detector
	states   []flowState

	conns     []*conn // by flowState.conn; 0 is none
	freeConns []uint32
	datagrams []parserPool[DatagramParser] // by candidate
	streams   []parserPool[SessionParser]  // by candidate
	buffers   bufferPool
	held      map[uint32]*heldData
	idleHolds []*heldData
	probed    Sample
	matches   []*candidate
	limiter   limiter
	ticks     map[uint32]uint64 // how many a flow has had

	out     *Output
	event   SessionEvent
	info    flow.Info
	hasInfo bool
	cur     *flow.Event // the event being handled
	run     *run        // the parser being called, nil: the flow's only one
	who     int16       // its candidate
	emitted int         // messages of the parser call being made
	calls   uint64
	inside  callNumber // the call being made, see Watchdog

	counters Counters
	mu       sync.Mutex // guards shared
	shared   Counters
}

// flowState is what the session layer keeps of each flow: half a cache line.
type flowState struct {
	parser    DatagramParser // of a datagram flow that has only one
	seq       uint64
	conn      uint32 // index into Driver.conns
	candidate int16  // index into Driver.all of the flow's protocol, noCandidate: flow
	phase     phase
	// outdated says that parser was made before the protocols were configured anew:
	// it is not used for another flow.
	outdated bool
}

type phase uint8

const (
	probing   phase = iota // the protocol is not known yet, nothing was emitted
	parsing                // a parser is running
	unclaimed              // no parser, or all have ended: a tombstone
)

const noCandidate = -1

// NewDriver returns a driver that parses with the registry's factories.
func NewDriver(cfg Config, registry *Registry, id Identity, next Sink) (*Driver, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("session driver: %w", err)
	}
	d := &Driver{
		cfg: cfg, id: id, registry: registry, next: next,
		held: map[uint32]*heldData{}, conns: []*conn{nil}, ticks: map[uint32]uint64{},
	}
	var datagram, stream []*candidate
	for i, f := range registry.Factories() {
		if w, ok := f.(PerWorker); ok {
			f = w.PerWorker()
		}
		name := f.Protocol().Name
		settings, _ := registry.Settings(name)
		c := newCandidate(i, f, registry.first[name], settings)
		d.all = append(d.all, c)
		d.counters.Protocols = append(d.counters.Protocols, ProtocolCounters{Name: c.protocol.Name})
		if c.datagram != nil && !settings.Disabled {
			datagram = append(datagram, c)
		}
		if c.stream != nil && !settings.Disabled {
			stream = append(stream, c)
		}
	}
	d.udp, d.tcp = newDetector(datagram, flow.UDP), newDetector(stream, flow.TCP)
	d.datagrams = make([]parserPool[DatagramParser], len(d.all))
	d.streams = make([]parserPool[SessionParser], len(d.all))
	d.limiter = newLimiter(cfg.AnomalyInterval)
	d.out = NewOutput((*receiver)(d))
	d.event = SessionEvent{Sensor: id.Sensor, Run: id.Run, Flow: &d.info}
	for i, c := range d.all {
		c.count = &d.counters.Protocols[i]
		if err := d.learn(c); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// learn makes one parser of each family to see what it is able to.
func (d *Driver) learn(c *candidate) error {
	if c.datagram != nil {
		p, err := d.newDatagram(c)
		if err != nil {
			return fmt.Errorf("session driver: make a parser of %s: %w", c.protocol.Name, err)
		}
		c.datagrams = abilitiesOf(p)
		d.recycle(c, p, nil)
	}
	if c.stream != nil {
		p, err := d.newStream(c)
		if err != nil {
			return fmt.Errorf("session driver: make a parser of %s: %w", c.protocol.Name, err)
		}
		c.streams = abilitiesOf(p)
		d.recycle(c, nil, p)
	}
	return nil
}

// Stats returns the counters as they were at the end of the latest batch. Any
// goroutine may call it.
func (d *Driver) Stats() Counters {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.shared.clone()
}

// HandleEvent takes one event of a flow.
func (d *Driver) HandleEvent(e *flow.Event) {
	if e.Flow == nil {
		d.sensorAnomaly(e)
		return
	}
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
	case flow.Gap, flow.Finished, flow.Aborted:
		d.mark(e, s)
	case flow.Anomalous:
		d.flowAnomaly(e, s)
	case flow.Ticked:
		d.ticked(e, s)
	case flow.Woken:
		d.woken(e, s)
	case flow.Closed:
		d.closed(e, s)
	}
	d.cur = nil
}

// Tick passes the end of a batch on.
func (d *Driver) Tick(now ingest.Timestamp) {
	d.takeUp()
	d.publish()
	d.next.Tick(now.Time())
}

// publish shows the counters to Stats.
func (d *Driver) publish() {
	d.counters.BufferBytes = uint64(d.buffers.used)
	d.mu.Lock()
	d.shared.set(&d.counters)
	d.mu.Unlock()
}

// Close passes the end on; all flows have closed before.
func (d *Driver) Close() {
	d.limiter.flush(noSlot, d.sendSensorAnomaly)
	d.publish()
	d.next.Close()
}

func (d *Driver) opened(e *flow.Event, s *flowState) {
	*s = flowState{candidate: noCandidate}
	switch e.Flow.Transport() {
	case flow.UDP:
		if len(d.udp.orders[0]) > 0 {
			return
		}
	case flow.TCP:
		if d.tcp.any(midstream(e.Flow)) {
			return
		}
	}
	d.giveUp(e, s)
}

// giveUp settles that no parser takes the flow.
func (d *Driver) giveUp(e *flow.Event, s *flowState) {
	d.settle(e, s, noCandidate)
	s.phase = unclaimed
	e.Flow.Ignore()
	e.Flow.WakeAt(0)
	d.dropHeld(e.Slot)
}

// settle fixes the flow's protocol and announces the flow, then what was noticed
// about it before.
func (d *Driver) settle(e *flow.Event, s *flowState, candidate int16) {
	s.candidate = candidate
	d.prepare(e, s, Started, e.Flow.Stats().First)
	d.send(candidate)
	if len(d.limiter.flows) > 0 {
		d.limiter.release(e.Slot, func(a *pendingAnomaly) { d.emitAnomaly(e, s, a) })
	}
}

func (d *Driver) data(e *flow.Event, s *flowState) {
	switch s.phase {
	case probing:
		if e.Flow.Transport() == flow.UDP {
			d.probeDatagram(e, s)
		} else {
			d.probeStream(e, s)
		}
	case parsing:
		if e.Flow.Transport() == flow.UDP {
			d.parse(e, s, &payload{data: e.Data, side: e.Side, time: e.Time, truncated: e.Truncated})
		} else {
			d.streamData(e, s, at{e.Time, e.Side}, e.Data)
		}
	case unclaimed:
		d.counters.PayloadNoParser += uint64(len(e.Data))
	}
}

// mark takes gaps and ends in a stream.
func (d *Driver) mark(e *flow.Event, s *flowState) {
	switch s.phase {
	case probing:
		h := d.held[e.Slot]
		switch {
		case e.Kind != flow.Aborted:
			d.probeStream(e, s)
		case h == nil:
			d.giveUp(e, s)
		default:
			d.decideHeld(e, s, h, true)
			d.mark(e, s)
		}
	case parsing:
		d.stream(e, s, e.Kind, at{e.Time, e.Side}, nil, e.Length)
	case unclaimed:
	}
}

// payload is one datagram on its way to a parser.
type payload struct {
	data      []byte
	side      flow.Side
	time      ingest.Timestamp
	truncated bool
}

// start gives the flow a parser of each matching factory. The flow is the first
// one's.
func (d *Driver) start(e *flow.Event, s *flowState, matches []*candidate) {
	e.Flow.WakeAt(0)
	s.phase, s.outdated = parsing, false
	first := matches[0]
	d.settle(e, s, first.index)
	if len(matches) == 1 && e.Flow.Transport() == flow.UDP {
		first.count.Flows++
		parser, err := d.newDatagram(first)
		if err != nil {
			d.end(e, s, e.Time, err)
			return
		}
		s.parser = parser
		return
	}
	c := d.newConn(s)
	c.stream = e.Flow.Transport() != flow.UDP
	c.midstream = c.stream && midstream(e.Flow)
	c.runs = c.first[:0]
	if len(matches) > 1 {
		c.runs = make([]run, 0, len(matches))
	}
	for _, m := range matches {
		m.count.Flows++
		c.runs = append(c.runs, run{candidate: m})
	}
	c.active = len(c.runs)
	for i := range c.runs {
		r, err := &c.runs[i], error(nil)
		if c.stream {
			r.stream, err = d.newStream(r.candidate)
		} else {
			r.datagram, err = d.newDatagram(r.candidate)
		}
		if err != nil {
			d.endRun(e, s, c, r, e.Time, err)
		}
	}
	if c.active == 0 {
		d.unclaim(e, s)
	}
}

func (d *Driver) newDatagram(c *candidate) (DatagramParser, error) {
	if p, ok := d.datagrams[c.index].get(); ok {
		return p, nil
	}
	call := call{op: opNew, candidate: c}
	err := d.guard(&call)
	return call.datagram, err
}

func (d *Driver) newStream(c *candidate) (SessionParser, error) {
	if p, ok := d.streams[c.index].get(); ok {
		return p, nil
	}
	call := call{op: opNew, candidate: c, ofStream: true}
	err := d.guard(&call)
	return call.stream, err
}

// recycle makes a parser as good as new for another flow, if it can be and is as one
// would be made now.
func (d *Driver) recycle(c *candidate, datagram DatagramParser, stream SessionParser) {
	switch {
	case c != d.all[c.index]: // configured anew
	case datagram != nil && c.datagrams&resets != 0:
		if d.guard(&call{op: opReset, candidate: c, datagram: datagram}) == nil {
			d.datagrams[c.index].put(datagram)
		}
	case stream != nil && c.streams&resets != 0:
		if d.guard(&call{op: opReset, candidate: c, stream: stream, ofStream: true}) == nil {
			d.streams[c.index].put(stream)
		}
	}
}

// parse calls the parser of a datagram flow.
func (d *Driver) parse(e *flow.Event, s *flowState, p *payload) {
	if s.conn != 0 {
		d.severalParse(e, s, p)
		return
	}
	if s.parser == nil {
		d.counters.PayloadNoParser += uint64(len(p.data))
		return
	}
	d.counters.PayloadDelivered += uint64(len(p.data))
	d.all[s.candidate].count.Bytes += uint64(len(p.data))
	d.out.Begin(p.time, p.side, p.truncated)
	d.run = nil
	call := call{op: opParse, candidate: d.all[s.candidate], datagram: s.parser, side: p.side, data: p.data}
	if err := d.guard(&call); err != nil {
		d.end(e, s, p.time, err)
	}
}

func (d *Driver) woken(e *flow.Event, s *flowState) {
	switch {
	case s.phase == probing:
		if h := d.held[e.Slot]; h != nil && e.Flow.Transport() != flow.UDP {
			d.decideHeld(e, s, h, true)
		} else {
			d.giveUp(e, s)
		}
	case s.phase == unclaimed:
	case s.conn != 0:
		d.wakeRuns(e, s)
	case d.all[s.candidate].datagrams&wakes != 0:
		d.out.Begin(e.Time, flow.Initiator, false)
		d.run = nil
		call := call{op: opWake, candidate: d.all[s.candidate], datagram: s.parser}
		if err := d.guard(&call); err != nil {
			d.end(e, s, e.Time, err)
		}
	}
}

func (d *Driver) closed(e *flow.Event, s *flowState) {
	if s.phase == probing {
		if h := d.held[e.Slot]; h != nil && e.Flow.Transport() != flow.UDP {
			d.decideHeld(e, s, h, true)
		} else {
			d.giveUp(e, s)
		}
	}
	switch {
	case s.phase != parsing:
	case s.conn != 0:
		d.closeRuns(e, s)
	case d.all[s.candidate].datagrams&closes != 0:
		d.out.Begin(e.Time, flow.Initiator, false)
		d.run = nil
		call := call{op: opClose, candidate: d.all[s.candidate], datagram: s.parser, reason: e.Reason}
		if err := d.guard(&call); err != nil {
			d.end(e, s, e.Time, err)
		}
	}
	if s.parser != nil && !s.outdated {
		d.recycle(d.all[s.candidate], s.parser, nil)
	}
	s.parser = nil
	if len(d.limiter.flows) > 0 {
		d.limiter.flush(e.Slot, func(a *pendingAnomaly) { d.emitAnomaly(e, s, a) })
	}
	stats := e.Flow.Stats()
	ev := d.prepare(e, s, Closed, stats.Last)
	ev.Reason, ev.Stats, ev.TCP, ev.Events = e.Reason.String(), stats, e.TCP(), s.seq
	ev.Protocols = d.protocolsOf(s)
	d.send(s.candidate)
	d.freeConn(s)
	if len(d.ticks) > 0 {
		delete(d.ticks, e.Slot)
	}
}

// protocolsOf lists all that matched.
func (d *Driver) protocolsOf(s *flowState) []string {
	switch {
	case s.candidate == noCandidate:
		return nil
	case s.conn == 0 || len(d.conns[s.conn].runs) == 1:
		return d.all[s.candidate].names
	}
	var names []string
	for i := range d.conns[s.conn].runs {
		names = append(names, d.conns[s.conn].runs[i].candidate.protocol.Name)
	}
	return names
}

// end ends the only parser of a datagram flow and says so.
func (d *Driver) end(e *flow.Event, s *flowState, now ingest.Timestamp, err error) {
	c := d.all[s.candidate]
	reason, detail := d.outcome(c, err)
	if reason != parserReasons[parserPanicked] && s.parser != nil && !s.outdated {
		d.recycle(c, s.parser, nil) // one that panicked is not used again
	}
	s.parser = nil
	d.unclaim(e, s)
	ev := d.prepare(e, s, ParserClosed, now)
	ev.Reason, ev.Detail = reason, detail
	d.send(s.candidate)
}

// unclaim leaves the flow to itself: all its parsers have ended.
func (d *Driver) unclaim(e *flow.Event, s *flowState) {
	s.phase = unclaimed
	e.Flow.Ignore()
	e.Flow.WakeAt(0)
	if s.conn != 0 && len(d.conns[s.conn].runs) == 1 {
		d.freeConn(s) // of several the closed event tells yet
	}
}
