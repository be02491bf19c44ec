package flow

import (
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"flowscope/ingest"
)

// attack feeds a table with packets of a hostile sender.
type attack struct {
	t      *testing.T
	table  *Table
	before uint64
	sent   uint64
	batch  []ingest.Packet
	now    ingest.Timestamp
}

func newAttack(t *testing.T, cfg Config) *attack {
	t.Helper()
	a := &attack{t: t, before: heap(), now: second(0)}
	cfg.Checksums = ChecksumsOff
	var err error
	if a.table, err = NewTable(cfg, "sensor", silent{}); err != nil {
		t.Fatal(err)
	}
	return a
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// send sends a packet from the flow of a number, which stands in the initiator's
// address and port.
func (a *attack) send(flow uint32, p modelPacket) {
	frame, length := p.frame([2]uint32{})
	if p.side == Initiator {
		binary.BigEndian.PutUint32(frame[26:], 10<<24|flow>>4)
		binary.BigEndian.PutUint16(frame[34:], uint16(1024+flow&15))
	} else {
		binary.BigEndian.PutUint32(frame[30:], 10<<24|flow>>4)
		binary.BigEndian.PutUint16(frame[36:], uint16(1024+flow&15))
	}
	a.sent++
	a.batch = append(a.batch, ingest.Packet{Data: frame, Length: length, Time: a.now, Clock: a.now, Number: a.sent, Interface: ethernetInterface})
	if len(a.batch) == lookAhead {
		a.flush()
	}
}

func (a *attack) flush() {
	a.table.HandlePackets(a.batch)
	a.batch = a.batch[:0]
}

func (a *attack) open(flow uint32) {
	a.send(flow, modelPacket{side: Initiator, syn: true})
	a.send(flow, modelPacket{side: Responder, syn: true, ack: true, ackTo: 1})
}

// end checks that memory has stayed within what was configured and a fifth, and
// that the accounts close.
func (a *attack) end(configured int) {
	a.t.Helper()
	a.flush()
	if used, most := int64(heap())-int64(a.before), int64(configured)*6/5; used > most {
		a.t.Errorf("%d bytes in use, want at most %d", used, most)
	}
	if c := a.table.holds.cost + a.table.histories.cost; c > a.table.cfg.Reassembly.TotalBytes {
		a.t.Errorf("%d bytes kept of streams, want at most %d", c, a.table.cfg.Reassembly.TotalBytes)
	}
	a.table.Close(nil)
	balance(a.t, a.table.Stats(), a.sent)
	leftovers(a.t, a.table)
	runtime.KeepAlive(a.table)
}

// tableBytes is what the table may take for so many flows: records with their
// share of the index, of free lists and of the slab that is being filled.
func tableBytes(flows int) int { return flows*(256+160+64) + 8<<20 }

// Single bytes, none next to another, on one side: they cost their overhead.
func TestAttackOneByteSegments(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Reassembly.TotalBytes = 16 << 20
	a := newAttack(t, cfg)
	a.open(0)
	order := rand.New(rand.NewPCG(1, 2)).Perm(100_000)
	start := time.Now()
	for _, i := range order {
		a.send(0, modelPacket{side: Initiator, seq: 3 + 2*int64(i), data: []byte{'x'}, captured: 1, ack: true, ackTo: 1})
	}
	a.flush()
	if d := time.Since(start); d > 20*time.Second {
		t.Errorf("%v for %d segments", d, len(order))
	}
	c := a.table.store.conns.at(1)
	if h := c.sides[Initiator].held; h == 0 || a.table.holds.records.at(h).cost > cfg.Reassembly.SideBytes {
		t.Error("the cap of a side does not hold")
	}
	if c.stats.Sides[Initiator].Gaps == 0 {
		t.Error("nothing was given up")
	}
	a.end(cfg.Reassembly.SideBytes + tableBytes(1))
}

// The same on many flows, and full segments too: the cap of all of them holds.
func TestAttackHolesThatNeverEnd(t *testing.T) {
	for _, size := range []int{1, 1400} {
		cfg := DefaultConfig()
		cfg.Reassembly.TotalBytes = 32 << 20
		a := newAttack(t, cfg)
		const flows = 5000
		for f := range uint32(flows) {
			a.open(f)
		}
		data := make([]byte, size)
		for i := range int64(20) {
			for f := range uint32(flows) {
				a.send(f, modelPacket{side: Initiator, seq: 3 + i*int64(size+1), data: data, captured: size, ack: true, ackTo: 1})
			}
			a.now = a.now.Add(time.Millisecond)
		}
		a.flush()
		if a.table.counters.GapBytes == 0 {
			t.Errorf("size %d: nothing was given up", size)
		}
		a.end(cfg.Reassembly.TotalBytes + tableBytes(flows))
	}
}

// Nobody acknowledges anything: what is kept to compare with is capped, too.
func TestAttackUnacknowledged(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Reassembly.TotalBytes = 32 << 20
	a := newAttack(t, cfg)
	const flows = 20_000
	data := make([]byte, 1400)
	for f := range uint32(flows) {
		a.send(f, modelPacket{side: Initiator, syn: true})
		for i := range int64(15) {
			a.send(f, modelPacket{side: Initiator, seq: 1 + i*1400, data: data, captured: len(data)})
		}
	}
	a.end(cfg.Reassembly.TotalBytes + tableBytes(flows))
}

// Segments far ahead of the stream neither move it nor take memory, however many
// of them come, as long as no two of them are near each other.
func TestAttackFarAhead(t *testing.T) {
	cfg := DefaultConfig()
	a := newAttack(t, cfg)
	a.open(0)
	next := int64(1)
	text := []byte("in order")
	for i := range int64(2000) {
		far := next + (2+i%400)*(2<<20)
		a.send(0, modelPacket{side: Initiator, seq: far, data: text, captured: len(text), ack: true, ackTo: 1})
		a.send(0, modelPacket{side: Responder, seq: 1, ack: true, ackTo: next + (3+i%400)*(2<<20) + 1<<20 + 1<<19})
		a.send(0, modelPacket{side: Initiator, seq: next, data: text, captured: len(text), ack: true, ackTo: 1})
		next += int64(len(text))
		a.now = a.now.Add(20 * time.Millisecond)
	}
	a.flush()
	if up := a.table.counters.PayloadUp; up != 2000*uint64(len(text)) {
		t.Errorf("%d bytes came in order, want %d", up, 2000*len(text))
	}
	if n := a.table.counters.GapBytes; n != 0 {
		t.Errorf("%d bytes were given up", n)
	}
	a.end(1<<20 + tableBytes(1))
}

// Two million half-open connections in a table of 100,000.
func TestAttackSYNFlood(t *testing.T) {
	cfg := DefaultConfig()
	cfg.MaxFlows = 100_000
	a := newAttack(t, cfg)
	for f := range uint32(2_000_000) {
		a.send(f, modelPacket{side: Initiator, syn: true})
		a.now += 1000
	}
	a.flush()
	if n := a.table.store.live; n != cfg.MaxFlows {
		t.Errorf("%d flows are tracked, want %d", n, cfg.MaxFlows)
	}
	// Beside the records: the list of starts and the queue of the oldest flow.
	a.end(tableBytes(cfg.MaxFlows) + 2*cfg.MaxFlows*(8+24+24))
}

// Established connections whose data is acknowledged keep nothing but their
// records, 700 bytes at most.
func TestMemoryOfIdleConnections(t *testing.T) {
	cfg := DefaultConfig()
	const flows = 100_000
	a := newAttack(t, cfg)
	data := make([]byte, 100)
	for f := range uint32(flows) {
		a.open(f)
		a.send(f, modelPacket{side: Initiator, seq: 1, ack: true, ackTo: 1, data: data, captured: 100})
		a.send(f, modelPacket{side: Responder, seq: 1, ack: true, ackTo: 101, data: data, captured: 100})
		a.send(f, modelPacket{side: Initiator, seq: 101, ack: true, ackTo: 101})
	}
	a.flush()
	if kept := a.table.kept(); kept != 0 {
		t.Errorf("%d bytes are kept of streams, want none", kept)
	}
	a.end(flows * 700 * 5 / 6)
}
