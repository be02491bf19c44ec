package flow

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"flowscope/ingest"
)

var _ ingest.Handler = (*Table)(nil)

// latest bounds the clock so that no deadline overflows.
const latest = noDeadline - 2*ingest.Timestamp(maxIdle)

// Table tracks the flows of one worker.
type Table struct {
	cfg       Config
	coming    atomic.Pointer[Config] // what takes its place, nil: nothing
	sensor    string
	next      Handler
	decoder   decoder
	store     store
	timers    *timers
	shedding  shedding
	starts    starts
	lru       lru
	fragments *defragmenter
	holds     holds
	histories histories
	pages     pool[page, pageRef]
	idles     idles
	extra     map[slot]*extra // of flows with hasExtra
	sources   sources
	clock     ingest.Timestamp
	begun     bool // the clock is set
	event     Event
	batch     [lookAhead]decoded
	touched   uint64
	waiting   []waiting // what is counted and not handed up yet, in room
	room      [lookAhead]waiting
	raised    uint32  // anomalies of the packet being handled
	quoted    decoded // scratch of quote

	counters Counters
	mu       sync.Mutex // guards shared
	shared   Counters
}

// NewTable returns a table for a sensor of that name. cfg.MaxFlows is this
// table's own share.
func NewTable(cfg Config, sensor string, next Handler) (*Table, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("flow table: %w", err)
	}
	t := &Table{
		cfg:     cfg,
		sensor:  sensor,
		next:    next,
		decoder: newDecoder(&cfg),
		store:   newStore(),
		starts:  starts{limit: cfg.MaxFlows},
		extra:   map[slot]*extra{},
	}
	t.event.table = t
	t.waiting = t.room[:0]
	t.idles = newIdles(&cfg)
	t.store.tick = ingest.Timestamp(cfg.TickInterval)
	t.timers = newTimers(&t.store)
	t.fragments = newDefragmenter(&t.cfg, &t.counters)
	t.pages = newPool[page, pageRef](pageSlabBits)
	t.holds = holds{
		records: newPool[hold, holdRef](recordSlabBits), chunks: newPool[chunk, chunkRef](recordSlabBits),
		pages: &t.pages, random: t.decoder.seed[3],
	}
	t.histories = histories{
		records: newPool[history, historyRef](recordSlabBits),
		pages:   &t.pages, conns: &t.store.conns, limit: uint32(cfg.Reassembly.History),
	}
	return t, nil
}

// Stats returns the counters as they were at the end of the latest batch. Any
// goroutine may call it.
func (t *Table) Stats() Counters {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.shared
}

func (t *Table) publish() {
	t.counters.FlowsActive = uint64(t.store.live)
	t.mu.Lock()
	t.shared = t.counters
	t.mu.Unlock()
}

// HandlePackets tracks a batch.
func (t *Table) HandlePackets(packets []ingest.Packet) {
	t.takeUp()
	for len(packets) > 0 {
		n := min(len(packets), lookAhead)
		t.handle(packets[:n])
		packets = packets[n:]
	}
	t.publish()
	t.next.Tick(t.clock)
}

func (t *Table) handle(packets []ingest.Packet) {
	for i := range packets {
		t.decoder.decode(&packets[i], &t.batch[i])
	}
	t.touch(len(packets))
	for i := range packets {
		p, d := &packets[i], &t.batch[i]
		t.moveTo(p.Clock)
		if d.checksums != 0 {
			t.countChecksums(d)
		}
		if d.outcome == FragmentHeld {
			t.fragment(p, d)
			continue
		}
		t.counters.Packets[d.outcome]++
		if d.outcome == Handled {
			t.packet(p, d)
		}
	}
	t.handUp()
}

// Tick brings the clock to now, or, if that lies before it, ends all flows and
// begins anew.
func (t *Table) Tick(now ingest.Timestamp) {
	t.takeUp()
	if t.begun && now < t.clock {
		t.endAll(EndOfInput)
		t.fragments.dropAll(FragmentTimeout)
		t.begun = false
	}
	t.advance(now)
	t.publish()
	t.next.Tick(t.clock)
}

// Close ends all flows: as shut down if the run was cancelled, else with the
// input.
func (t *Table) Close(cause error) {
	reason := EndOfInput
	if errors.Is(cause, context.Canceled) || errors.Is(cause, context.DeadlineExceeded) {
		reason = Shutdown
	}
	t.endAll(reason)
	t.fragments.dropAll(FragmentTimeout)
	t.publish()
	t.next.Tick(t.clock)
	t.next.Close()
}

// packet counts one packet to its flow, if that is followed; what it carries waits
// to be handed up.
func (t *Table) packet(p *ingest.Packet, d *decoded) {
	n := t.find(p, d)
	opened := n == noSlot
	if opened {
		level := t.shedding.level.Load()
		if level > 0 && t.shed(d, level) {
			return
		}
		n = t.open(p, d, level)
	}
	f := t.store.at(n)
	side := f.side(d.swapped)
	f.count(p, d, side)
	if d.path.labels > 0 && f.stats.Sides[side].Packets == d.frames {
		t.addLabels(n, f, d, side)
	}
	if d.key.Proto == UDP {
		f.stats.noteDatagram(d, side, f.stats.Sides[side].Packets == d.frames)
	}
	t.counters.PayloadSeen += uint64(d.payloadLength)
	t.counters.PayloadTruncated += uint64(d.payloadLength - len(d.payload))
	aborts := false
	if d.key.Proto == TCP {
		before := f.state & closing
		t.tcp(f, d, side, p.Time)
		aborts = before == 0 && f.state&closing != 0 && f.reason() == Rst
	}
	if d.key.Proto == ICMP || d.key.Proto == ICMPv6 {
		t.quote(n, f, d)
	}
	if f.state&closing == 0 {
		f.lastClock = t.clock
	}
	if opened || d.key.Proto == UDP || d.key.Proto == TCP {
		// Written in place: a copy would wait for what it has just written.
		t.waiting = t.waiting[:len(t.waiting)+1]
		w := &t.waiting[len(t.waiting)-1]
		w.packet, w.d, w.n, w.side, w.opened, w.aborts = p, d, n, side, opened, aborts
	} else {
		t.counters.PayloadNoParser += uint64(len(d.payload))
		t.timers.advance(n)
	}
	if t.raised != 0 {
		t.sendRaised(n, side, p.Time)
	}
}

// find returns the slot of a packet's flow, noSlot if it begins one: because
// there was none, because that one's time is over, or because it was closing and
// the packet opens another connection.
func (t *Table) find(p *ingest.Packet, d *decoded) slot {
	n := t.store.find(&d.key, d.hash)
	if n == noSlot {
		return n
	}
	f := t.store.at(n)
	for t.store.deadline(f) <= t.clock {
		t.handUp()
		if t.store.deadline(f) > t.clock { // handing up has moved it
			break
		}
		t.timers.disarm(n)
		gen := f.gen
		t.due(n)
		if !f.live() || f.gen != gen {
			return noSlot
		}
	}
	if t.reused(f, d) {
		t.handUp()
		t.end(n, Reused, p.Clock)
		return noSlot
	}
	return n
}

// fragment takes in a fragment, and handles the datagram that it completes. That
// may itself be a fragment of another, inside a tunnel.
func (t *Table) fragment(p *ingest.Packet, d *decoded) {
	t.counters.Packets[FragmentHeld] += d.frames
	d.fragment.key.scope = t.decoder.seed.scopeOf(&d.path)
	r := t.fragments.add(d, t.clock)
	if t.fragments.noted != 0 {
		t.reportFragments(p.Time)
	}
	if r == nil {
		return
	}
	t.counters.Packets[FragmentHeld] -= r.frames
	t.decoder.resume(r, d)
	if d.checksums != 0 {
		t.countChecksums(d)
	}
	if d.outcome == FragmentHeld {
		t.fragment(p, d)
		return
	}
	t.counters.Packets[d.outcome] += r.frames
	if d.outcome == Handled {
		t.packet(p, d)
		t.handUp() // the payload is in memory of the defragmenter
	}
}

// countChecksums counts what was found of a packet's checksums.
func (t *Table) countChecksums(d *decoded) {
	c := &t.counters.Checksums
	if d.checksums&badIP != 0 {
		c[ChecksumIP]++
	}
	if d.checksums&offloadedIP != 0 {
		c[ChecksumOffloaded]++
	}
	if d.checksums&offloadedTransport != 0 {
		c[ChecksumOffloaded]++
	}
	if d.checksums&badTransport != 0 {
		switch d.key.Proto {
		case TCP:
			c[ChecksumTCP]++
		case UDP:
			c[ChecksumUDP]++
		case ICMP:
			c[ChecksumICMP]++
		case ICMPv6:
			c[ChecksumICMPv6]++
		}
	}
}

// open makes the flow of a packet, at a level of shedding.
func (t *Table) open(p *ingest.Packet, d *decoded, level uint32) slot {
	if t.store.live >= t.cfg.MaxFlows {
		t.handUp()
		t.end(t.lru.oldest(&t.store), Evicted, t.clock)
		t.report(troubleTableFull, p.Time)
	}
	n := t.store.insert(&d.key, d.hash)
	f := t.store.at(n)
	f.armed, f.wake = noDeadline, noDeadline
	f.lastClock = t.clock
	f.state = state(level) << levelShift
	f.source = t.sources.index(p.Interface)
	f.stats.First, f.stats.Last = p.Time, p.Time
	swapped := d.swapped
	if d.key.Proto == TCP {
		swapped = f.startTCP(d)
		t.store.conns.at(f.conn).begin(swapped != d.swapped)
	}
	if swapped {
		f.state |= initiatorB
	}
	f.idle = t.idles.of(f, false)
	t.startTicks(f)
	f.id = newID(t.sensor, &d.key, &d.path, p.Time, t.starts.count(d.hash, p.Time))
	f.community = communityID(&d.key, swapped)
	if _, _, ok := scopeVLANs(d.key.Scope); !ok || d.path.vlans > d.path.keyed {
		t.extra[n] = newExtra(&d.path)
		f.state |= hasExtra
	}
	t.lru.added(&t.store, n, t.clock)
	t.counters.FlowsStarted++
	return n
}

// addLabels takes down the labels of a side's first packet.
func (t *Table) addLabels(n slot, f *Flow, d *decoded, side Side) {
	x := t.extra[n]
	if x == nil {
		x = newExtra(&d.path)
		t.extra[n] = x
		f.state |= hasExtra
	}
	x.addLabels(&d.path, side)
}

// end closes a flow for a reason decided at a time, and frees its slot.
func (t *Table) end(n slot, why Reason, at ingest.Timestamp) {
	f := t.store.at(n)
	t.counters.FlowsEnded[why]++
	t.timers.disarm(n)
	if f.conn != noConn {
		t.endStreams(n, f, at)
	}
	t.begin(n, f, Closed, at).Reason = why
	t.send()
	hash := t.decoder.seed.hash(&f.key)
	t.starts.note(hash, f.stats.First)
	if f.state&hasExtra != 0 {
		delete(t.extra, n)
	}
	f.idle = 0
	t.store.remove(n, hash)
}

// endAll ends every flow, in the order of their slots.
func (t *Table) endAll(why Reason) {
	for n := range slot(t.store.used) {
		if f := t.store.at(n); f.live() {
			reason := why
			if f.state&closing != 0 {
				reason = f.reason()
			}
			t.end(n, reason, t.clock)
		}
	}
}

// begin prepares the next event; send hands it up.
func (t *Table) begin(n slot, f *Flow, kind EventKind, at ingest.Timestamp) *Event {
	e := &t.event
	e.Kind, e.Time, e.Slot, e.Flow = kind, at, uint32(n), f
	e.Side, e.Reason, e.Truncated, e.Data, e.Length = 0, 0, false, nil, 0
	e.Anomaly, e.Detail = nil, ""
	return e
}

func (t *Table) send() { t.next.HandleEvent(&t.event) }

// count adds a packet to the flow's account.
func (f *Flow) count(p *ingest.Packet, d *decoded, side Side) {
	s := &f.stats.Sides[side]
	first := s.Packets == 0
	s.Packets += d.frames
	s.Bytes += d.frameBytes
	s.IPBytes += d.ipBytes
	s.PayloadBytes += uint64(d.payloadLength)
	if first || p.Time > s.Last {
		s.Last = p.Time
	}
	f.stats.Last = max(f.stats.Last, p.Time)
	s.TCPFlags |= d.tcpFlags
}
