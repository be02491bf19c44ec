package publish

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func filled(n int) *Batch { return &Batch{Buf: make([]byte, n)} }

func TestQueueBlocksWithoutRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(1000)
		first, second := filled(600), filled(600)
		if ok := q.put(first, true); !ok {
			t.Fatal("the first batch was not taken")
		}
		if ok := q.put(second, false); ok {
			t.Error("taken without room")
		}
		taken := false
		go func() {
			taken = q.put(second, true)
		}()
		synctest.Wait()
		if taken {
			t.Error("put did not wait")
		}
		if it, ok := q.get(); !ok || it.batch != first {
			t.Error("get: not the first batch")
		}
		synctest.Wait()
		if !taken {
			t.Error("put still waits")
		}
		if it, ok := q.get(); !ok || it.batch != second {
			t.Error("get: not the second batch")
		}
		if !q.idle() {
			t.Error("not idle at the end")
		}
	})
}

func TestQueueTakesABatchLargerThanItself(t *testing.T) {
	q := newQueue(10)
	if ok := q.put(filled(100), false); !ok {
		t.Error("not taken by the empty queue")
	}
	if ok := q.put(filled(1), false); ok {
		t.Error("taken by the full queue")
	}
}

// A queue that has no room for another batch is full, whatever the sizes of batches
// leave of it.
func TestQueueIsFullWithoutRoom(t *testing.T) {
	q := newQueue(1000)
	q.put(filled(600), false)
	if full := q.full(); full != 0.6 {
		t.Errorf("%v full", full)
	}
	q.put(filled(500), false)
	if full := q.full(); full != 1 {
		t.Errorf("%v full, and no room", full)
	}
	q.get()
	if full := q.full(); full != 0 {
		t.Errorf("%v full, and empty", full)
	}
}

func TestQueueKeepsOrderWhileGrowing(t *testing.T) {
	q := newQueue(1 << 20)
	next, want := 0, 0
	for round := range 200 {
		for range round%7 + 1 {
			q.force(item{batch: &Batch{Worker: next}})
			next++
		}
		for range round % 5 {
			if it, _ := q.get(); it.batch.Worker != want {
				t.Fatalf("got batch %d, want %d", it.batch.Worker, want)
			}
			want++
		}
	}
	q.close()
	for {
		it, ok := q.get()
		if !ok {
			break
		}
		if it.batch.Worker != want {
			t.Fatalf("got batch %d, want %d", it.batch.Worker, want)
		}
		want++
	}
	if want != next {
		t.Errorf("%d batches came out of %d", want, next)
	}
}

func TestQueueFailureWakesEverybody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(10)
		q.put(filled(100), true)
		ended := 0
		go func() { q.put(filled(100), true); ended++ }()
		synctest.Wait()
		q.fail()
		q.fail()
		synctest.Wait()
		if ended != 1 {
			t.Error("a worker still waits")
		}
		if _, ok := q.get(); ok {
			t.Error("get from a failed queue")
		}
		if q.force(item{}) {
			t.Error("force on a failed queue")
		}
	})
}

func TestQueueBoundsSpares(t *testing.T) {
	q := newQueue(3 * batchTarget)
	for range 10 {
		q.recycle(filled(batchTarget))
	}
	q.recycle(filled(maxSpare + 1))
	if len(q.spare.idle) != 3 || q.spareBytes != 3*batchTarget {
		t.Errorf("%d spares of %d bytes, want 3 of %d", len(q.spare.idle), q.spareBytes, 3*batchTarget)
	}
}

func TestQueueGivesUnneededSparesBack(t *testing.T) {
	q := newQueue(100 * batchTarget)
	for range 10 {
		q.recycle(filled(batchTarget))
	}
	// Two are needed at once, all the time.
	for range 2*spareReview + 1 {
		a, b := q.empty(), q.empty()
		q.put(filled(100), true)
		q.get()
		a.Buf, b.Buf = make([]byte, batchTarget), make([]byte, batchTarget)
		q.recycle(a)
		q.recycle(b)
	}
	if len(q.spare.idle) != 2 || q.spareBytes != q.spare.idle[0].cost()+q.spare.idle[1].cost() {
		t.Errorf("%d spares of %d bytes, want 2", len(q.spare.idle), q.spareBytes)
	}
}

// What an outage took in small batches is not kept for ever either.
func TestQueueGivesUnneededSmallSparesBack(t *testing.T) {
	q := newQueue(100 * batchTarget)
	for range 2 * maxSmall {
		q.recycle(filled(smallBatch))
	}
	if n := len(q.small.idle); n != maxSmall {
		t.Errorf("%d small spares, want %d", n, maxSmall)
	}
	for range 2*spareReview + 1 {
		b := q.copyOf(filled(100))
		q.put(b, true)
		q.get()
		q.recycle(b)
	}
	if n := len(q.small.idle); n != 1 {
		t.Errorf("%d small spares, want 1", n)
	}
}

// A batch that waits for its acknowledgements holds the memory of its events.
func TestSmallBatchesAreHandedOverInTheirSize(t *testing.T) {
	reg := deliveryRegistry(t)
	p, err := New(DefaultConfig(), Options{Registry: reg, Live: true, Workers: 1}, &discard{})
	if err != nil {
		t.Fatal(err)
	}
	sink, m := p.Sink(0), newMaker(reg, 1)
	for n := range 50 {
		sink.HandleEvent(m.event(t, "dns", "query"))
		sink.Tick(time.Unix(int64(n), 0))
		it, ok := p.queue.get()
		if !ok || len(it.batch.Records) != 1 || it.batch.cost() > 4096 {
			t.Fatalf("batch %d of %d events holds %d bytes", n, len(it.batch.Records), it.batch.cost())
		}
	}
}

// blocked is a transport that takes nothing until it is let go.
type blocked struct {
	discard
	gate chan struct{}
}

func (b *blocked) publish(ctx context.Context, batch *Batch) error {
	select {
	case <-b.gate:
	case <-ctx.Done():
		return ctx.Err()
	}
	return b.discard.publish(ctx, batch)
}

func TestLiveDropsAreCounted(t *testing.T) {
	reg := deliveryRegistry(t)
	cfg := DefaultConfig()
	cfg.QueueBytes = 1 << 20
	gate := make(chan struct{})
	p := runPublisher(t, cfg, Options{Registry: reg, Live: true}, &blocked{gate: gate})
	sink, m := p.Sink(0), newMaker(reg, 1)
	const n = 20000
	for range n {
		sink.HandleEvent(m.event(t, "dns", "query"))
	}
	sink.Close()
	l := p.Ledger()
	checkBalance(t, l)
	dropped := l.Events.Dropped.Sum()
	if dropped == 0 || l.Events.Made != n || l.Events.Pending != n-dropped {
		t.Errorf("while blocked: %+v", l.Events)
	}
	close(gate)
	if err := p.Close(within(t, 10*time.Second)); err != nil {
		t.Fatal(err)
	}
	l = p.Ledger()
	checkBalance(t, l)
	if l.Events.Written != n-dropped || l.Events.Pending != 0 {
		t.Errorf("at the end: %+v", l.Events)
	}
}

func TestFileBackPressureLosesNothing(t *testing.T) {
	reg := deliveryRegistry(t)
	cfg := DefaultConfig()
	cfg.QueueBytes = 1 << 20
	gate := make(chan struct{})
	p := runPublisher(t, cfg, Options{Registry: reg}, &blocked{gate: gate})
	sink, m := p.Sink(0), newMaker(reg, 1)
	const n = 20000
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range n {
			sink.HandleEvent(m.event(t, "dns", "query"))
		}
		sink.Close()
	}()
	close(gate)
	<-done
	if err := p.Close(within(t, 10*time.Second)); err != nil {
		t.Fatal(err)
	}
	l := p.Ledger()
	checkBalance(t, l)
	if l.Events.Written != n || len(l.Events.Dropped) != 0 {
		t.Errorf("%+v", l.Events)
	}
}

// A deadline that is over before the mark is reached must not keep Close.
func TestCloseWithAnExpiredDeadline(t *testing.T) {
	reg := deliveryRegistry(t)
	p := runPublisher(t, DefaultConfig(), Options{Registry: reg}, &blocked{gate: make(chan struct{})})
	sink, m := p.Sink(0), newMaker(reg, 1)
	for range 10 {
		sink.HandleEvent(m.event(t, "dns", "query"))
	}
	sink.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 2 {
		lost, ok := p.Close(ctx).(*NotAcknowledgedError)
		if !ok || lost.N != 10 {
			t.Fatalf("Close: %v, want 10 not acknowledged", lost)
		}
	}
	if err := p.PublishSensor(p.Ledger()); err == nil {
		t.Error("PublishSensor after Close: no error")
	}
}

func TestTickHandsOverOldEvents(t *testing.T) {
	tests := []struct {
		name string
		live bool
		age  time.Duration
		want uint64 // left in the worker
	}{
		{"young", false, 49 * time.Millisecond, 1},
		{"old", false, 50 * time.Millisecond, 0},
		{"clock begins anew", false, -time.Hour, 0},
		{"live", true, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			reg := deliveryRegistry(t)
			p, err := New(DefaultConfig(), Options{Sensor: "s", Run: "r", Registry: reg, Workers: 1, Live: tt.live}, NewDiscard())
			if err != nil {
				t.Fatal(err)
			}
			s, start := p.Sink(0), time.Unix(1000, 0)
			s.Tick(start)
			s.HandleEvent(newMaker(reg, 1).event(t, "dns", "query"))
			s.Tick(start.Add(tt.age))
			if got := p.account.workers[0].buffered; got != tt.want {
				t.Errorf("%d events left in the batch, want %d", got, tt.want)
			}
			if l := p.Ledger(); l.Events.Made != 1 || l.Events.Pending != 1 {
				t.Errorf("%+v", l.Events)
			}
		})
	}
}
