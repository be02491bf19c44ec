package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// listed is a source of prepared batches. After them it ends with err, or with
// io.EOF. It overwrites the bytes of a batch when the next is read.
type listed struct {
	batches [][]Packet
	err     error
	last    [][]byte
}

func (l *listed) ReadBatch(packets []Packet) (int, error) {
	for _, b := range l.last {
		clear(b)
	}
	l.last = l.last[:0]
	if len(l.batches) == 0 {
		if l.err != nil {
			return 0, l.err
		}
		return 0, io.EOF
	}
	n := copy(packets, l.batches[0])
	for i := range packets[:n] {
		packets[i].Data = slices.Clone(packets[i].Data)
		l.last = append(l.last, packets[i].Data)
	}
	if l.batches[0] = l.batches[0][n:]; len(l.batches[0]) == 0 {
		l.batches = l.batches[1:]
	}
	return n, nil
}

func (l *listed) Close() error { return nil }

// inputs are interfaces to share.
var inputs = []*Interface{{Name: "a", Input: 0}, {Name: "b", Input: 1}, {Name: "c", Input: 2}}

// at returns a packet of an input with a time in seconds.
func at(input int, seconds float64) Packet {
	return Packet{Interface: inputs[input], Time: Timestamp(seconds * 1e9), Length: 10}
}

// recorder writes down its calls as text. It is for one goroutine.
type recorder struct{ calls []string }

func (r *recorder) HandlePackets(packets []Packet) {
	for _, p := range packets {
		r.calls = append(r.calls, fmt.Sprintf("%d: %v clock %v", p.Number, seconds64(p.Time), seconds64(p.Clock)))
	}
}

func (r *recorder) Tick(now Timestamp) {
	r.calls = append(r.calls, fmt.Sprintf("tick %v", seconds64(now)))
}

func (r *recorder) Close(cause error) { r.calls = append(r.calls, fmt.Sprintf("close %v", cause)) }

func seconds64(t Timestamp) float64 { return float64(t) / 1e9 }

func TestStamping(t *testing.T) {
	broken := errors.New("broken")
	tests := []struct {
		name    string
		batches [][]Packet
		err     error
		want    []string
		stats   Stats
	}{
		{
			"nothing", nil, nil,
			[]string{"tick 0", "close <nil>"},
			Stats{},
		},
		{
			"time runs on, back and on",
			[][]Packet{{at(0, 100), at(0, 99), at(0, 99.5), at(0, 101)}},
			nil,
			[]string{
				"1: 100 clock 100", "2: 99 clock 100", "3: 99.5 clock 100", "4: 101 clock 101",
				"tick 101", "close <nil>",
			},
			Stats{Packets: 4, Bytes: 40, Clock: 101e9},
		},
		{
			"no times at all",
			[][]Packet{{at(0, 0)}, {at(0, 0)}},
			nil,
			[]string{"1: 0 clock 0", "2: 0 clock 0", "tick 0", "close <nil>"},
			Stats{Packets: 2, Bytes: 20},
		},
		{
			"packets without time take the previous one's",
			[][]Packet{{at(0, 0), at(0, 100), at(0, 0)}, {at(0, 50), at(0, 0), at(1, 0)}},
			nil,
			[]string{
				"1: 0 clock 0", "2: 100 clock 100", "3: 100 clock 100",
				"4: 50 clock 100", "5: 50 clock 100", "6: 50 clock 100",
				"tick 100", "close <nil>",
			},
			Stats{Packets: 6, Bytes: 60, Clock: 100e9},
		},
		{
			"before 1970",
			[][]Packet{{at(0, -100), at(0, -101), at(0, -50)}},
			nil,
			[]string{"1: -100 clock -100", "2: -101 clock -100", "3: -50 clock -50", "tick -50", "close <nil>"},
			Stats{Packets: 3, Bytes: 30, Clock: -50e9},
		},
		{
			"far back within one input is no new beginning",
			[][]Packet{{at(0, 1000), at(0, 10)}},
			nil,
			[]string{"1: 1000 clock 1000", "2: 10 clock 1000", "tick 1000", "close <nil>"},
			Stats{Packets: 2, Bytes: 20, Clock: 1000e9},
		},
		{
			"the next file begins 60 s back",
			[][]Packet{{at(0, 100)}, {at(1, 40), at(1, 39)}},
			nil,
			[]string{"1: 100 clock 100", "2: 40 clock 100", "3: 39 clock 100", "tick 100", "close <nil>"},
			Stats{Packets: 3, Bytes: 30, Clock: 100e9},
		},
		{
			"the next file begins more than 60 s back",
			[][]Packet{{at(0, 100)}, {at(1, 39.9), at(1, 41)}},
			nil,
			[]string{
				"1: 100 clock 100", "tick 100", "tick 39.9",
				"2: 39.9 clock 39.9", "3: 41 clock 41", "tick 41", "close <nil>",
			},
			Stats{Packets: 3, Bytes: 30, Restarts: 1, Clock: 41e9},
		},
		{
			"new beginnings inside a batch",
			[][]Packet{{at(0, 1000), at(0, 1001), at(1, 500), at(2, 100), at(2, 101)}},
			nil,
			[]string{
				"1: 1000 clock 1000", "2: 1001 clock 1001", "tick 1001", "tick 500",
				"3: 500 clock 500", "tick 500", "tick 100",
				"4: 100 clock 100", "5: 101 clock 101", "tick 101", "close <nil>",
			},
			Stats{Packets: 5, Bytes: 50, Restarts: 2, Clock: 101e9},
		},
		{
			"a file that begins without a time",
			[][]Packet{{at(0, 1000)}, {at(1, 0), at(1, 100), at(1, 20)}},
			nil,
			[]string{
				"1: 1000 clock 1000", "2: 1000 clock 1000", "tick 1000", "tick 100",
				"3: 100 clock 100", "4: 20 clock 100", "tick 100", "close <nil>",
			},
			Stats{Packets: 4, Bytes: 40, Restarts: 1, Clock: 100e9},
		},
		{
			"the source breaks",
			[][]Packet{{at(0, 5)}},
			broken,
			[]string{"1: 5 clock 5", "tick 5", "close broken"},
			Stats{Packets: 1, Bytes: 10, Clock: 5e9},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			worker := &recorder{}
			r := NewRunner(&listed{batches: tt.batches, err: tt.err}, nil, []Handler{worker})
			if err := r.Run(context.Background()); !errors.Is(err, tt.err) {
				t.Errorf("error %v, want %v", err, tt.err)
			}
			if diff := cmp.Diff(tt.want, worker.calls); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.stats, r.Stats()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestWorkersTick shows in-band ticks: every worker gets those of all packets
// read before.
func TestWorkersTick(t *testing.T) {
	byLength := func(p *Packet) uint64 { return uint64(p.Length) << 63 }
	packet := func(input int, seconds float64, worker int) Packet {
		p := at(input, seconds)
		p.Length = worker
		return p
	}
	workers := []*recorder{{}, {}}
	src := &listed{batches: [][]Packet{
		{packet(0, 1000, 0), packet(0, 1001, 1), packet(1, 100, 0), packet(1, 101, 0)},
	}}
	if err := Run(context.Background(), src, byLength, []Handler{workers[0], workers[1]}); err != nil {
		t.Fatal(err)
	}
	want := [][]string{
		{"1: 1000 clock 1000", "tick 1001", "tick 100", "3: 100 clock 100", "4: 101 clock 101", "tick 101", "close <nil>"},
		{"2: 1001 clock 1001", "tick 1001", "tick 100", "tick 101", "close <nil>"},
	}
	for i, worker := range workers {
		if diff := cmp.Diff(want[i], worker.calls); diff != "" {
			t.Errorf("worker %d: %s", i, diff)
		}
	}
}

// collector keeps all it is given, checks that bytes stay what they are while
// borrowed, and overwrites them before it gives them back.
type collector struct {
	t       *testing.T
	packets []Packet
	ticks   int
	closed  bool
}

func (c *collector) HandlePackets(packets []Packet) {
	if len(packets) == 0 {
		c.t.Error("empty batch")
	}
	start := len(c.packets)
	c.packets = append(c.packets, packets...)
	for i := range c.packets[start:] {
		p := &c.packets[start+i]
		p.Data = slices.Clone(p.Data)
	}
	for i := range packets {
		if string(packets[i].Data) != string(c.packets[start+i].Data) {
			c.t.Error("two packets share bytes")
		}
		for j := range packets[i].Data {
			packets[i].Data[j] = '!'
		}
	}
}

func (c *collector) Tick(Timestamp) { c.ticks++ }

func (c *collector) Close(error) { c.closed = true }

// TestWorkersSame gives the same packets to every number of workers, in order
// per worker, each to the worker that its hash chooses.
func TestWorkersSame(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var batches [][]Packet
	count := 0
	for range 60 {
		var batch []Packet
		for range 1 + random.IntN(batchSize) {
			p := at(0, float64(count)/1000)
			size := random.IntN(2000)
			switch random.IntN(500) {
			case 0:
				size = parcelBytes + random.IntN(10)
			case 1:
				size = 3 * maxPacket
			case 2:
				size = 0
			}
			p.Data = make([]byte, size)
			for i := 0; i < size; i += 1 + i/8 {
				p.Data[i] = byte(random.Uint32())
			}
			p.Length = size
			batch = append(batch, p)
			count++
		}
		batches = append(batches, batch)
	}
	spread := func(p *Packet) uint64 { return uint64(p.Time) * 0x9e3779b97f4a7c15 }
	var want []Packet
	for _, n := range []int{1, 2, 3, 8} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			workers := make([]*collector, n)
			handlers := make([]Handler, n)
			for i := range workers {
				workers[i] = &collector{t: t}
				handlers[i] = workers[i]
			}
			r := NewRunner(&listed{batches: slices.Clone(batches)}, spread, handlers)
			if err := r.Run(context.Background()); err != nil {
				t.Fatal(err)
			}
			var got []Packet
			for i, w := range workers {
				if !w.closed || w.ticks != 1 {
					t.Errorf("worker %d: closed %v, %d ticks", i, w.closed, w.ticks)
				}
				for j, p := range w.packets {
					if j > 0 && p.Number <= w.packets[j-1].Number {
						t.Fatalf("worker %d: packet %d after %d", i, p.Number, w.packets[j-1].Number)
					}
					if chosen, _ := bits.Mul64(spread(&p), uint64(n)); chosen != uint64(i) {
						t.Fatalf("packet %d in worker %d, want %d", p.Number, i, chosen)
					}
				}
				got = append(got, w.packets...)
			}
			slices.SortFunc(got, func(a, b Packet) int { return int(a.Number) - int(b.Number) })
			if want == nil {
				want = got
			}
			if len(got) != count || r.Stats().Packets != uint64(count) {
				t.Errorf("%d packets, %d counted, want %d", len(got), r.Stats().Packets, count)
			}
			if !slices.EqualFunc(got, want, func(a, b Packet) bool {
				return string(a.Data) == string(b.Data) && a.Length == b.Length && a.Time == b.Time &&
					a.Clock == b.Clock && a.Number == b.Number && a.Interface == b.Interface
			}) {
				t.Error("packets differ from those of one worker")
			}
		})
	}
}

// TestWorkersCorpus gives all real captures, as one input, to several workers.
func TestWorkersCorpus(t *testing.T) {
	files := corpusFiles(t)
	var paths []string
	for name := range files {
		paths = append(paths, corpus(t)+"/"+name)
	}
	slices.Sort(paths)
	spread := func(p *Packet) uint64 { return uint64(len(p.Data)) * 0x9e3779b97f4a7c15 }
	read := func(n int) ([]string, Stats) {
		src, err := OpenFiles(paths)
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		workers := make([]*summary, n)
		handlers := make([]Handler, n)
		for i := range workers {
			workers[i] = &summary{}
			handlers[i] = workers[i]
		}
		r := NewRunner(src, spread, handlers)
		var damage *DamageError
		if err := r.Run(context.Background()); !errors.As(err, &damage) || damage.Offset != 5051 {
			t.Fatal(err)
		}
		var all []string
		for _, w := range workers {
			all = append(all, w.lines...)
		}
		slices.Sort(all)
		return all, r.Stats()
	}
	want, wantStats := read(1)
	got, gotStats := read(3)
	if !slices.Equal(want, got) {
		t.Error("packets differ")
	}
	if diff := cmp.Diff(wantStats, gotStats); diff != "" {
		t.Error(diff)
	}
	if wantStats.Restarts == 0 {
		t.Error("captures of many years, and the input never began anew")
	}
}

// summary keeps a line per packet.
type summary struct{ lines []string }

func (s *summary) HandlePackets(packets []Packet) {
	for _, p := range packets {
		sum := uint64(14695981039346656037)
		for _, b := range p.Data {
			sum = (sum ^ uint64(b)) * 1099511628211
		}
		s.lines = append(s.lines, fmt.Sprintf("%08d %s %d %d %d %x", p.Number, p.Interface.Name, p.Time, p.Clock, p.Length, sum))
	}
}
func (s *summary) Tick(Timestamp) {}
func (s *summary) Close(error)    {}

// ring is a live source: each step is a batch, possibly empty, with the kernel's
// clock after it.
type ring struct {
	steps  []ringStep
	clock  Timestamp
	handed func() // called when the source is asked again
}

type ringStep struct {
	packets []Packet
	clock   Timestamp
}

func (r *ring) ReadBatch(packets []Packet) (int, error) {
	if r.handed != nil {
		r.handed()
	}
	if len(r.steps) == 0 {
		return 0, io.EOF
	}
	step := r.steps[0]
	r.steps = r.steps[1:]
	r.clock = step.clock
	return copy(packets, step.packets), nil
}

func (r *ring) Close() error             { return nil }
func (r *ring) Live() bool               { return true }
func (r *ring) Clock() (Timestamp, bool) { return r.clock, r.clock != 0 }

func TestLiveClock(t *testing.T) {
	worker := &recorder{}
	src := &ring{steps: []ringStep{
		{nil, 0},                       // cannot tell
		{nil, 50e9},                    // a quiet start
		{[]Packet{at(0, 100)}, 150e9},  // not asked: there was a packet
		{nil, 99e9},                    // not ahead
		{nil, 110e9},                   // a quiet ring
		{[]Packet{at(0, 109.5)}, 0},    // late, within the clock
		{[]Packet{at(0, 111)}, 1000e9}, // not asked
	}}
	if err := Run(context.Background(), src, nil, []Handler{worker}); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"tick 50", "1: 100 clock 100", "tick 110", "2: 109.5 clock 110", "3: 111 clock 111",
		"tick 111", "close <nil>",
	}
	if diff := cmp.Diff(want, worker.calls); diff != "" {
		t.Error(diff)
	}
}

// counted tells how many packets and ticks it got.
type counted struct {
	mu      sync.Mutex
	changed *sync.Cond
	packets int
	ticks   int
}

func newCounted() *counted {
	c := &counted{}
	c.changed = sync.NewCond(&c.mu)
	return c
}

func (c *counted) add(packets, ticks int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.packets += packets
	c.ticks += ticks
	c.changed.Broadcast()
}

func (c *counted) HandlePackets(packets []Packet) { c.add(len(packets), 0) }
func (c *counted) Tick(Timestamp)                 { c.add(0, 1) }
func (c *counted) Close(error)                    {}

// wait blocks until there were so many.
func (c *counted) wait(packets, ticks int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.packets < packets || c.ticks < ticks {
		c.changed.Wait()
	}
}

// TestLiveFlush shows that packets of a live source do not wait for others: each
// arrives before the source is asked again. If not, this test hangs.
func TestLiveFlush(t *testing.T) {
	workers := []*counted{newCounted(), newCounted()}
	packet := func(worker int) Packet {
		p := at(0, 1)
		p.Length = worker
		return p
	}
	src := &ring{steps: []ringStep{
		{[]Packet{packet(0)}, 0},
		{[]Packet{packet(1), packet(1)}, 0},
		{nil, 5e9},
		{[]Packet{packet(0), packet(1)}, 0},
	}}
	want := [][3]int{{0, 0, 0}, {1, 0, 0}, {1, 2, 0}, {1, 2, 1}, {2, 3, 1}}
	src.handed = func() {
		workers[0].wait(want[0][0], want[0][2])
		workers[1].wait(want[0][1], want[0][2])
		want = want[1:]
	}
	byLength := func(p *Packet) uint64 { return uint64(p.Length) << 63 }
	if err := Run(context.Background(), src, byLength, []Handler{workers[0], workers[1]}); err != nil {
		t.Fatal(err)
	}
	if len(want) != 0 {
		t.Errorf("%d steps left", len(want))
	}
}

// endless never ends, and stops the run after some batches.
type endless struct {
	left int
	stop func()
}

func (e *endless) ReadBatch(packets []Packet) (int, error) {
	if e.left--; e.left == 0 {
		e.stop()
	}
	for i := range packets {
		packets[i] = at(0, 7)
	}
	return len(packets), nil
}

func (e *endless) Close() error { return nil }

func TestStop(t *testing.T) {
	for _, n := range []int{1, 4} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			workers := make([]*recorder, n)
			handlers := make([]Handler, n)
			for i := range workers {
				workers[i] = &recorder{}
				handlers[i] = workers[i]
			}
			spread := func(p *Packet) uint64 { return p.Number << 60 }
			r := NewRunner(&endless{left: 3, stop: cancel}, spread, handlers)
			if err := r.Run(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("error %v", err)
			}
			packets := 0
			for i, w := range workers {
				packets += len(w.calls) - 2
				if last := w.calls[len(w.calls)-2:]; last[0] != "tick 7" || last[1] != "close context canceled" {
					t.Errorf("worker %d ends with %v", i, last)
				}
			}
			if packets != 3*batchSize {
				t.Errorf("%d packets, want %d", packets, 3*batchSize)
			}
		})
	}
}

func TestRunErrors(t *testing.T) {
	if err := Run(context.Background(), &listed{}, nil, nil); err == nil {
		t.Error("no worker: no error")
	}
	if err := Run(context.Background(), &listed{}, nil, []Handler{&quiet{}, &quiet{}}); err == nil {
		t.Error("two workers without spread: no error")
	}
}

// TestStatsWhileRunning reads counters that belong together while they change.
func TestStatsWhileRunning(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	r := NewRunner(&endless{left: 2000, stop: cancel}, nil, []Handler{&quiet{}})
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			if s := r.Stats(); s.Bytes != 10*s.Packets || s.Packets > 0 && s.Clock != 7e9 {
				t.Errorf("%+v do not belong together", s)
			}
		}
	})
	if err := r.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	wg.Wait()
}

// panicking breaks at its second batch.
type panicking struct{ quiet }

func (p *panicking) HandlePackets(packets []Packet) {
	if p.packets > 0 {
		panic("worker is broken")
	}
	p.quiet.HandlePackets(packets)
}

// TestPanic shows that a worker's panic ends the process, whatever the number
// of workers.
func TestPanic(t *testing.T) {
	if n := os.Getenv("INGEST_PANIC"); n != "" {
		handlers := []Handler{&panicking{}}
		if n == "several" {
			handlers = append(handlers, &panicking{})
		}
		spread := func(p *Packet) uint64 { return p.Number << 63 }
		err := Run(context.Background(), &endless{stop: func() {}}, spread, handlers)
		fmt.Println("still alive:", err)
		return
	}
	for _, n := range []string{"one", "several"} {
		t.Run(n, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			child := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestPanic$")
			child.Env = append(os.Environ(), "INGEST_PANIC="+n)
			out, err := child.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "worker is broken") {
				t.Errorf("error %v, output %s", err, out)
			}
		})
	}
}

func TestRunAllocations(t *testing.T) {
	file := benchPcap()
	for _, n := range []int{1, 4} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			run := func(packets int) float64 {
				return testing.AllocsPerRun(3, func() {
					handlers := make([]Handler, n)
					for i := range handlers {
						handlers[i] = &quiet{}
					}
					src := &onlyPackets{openLooped(t, file, pcapHeaderSize), packets}
					if err := Run(context.Background(), src, firstBytes, handlers); err != nil {
						t.Fatal(err)
					}
				})
			}
			few, many := run(1000), run(101_000)
			if perPacket := (many - few) / 100_000; perPacket > 0.001 {
				t.Errorf("%v allocations per packet", perPacket)
			}
		})
	}
}
