package flow

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"flowscope/ingest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// A model of the reassembly of one connection: everything is kept per byte in
// maps, positions do not wrap, nothing is fast.

// modelHeld is a byte that waits behind a hole.
type modelHeld struct {
	value byte
	at    ingest.Timestamp
	kind  byte // d: data, u: nobody reads it, c: not captured
}

type modelSide struct {
	anchored, fromSYN, reads, seen, finished, waits, noted, notedAck bool

	start, next, acked, lost, lostEnd, far int64

	fin      int64 // -1: not known
	held     map[int64]modelHeld
	told     map[int64]byte // handed up
	toldFrom int64          // since the latest gap
	since    ingest.Timestamp
	ackedAt  ingest.Timestamp // noDeadline: no
	ackedTo  int64
	lag      ingest.Timestamp
	counts   TCPSideStats
}

type model struct {
	cfg    Reassembly
	sides  [2]modelSide
	lines  []string
	data   []byte // of a line being made
	head   string // its beginning
	ledger Counters
}

func newModel(cfg Reassembly) *model {
	m := &model{cfg: cfg}
	for i := range m.sides {
		m.sides[i] = modelSide{fin: -1, held: map[int64]modelHeld{}, told: map[int64]byte{}, ackedAt: noDeadline, reads: true}
	}
	return m
}

// tell notes an event; data of one time and side in a row is one.
func (m *model) tell(at ingest.Timestamp, kind EventKind, side Side, data []byte, rest string) {
	head := fmt.Sprintf("%d %v %v ", at, kind, side)
	if kind == Data && head == m.head {
		m.data = append(m.data, data...)
		return
	}
	m.end()
	if kind == Data {
		m.head, m.data = head, bytes.Clone(data)
		return
	}
	m.lines = append(m.lines, head+rest)
}

func (m *model) end() {
	if m.head != "" {
		m.lines = append(m.lines, fmt.Sprintf("%s%q", m.head, m.data))
		m.head = ""
	}
}

// modelPacket is a packet with positions in place of sequence numbers: 0 is SYN.
type modelPacket struct {
	side          Side
	syn, ack, fin bool
	seq, ackTo    int64
	data          []byte
	captured      int
}

func (m *model) packet(now ingest.Timestamp, p modelPacket) {
	m.giveUpDue(now)
	s, o := &m.sides[p.side], &m.sides[p.side^1]
	s.seen = true
	if p.ack {
		m.acknowledge(now, p.side^1, o, p)
	}
	seq := p.seq
	if p.syn {
		seq++
	}
	untouched := s.next == s.start && s.acked == s.start && !s.waits && s.fin < 0
	if !s.anchored || untouched && (p.syn || !s.fromSYN && len(p.data) > 0 && seq == s.next+1) {
		s.anchored, s.fromSYN = true, s.fromSYN || p.syn
		s.start, s.next, s.acked, s.toldFrom = seq, seq, seq, seq
	}
	end := seq + int64(len(p.data))
	if len(p.data) > 0 {
		m.payload(now, p.side, s, seq, p)
	}
	if p.fin && s.fin < 0 && end >= s.end() && end-s.end() <= farAhead {
		s.fin = end
		if s.waits && len(s.held) == 0 {
			s.since = now
		}
	}
	m.finish(now, p.side, s)
}

// end is the end of what was seen.
func (s *modelSide) end() int64 {
	end := s.next
	for pos := range s.held {
		end = max(end, pos+1)
	}
	return end
}

// reach is the end of what is believed.
func (s *modelSide) reach() int64 {
	if s.noted && !s.notedAck {
		return s.next
	}
	return s.end()
}

// first is the first position held, -1 if there is none.
func (s *modelSide) first() int64 {
	first := int64(-1)
	for pos := range s.held {
		if first < 0 || pos < first {
			first = pos
		}
	}
	return first
}

func (m *model) acknowledge(now ingest.Timestamp, side Side, s *modelSide, p modelPacket) {
	switch {
	case !s.anchored:
		if p.syn {
			s.anchored, s.fromSYN = true, true
			s.start, s.next, s.acked, s.toldFrom = p.ackTo, p.ackTo, p.ackTo, p.ackTo
		}
		return
	case s.finished || p.ackTo <= s.acked:
		return
	case p.ackTo <= s.next:
		s.acked = p.ackTo
		return
	case p.ackTo == s.next+1 && len(s.held) == 0:
		return
	case s.fin >= 0 && p.ackTo > s.fin+1:
		return
	case p.ackTo-s.reach() > farAhead && !m.ackBelieved(s, p.ackTo):
		return
	}
	s.acked = p.ackTo
	s.wait(now)
	if s.ackedAt == noDeadline {
		s.ackedAt, s.ackedTo = now, p.ackTo
	}
}

func (s *modelSide) wait(now ingest.Timestamp) {
	if !s.waits {
		s.waits, s.since, s.ackedAt = true, now, noDeadline
	}
}

func (m *model) believed(s *modelSide, pos int64) bool {
	if m.isFar(s, pos); s.noted {
		if d := pos - s.far; max(d, -d) <= farAhead {
			s.noted = false
			return true
		}
		m.dropFar(s)
	}
	s.noted, s.notedAck, s.far = true, false, pos
	return false
}

func (m *model) ackBelieved(s *modelSide, pos int64) bool {
	m.isFar(s, pos)
	if s.noted && !s.notedAck {
		if d := pos - s.far; max(d, -d) > farAhead {
			return false
		}
		s.noted = false
		return true
	}
	s.noted, s.notedAck, s.far = true, true, pos
	return false
}

func (m *model) isFar(s *modelSide, pos int64) bool {
	s.noted = s.noted && s.far-s.reach() > farAhead
	return s.noted && pos >= s.far
}

func (m *model) dropFar(s *modelSide) {
	s.noted = false
	for pos, b := range s.held {
		if pos >= s.far {
			if b.kind == 'd' {
				m.ledger.PayloadDiscarded[DiscardFar]++
			}
			delete(s.held, pos)
		}
	}
}

func (m *model) payload(now ingest.Timestamp, side Side, s *modelSide, seq int64, p modelPacket) {
	length, captured := int64(len(p.data)), int64(p.captured)
	if s.fin >= 0 && seq+length > s.fin {
		keep := max(0, s.fin-seq)
		m.ledger.PayloadDiscarded[DiscardAfterFin] += uint64(captured - min(captured, keep))
		length, captured = keep, min(captured, keep)
		if length == 0 {
			return
		}
	}
	keepAlive := length == 1 && seq == s.next-1
	if end := s.end(); seq < end && !keepAlive {
		known := false
		for pos := seq; pos < seq+length; pos++ {
			_, held := s.held[pos]
			known = known || held || pos < s.next && pos >= s.start && (pos < s.lost || pos >= s.lostEnd)
		}
		if known {
			s.counts.Retransmitted++
		} else {
			s.counts.OutOfOrder++
		}
	}
	conflict := false
	raise := func() {
		if !conflict {
			conflict = true
			s.counts.OverlapConflicts++
			m.tell(now, Anomalous, side, nil, "tcp_overlap_conflict")
		}
	}
	i := int64(0)
	differs := false
	for ; i < length && seq+i < s.next; i++ {
		if i >= captured {
			continue
		}
		pos := seq + i
		switch {
		case pos < s.start:
			m.ledger.PayloadDiscarded[DiscardEarly]++
		case pos >= s.lost && pos < s.lostEnd:
			m.ledger.PayloadDiscarded[DiscardLate]++
		default:
			m.ledger.PayloadDuplicate++
		}
		told, ok := s.told[pos]
		if ok && s.reads && pos >= s.toldFrom && pos >= s.acked && pos >= s.next-int64(m.cfg.History) && told != p.data[i] && !keepAlive {
			differs = true
		}
	}
	if differs {
		raise()
	}
	if i == length {
		return
	}
	if s.waits && s.ackedAt != noDeadline && seq+i < s.ackedTo {
		s.lag = max(s.lag, (now-s.ackedAt)/1000*1000)
	}
	far := seq+i-s.reach() > farAhead
	if seq+i == s.next {
		// Straight from the packet up to what is held.
		from, cut := i, int64(0)
		for i < length {
			if _, held := s.held[seq+i]; held {
				break
			}
			if i >= captured {
				cut++
			}
			i++
		}
		m.deliver(now, side, s, p.data[from:i-cut])
		if cut > 0 {
			m.gap(now, side, s, cut, GapTruncated)
		}
	}
	if i < length {
		far = far && !m.believed(s, seq+i)
		if !far && s.noted && seq+length > s.far {
			s.noted = false
		}
		first := s.first()
		s.wait(now)
		if first < 0 {
			s.since = now
		}
		if first >= 0 && seq+i < first && m.isFar(s, first) {
			s.since = now
		}
		for ; i < length; i++ {
			b, held := s.held[seq+i]
			switch {
			case !held && i >= captured:
				s.held[seq+i] = modelHeld{at: now, kind: 'c'}
			case !held && !s.reads:
				m.ledger.PayloadNoParser++
				s.held[seq+i] = modelHeld{at: now, kind: 'u'}
			case !held:
				s.held[seq+i] = modelHeld{p.data[i], now, 'd'}
			case i < captured:
				m.ledger.PayloadDuplicate++
				if b.kind == 'd' && b.value != p.data[i] {
					raise()
					if m.cfg.Policy == PolicyLast {
						b.value = p.data[i]
						s.held[seq+i] = b
					}
				}
			}
		}
	}
	m.release(now, side, s)
}

func (m *model) deliver(now ingest.Timestamp, side Side, s *modelSide, data []byte) {
	for _, v := range data {
		s.told[s.next] = v
		s.next++
	}
	if !s.reads {
		m.ledger.PayloadNoParser += uint64(len(data))
		s.toldFrom = s.next
		return
	}
	m.ledger.PayloadUp += uint64(len(data))
	if len(data) > 0 {
		m.tell(now, Data, side, data, "")
	}
}

func (m *model) gap(now ingest.Timestamp, side Side, s *modelSide, n int64, why GapReason) {
	s.counts.Gaps++
	s.counts.GapBytes += uint64(n)
	if why != GapTruncated {
		m.ledger.GapBytes += uint64(n)
		s.counts.AckedUnseenBytes += uint64(min(max(0, s.acked-s.next), n))
		s.lost, s.lostEnd = s.next, s.next+n
	}
	s.next += n
	s.toldFrom = s.next
	if s.reads {
		m.tell(now, Gap, side, nil, fmt.Sprint(n, " ", why))
	}
}

// release hands up what follows next; cut ranges that were held as one are one gap,
// which the merging of lines does not show, so each byte is asked for its run.
func (m *model) release(now ingest.Timestamp, side Side, s *modelSide) {
	if !s.waits {
		return
	}
	popped := false
	for {
		b, held := s.held[s.next]
		if !held {
			break
		}
		popped = true
		switch b.kind {
		case 'd':
			delete(s.held, s.next)
			m.deliver(now, side, s, []byte{b.value})
		case 'u':
			delete(s.held, s.next)
			s.next++
		case 'c':
			n := int64(0)
			for s.held[s.next+n].kind == 'c' {
				delete(s.held, s.next+n)
				n++
			}
			m.gap(now, side, s, n, GapTruncated)
		}
	}
	m.settle(now, s, popped)
}

func (m *model) settle(now ingest.Timestamp, s *modelSide, popped bool) {
	past := s.acked > s.next
	if !past {
		s.ackedAt = noDeadline
	} else if s.ackedAt == noDeadline || s.ackedTo <= s.next {
		s.ackedAt, s.ackedTo = now, s.acked
	}
	first := s.first()
	if first < 0 && !past {
		s.waits = false
		return
	}
	if popped {
		s.since = now
		if first >= 0 {
			s.since = s.held[first].at
		}
	}
}

func (m *model) finish(now ingest.Timestamp, side Side, s *modelSide) {
	if s.fin >= 0 && !s.finished && s.next == s.fin {
		s.finished = true
		s.next++
		if s.waits {
			m.settle(now, s, false)
		}
		if m.sides[0].reads || m.sides[1].reads {
			m.tell(now, Finished, side, nil, "")
		}
	}
}

func (m *model) giveUpDue(now ingest.Timestamp) {
	for {
		best, due, reason := -1, noDeadline, GapReason(0)
		for i := range m.sides {
			s := &m.sides[i]
			if !s.waits {
				continue
			}
			at, why := noDeadline, GapTimeout
			if len(s.held) > 0 {
				at = s.since.Add(m.cfg.OneWayAfter)
				if m.sides[i^1].seen {
					at = s.since.Add(m.cfg.UnackedAfter)
				}
			}
			if s.ackedAt != noDeadline && (len(s.held) > 0 || s.fin >= 0) {
				grace := max(ingest.Timestamp(m.cfg.AckedAfter), 4*s.lag)
				if acked := max(s.ackedAt+grace, s.since); acked <= at {
					at, why = acked, GapAcked
				}
			}
			if at < due {
				best, due, reason = i, at, why
			}
		}
		if best < 0 || due > now {
			return
		}
		m.giveUp(due, Side(best), reason)
	}
}

func (m *model) giveUp(now ingest.Timestamp, side Side, why GapReason) {
	s := &m.sides[side]
	first := s.first()
	if first >= 0 && why != GapAcked && m.isFar(s, first) {
		m.dropFar(s)
		m.settle(now, s, true)
		return
	}
	end := s.acked
	if s.fin >= 0 {
		end = min(end, s.fin)
	}
	if first >= 0 && (why != GapAcked || first < end) {
		end = first
	}
	if end > s.next {
		m.gap(now, side, s, end-s.next, why)
	} else {
		s.acked = s.next
	}
	m.release(now, side, s)
	m.finish(now, side, s)
}

func (m *model) close(now ingest.Timestamp) {
	m.giveUpDue(now)
	for side := range Side(2) {
		for m.sides[side].waits {
			m.giveUp(now, side, GapClosed)
		}
	}
	m.tell(now, Closed, Initiator, nil, "")
	m.end()
}

// modelHandler notes events as the model does.
type modelHandler struct {
	model
	flow   *Flow
	counts [2]TCPSideStats
}

func (h *modelHandler) HandleEvent(e *Event) {
	rest := ""
	switch e.Kind {
	case Opened:
		h.flow = e.Flow
		return
	case Gap:
		rest = fmt.Sprint(e.Length, " ", e.Gap)
	case Anomalous:
		rest = e.Anomaly.Name
	case Closed:
		h.counts = e.TCP().Sides
	}
	h.tell(e.Time, e.Kind, e.Side, e.Data, rest)
}
func (*modelHandler) Tick(ingest.Timestamp) {}
func (h *modelHandler) Close()              { h.end() }

// frame makes an Ethernet frame of a packet between 10.0.0.1:1 and 10.0.0.2:2, as
// much of it as was captured; length is that on the wire.
func (p *modelPacket) frame(isn [2]uint32) (data []byte, length int) {
	b := make([]byte, 54, 54+len(p.data))
	binary.BigEndian.PutUint16(b[12:], etherIPv4)
	ip, tcp := b[14:], b[34:]
	ip[0], ip[8], ip[9] = 0x45, 64, uint8(TCP)
	binary.BigEndian.PutUint16(ip[2:], uint16(40+len(p.data)))
	from := byte(p.side)
	copy(ip[12:], []byte{10, 0, 0, 1 + from, 10, 0, 0, 2 - from})
	tcp[1], tcp[3] = 1+from, 2-from
	binary.BigEndian.PutUint32(tcp[4:], isn[p.side]+uint32(p.seq))
	tcp[12] = 5 << 4
	if p.syn {
		tcp[13] |= tcpSYN
	}
	if p.fin {
		tcp[13] |= tcpFIN
	}
	if p.ack {
		tcp[13] |= tcpACK
		binary.BigEndian.PutUint32(tcp[8:], isn[p.side^1]+uint32(p.ackTo))
	}
	binary.BigEndian.PutUint16(tcp[14:], 65535)
	b = append(b, p.data...)
	return b[:54+p.captured], len(b)
}

// streamByte is what truly stands at a position of a side's stream.
func streamByte(side Side, pos int64) byte { return byte('a' + (pos*7+pos/26+int64(side)*3)%26) }

// modelConfig keeps flows from ending by themselves.
func modelConfig(policy string, history int) Config {
	cfg := DefaultConfig()
	cfg.TCPIdle, cfg.TCPSetupIdle, cfg.ClosingTail = 24*time.Hour, 24*time.Hour, 24*time.Hour
	cfg.Checksums = ChecksumsOff
	cfg.Reassembly.Policy, cfg.Reassembly.History = policy, history
	return cfg
}

// drawPacket makes the next packet of a side: mostly near what is expected.
func drawPacket(t *rapid.T, m *model) modelPacket {
	side := Side(rapid.IntRange(0, 1).Draw(t, "side"))
	s, o := &m.sides[side], &m.sides[side^1]
	p := modelPacket{side: side, seq: max(1, s.next)}
	switch rapid.SampledFrom([]string{"next", "next", "next", "near", "near", "end", "far", "none"}).Draw(t, "where") {
	case "near":
		p.seq = max(1, s.next+int64(rapid.IntRange(-60, 90).Draw(t, "by")))
	case "end":
		p.seq = max(1, s.end()+int64(rapid.IntRange(-3, 3).Draw(t, "by")))
	case "far":
		p.seq = s.next + farAhead + int64(rapid.IntRange(-40, 60).Draw(t, "by"))
	}
	n := rapid.SampledFrom([]int{0, 1, 1, 2, 5, 20, 40, 20, 5, 2, 2100}).Draw(t, "length")
	for i := range n {
		p.data = append(p.data, streamByte(side, p.seq+int64(i)))
	}
	p.captured = n
	if n > 0 && rapid.IntRange(0, 5).Draw(t, "forge") == 0 {
		p.data[rapid.IntRange(0, n-1).Draw(t, "byte")] = '!'
	}
	if rapid.IntRange(0, 9).Draw(t, "cut") == 0 {
		p.captured = rapid.IntRange(0, n).Draw(t, "captured")
	}
	if p.ack = rapid.IntRange(0, 2).Draw(t, "ack") > 0; p.ack {
		p.ackTo = max(1, o.next)
		switch rapid.IntRange(0, 9).Draw(t, "acked") {
		case 0, 1:
			p.ackTo = max(1, o.next+int64(rapid.IntRange(-20, 60).Draw(t, "by")))
		case 2:
			p.ackTo = max(1, o.end()+int64(rapid.IntRange(0, 2).Draw(t, "by")))
		case 3:
			p.ackTo = o.next + farAhead + int64(rapid.IntRange(-40, 60).Draw(t, "by"))
		}
	}
	p.fin = rapid.IntRange(0, 14).Draw(t, "fin") == 0
	return p
}

func streamAgainstModel(t *rapid.T) {
	policy := rapid.SampledFrom([]string{PolicyFirst, PolicyLast}).Draw(t, "policy")
	cfg := modelConfig(policy, rapid.SampledFrom([]int{0, 10, 50, 16384}).Draw(t, "history"))
	m := newModel(cfg.Reassembly)
	h := &modelHandler{}
	table, err := NewTable(cfg, "sensor", h)
	if err != nil {
		t.Fatal(err)
	}
	isn := [2]uint32{rapid.Uint32().Draw(t, "isn"), -rapid.Uint32Range(0, 5000).Draw(t, "before the wrap")}
	now := second(0)
	var batch []ingest.Packet
	sent := uint64(0)
	flush := func() {
		table.HandlePackets(batch)
		for _, p := range batch {
			for i := range p.Data {
				p.Data[i] = 0xee
			}
		}
		batch = batch[:0]
	}
	send := func(p modelPacket) {
		m.packet(now, p)
		m.ledger.PayloadSeen += uint64(len(p.data))
		m.ledger.PayloadTruncated += uint64(len(p.data) - p.captured)
		data, length := p.frame(isn)
		sent++
		batch = append(batch, ingest.Packet{Data: data, Length: length, Time: now, Clock: now, Number: sent, Interface: ethernetInterface})
		if rapid.IntRange(0, 3).Draw(t, "flush") == 0 {
			flush()
		}
	}
	switch rapid.SampledFrom([]string{"handshake", "syn", "syn+ack", "none"}).Draw(t, "beginning") {
	case "handshake":
		send(modelPacket{side: Initiator, syn: true})
		send(modelPacket{side: Responder, syn: true, ack: true, ackTo: 1})
	case "syn":
		send(modelPacket{side: Initiator, syn: true})
	case "syn+ack":
		send(modelPacket{side: Responder, syn: true, ack: true, ackTo: 1})
	case "none": // the sender of the first packet is the initiator
		send(modelPacket{side: Initiator, seq: 1, ack: true, ackTo: 1})
	}
	for range rapid.IntRange(0, 60).Draw(t, "packets") {
		switch rapid.IntRange(0, 30).Draw(t, "op") {
		case 0:
			flush()
			side := Side(rapid.IntRange(0, 1).Draw(t, "unread"))
			h.flow.IgnoreSide(side)
			m.sides[side].reads = false
			if !m.sides[side^1].reads { // then nothing is told any more
				h.flow.Ignore()
			}
		case 1:
			flush()
			m.giveUpDue(now)
			table.Tick(now)
		default:
			send(drawPacket(t, m))
		}
		now = now.Add(rapid.SampledFrom([]time.Duration{
			0, 0, 0, time.Microsecond, 100 * time.Microsecond, 3 * time.Millisecond, 9 * time.Millisecond,
			10 * time.Millisecond, 300 * time.Millisecond, 5 * time.Second, 10 * time.Second,
		}).Draw(t, "passes"))
	}
	flush()
	table.Close(nil)
	m.close(table.clock)
	if diff := cmp.Diff(m.lines, h.lines); diff != "" {
		t.Fatalf("events: -model +table:\n%s", diff)
	}
	for side := range m.sides {
		if diff := cmp.Diff(m.sides[side].counts, h.counts[side]); diff != "" {
			t.Fatalf("%v: -model +table:\n%s", Side(side), diff)
		}
	}
	c := table.Stats()
	c.Packets, c.FlowsStarted, c.FlowsEnded = [numOutcomes]uint64{}, 0, [numReasons]uint64{}
	if diff := cmp.Diff(m.ledger, c); diff != "" {
		t.Fatalf("ledger: -model +table:\n%s", diff)
	}
	if got := c.PayloadAccounted(); got != c.PayloadSeen {
		t.Fatalf("%d bytes seen, %d accounted for", c.PayloadSeen, got)
	}
}

func TestStreamAgainstModel(t *testing.T) { rapid.Check(t, streamAgainstModel) }

func FuzzStreamAgainstModel(f *testing.F) { f.Fuzz(rapid.MakeFuzz(streamAgainstModel)) }
