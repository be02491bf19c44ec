package flow

import (
	"math"
	"math/bits"

	"flowscope/ingest"
)

// noDeadline is later than any time.
const noDeadline = ingest.Timestamp(math.MaxInt64)

// The wheel: each of its ticks covers 2^26 ns (67 ms); it reaches 275 s ahead,
// and what is due later waits in its last list and is filed anew from there.
const (
	tickBits  = 26
	wheelSize = 4096
)

// inHeap stands in Flow.prev of a flow whose entry is in timers.due.
const inHeap = noSlot - 1

// timers finds the flows whose deadline has come, in the order of deadlines.
//
// A flow has at most one valid entry: in a list of the wheel, or in the heap of
// those due within the present tick. An entry whose flow has seen packets since
// fires early and is filed anew; so a packet costs nothing here, and an expiry
// O(log n) in the number of flows due within the same 67 ms.
type timers struct {
	store    *store
	cursor   int64 // entries of this tick and earlier ones are in the heap
	lists    [wheelSize]slot
	occupied [wheelSize / 64]uint64
	listed   int
	due      dueHeap
	// next is a lower bound of the earliest deadline.
	next ingest.Timestamp
}

func newTimers(s *store) *timers {
	t := &timers{store: s}
	for i := range t.lists {
		t.lists[i] = noSlot
	}
	return t
}

func tickOf(at ingest.Timestamp) int64 { return int64(at) >> tickBits }

// restart sets the clock. No flow may be armed.
func (t *timers) restart(now ingest.Timestamp) {
	t.due = t.due[:0]
	t.cursor = tickOf(now)
	t.bound()
}

// bound recomputes next.
func (t *timers) bound() {
	t.next = ingest.Timestamp(t.cursor+1) << tickBits
	if len(t.due) > 0 {
		t.next = min(t.next, t.due[0].at)
	}
}

// arm files a flow that has no entry.
func (t *timers) arm(n slot, at ingest.Timestamp) {
	f := t.store.at(n)
	tick := tickOf(at)
	if last := t.cursor + wheelSize - 1; tick > last {
		tick, at = last, ingest.Timestamp(last)<<tickBits
	}
	f.armed = at
	if tick <= t.cursor {
		f.prev = inHeap
		t.due.push(dueEntry{at, n, f.gen})
		t.next = min(t.next, at)
		return
	}
	i := tick & (wheelSize - 1)
	head := t.lists[i]
	f.prev, f.next = noSlot, head
	if head != noSlot {
		t.store.at(head).prev = n
	}
	t.lists[i] = n
	t.occupied[i/64] |= 1 << (i % 64)
	t.listed++
}

// disarm takes a flow's entry back. An entry in the heap is left to be found
// stale.
func (t *timers) disarm(n slot) {
	f := t.store.at(n)
	if f.armed == noDeadline {
		return
	}
	i := tickOf(f.armed) & (wheelSize - 1)
	f.armed = noDeadline
	if f.prev == inHeap {
		return
	}
	if f.next != noSlot {
		t.store.at(f.next).prev = f.prev
	}
	if f.prev != noSlot {
		t.store.at(f.prev).next = f.next
	} else {
		t.lists[i] = f.next
		if f.next == noSlot {
			t.occupied[i/64] &^= 1 << (i % 64)
		}
	}
	t.listed--
}

// advance makes a flow's entry earlier where its deadline now is.
func (t *timers) advance(n slot) {
	f := t.store.at(n)
	if d := t.store.deadline(f); d < f.armed {
		t.disarm(n)
		t.arm(n, d)
	}
}

// expired returns the flow with the earliest deadline up to now and takes its
// entry; noSlot when there is none.
func (t *timers) expired(now ingest.Timestamp) slot {
	for {
		for len(t.due) > 0 && t.due[0].at <= now {
			e := t.due.pop()
			f := t.store.at(e.n)
			if f.gen != e.gen || f.armed != e.at || f.prev != inHeap {
				continue
			}
			f.armed = noDeadline
			if d := t.store.deadline(f); d > e.at {
				t.arm(e.n, d)
				continue
			}
			return e.n
		}
		if !t.turn(tickOf(now)) {
			t.bound()
			return noSlot
		}
	}
}

// turn moves the cursor to the next occupied tick up to target and its entries
// into the heap; false if there is none.
func (t *timers) turn(target int64) bool {
	if t.cursor >= target {
		return false
	}
	if t.listed == 0 {
		t.cursor = target
		return false
	}
	t.cursor = t.occupiedAfter(t.cursor)
	if t.cursor > target {
		t.cursor = target
		return false
	}
	i := t.cursor & (wheelSize - 1)
	n := t.lists[i]
	t.lists[i] = noSlot
	t.occupied[i/64] &^= 1 << (i % 64)
	for n != noSlot {
		f := t.store.at(n)
		next := f.next
		t.listed--
		t.arm(n, t.store.deadline(f))
		n = next
	}
	return true
}

// occupiedAfter returns the first tick after c whose list is not empty; there is
// one.
func (t *timers) occupiedAfter(c int64) int64 {
	for tick := c + 1; ; {
		i := tick & (wheelSize - 1)
		if word := t.occupied[i/64] >> (i % 64); word != 0 {
			return tick + int64(bits.TrailingZeros64(word))
		}
		tick += 64 - i%64
	}
}
