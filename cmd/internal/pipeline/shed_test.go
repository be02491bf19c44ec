package pipeline

import (
	"testing"
	"time"

	"flowscope/flow"
	"flowscope/ingest"
	"flowscope/session"
)

func TestShedderLevels(t *testing.T) {
	var s shedder
	at := time.Unix(1000, 0)
	for i, step := range []struct {
		after time.Duration
		fill  float64
		level uint32
	}{
		{0, 0.79, 0},
		{time.Second, 0.8, 1},
		{500 * time.Millisecond, 0.9, 1}, // a level has a second to help
		{500 * time.Millisecond, 0.9, 2},
		{time.Second, 0.7, 2},
		{time.Second, 0.5, 2},
		{9 * time.Second, 0.4, 2},
		{500 * time.Millisecond, 0.6, 2}, // not calm for ten seconds
		{time.Second, 0.3, 2},
		{9900 * time.Millisecond, 0.3, 2},
		{100 * time.Millisecond, 0.3, 0},
		{time.Millisecond, 0.95, 1},
	} {
		at = at.Add(step.after)
		before := s.level.Load()
		if changed := s.look(step.fill, at); s.level.Load() != step.level || changed != (before != step.level) {
			t.Errorf("step %d: level %d, want %d, changed %v", i, s.level.Load(), step.level, changed)
		}
	}
	for range 20 {
		at = at.Add(2 * time.Second)
		s.look(1, at)
	}
	if s.level.Load() != maxLevel {
		t.Errorf("level %d", s.level.Load())
	}
}

// kept records who passed.
type kept struct {
	pairs map[[2]byte]int
	ticks int
}

func (k *kept) HandlePackets(packets []ingest.Packet) {
	for i := range packets {
		a, b := packets[i].Data[29], packets[i].Data[33]
		k.pairs[[2]byte{min(a, b), max(a, b)}]++
	}
}
func (k *kept) Tick(ingest.Timestamp) { k.ticks++ }
func (k *kept) Close(error)           {}

var ethernet = &ingest.Interface{Name: "e", LinkType: 1}

// between is a frame of UDP between two hosts.
func between(a, b byte) ingest.Packet {
	data := make([]byte, 60)
	data[12], data[14], data[17], data[23] = 8, 0x45, 46, 17
	data[26], data[29], data[30], data[33] = 10, a, 10, b
	return ingest.Packet{Data: data, Length: 60, Interface: ethernet, Clock: 7}
}

// TestGateShedsConversations sends both ways between many pairs: a pair passes as a
// whole or not at all, what passes at a level passes at those below, and what does
// not is counted.
func TestGateShedsConversations(t *testing.T) {
	const pairs, each = 200, 6
	before := pairs + 1
	for level := uint32(0); level <= 4; level++ {
		s := &shedder{}
		s.level.Store(level)
		k := &kept{pairs: map[[2]byte]int{}}
		g := &gate{next: k, workers: 1, shedder: s}
		for range each / 2 {
			for i := range byte(pairs) {
				g.HandlePackets([]ingest.Packet{between(i, 250), between(250, i)})
			}
		}
		passed := 0
		for pair, n := range k.pairs {
			if passed += n; n != each {
				t.Errorf("level %d: %d packets of pair %v", level, n, pair)
			}
		}
		if shed := g.shed.Load(); passed+int(shed) != pairs*each {
			t.Errorf("level %d: %d passed, %d shed", level, passed, shed)
		}
		if n := int(g.pairs.Load()); n < pairs-len(k.pairs) {
			t.Errorf("level %d: %d pairs counted, %d shed", level, n, pairs-len(k.pairs))
		}
		want := pairs >> level
		if n := len(k.pairs); n >= before || n < want/2 || n > want*2 {
			t.Errorf("level %d: %d pairs pass, want about %d", level, n, want)
		}
		before = len(k.pairs)
		if level > 0 && k.ticks == 0 {
			t.Error("time stands still where nothing passes")
		}
	}
}

func TestGateCountsWrongWorkers(t *testing.T) {
	k := &kept{pairs: map[[2]byte]int{}}
	g := &gate{next: k, worker: 1, workers: 2, shedder: &shedder{}}
	wrong := uint64(0)
	for i := range byte(100) {
		p := between(i, 250)
		if flow.Spread(&p)>>63 == 0 {
			wrong++
		}
		g.HandlePackets([]ingest.Packet{p})
	}
	if g.wrong.Load() != wrong || wrong == 0 || wrong == 100 || len(k.pairs) != 100 {
		t.Errorf("%d wrong, want %d; %d passed", g.wrong.Load(), wrong, len(k.pairs))
	}
}

func TestGateAllocatesNothing(t *testing.T) {
	s := &shedder{}
	s.level.Store(1)
	g := &gate{next: silent{}, workers: 2, shedder: s}
	packets := []ingest.Packet{between(1, 2), between(3, 4), between(5, 6)}
	if n := testing.AllocsPerRun(100, func() { g.HandlePackets(packets) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

type silent struct{}

func (silent) HandlePackets([]ingest.Packet) {}
func (silent) Tick(ingest.Timestamp)         {}
func (silent) Close(error)                   {}

// lastWeight is a sink that remembers the weight of the last event.
type lastWeight struct{ weight int }

func (l *lastWeight) HandleEvent(e *session.SessionEvent) { l.weight = e.Weight }
func (l *lastWeight) Tick(time.Time)                      {}
func (l *lastWeight) Close()                              {}

func TestWeight(t *testing.T) {
	s, l := &shedder{}, &lastWeight{}
	w := &weighing{l, s}
	for _, test := range []struct {
		level uint32
		event session.SessionEvent
		want  int
	}{
		{0, session.SessionEvent{Type: session.Application}, 0},
		{3, session.SessionEvent{Type: session.Application}, 8},
		{3, session.SessionEvent{Type: session.Closed, Weight: 2}, 16},
		{3, session.SessionEvent{Type: session.Sensor}, 0},
	} {
		s.level.Store(test.level)
		if w.HandleEvent(&test.event); l.weight != test.want {
			t.Errorf("level %d: weight %d, want %d", test.level, l.weight, test.want)
		}
	}
}

func BenchmarkGate(b *testing.B) {
	g := &gate{next: silent{}, workers: 2, shedder: &shedder{}}
	var packets []ingest.Packet
	for i := range byte(64) {
		packets = append(packets, between(i, 250))
	}
	b.ReportAllocs()
	for n := 0; n < b.N; n += len(packets) {
		g.HandlePackets(packets)
	}
}
