package publish

import (
	"sync"
)

// batchTarget is the size at which a worker hands a batch over, in bytes.
const batchTarget = 256 << 10

// smallBatch is the size up to which a batch is handed over as a copy, in bytes.
const smallBatch = batchTarget / 8

// maxSmall is how many small batches are kept to be used again.
const maxSmall = 32

// maxSpare bounds the memory of a batch that is used again, so that one giant
// event does not stay in memory for ever.
const maxSpare = 4 * batchTarget

// spareReview is the number of batches after which spares that nobody needed all
// the while are given back: what a busy minute or an outage took is not kept for
// ever.
const spareReview = 256

// item is what the queue carries: a batch, or a mark that everything before it
// was taken.
type item struct {
	batch *Batch
	mark  *mark
}

// queue passes batches from the workers to the publisher in order. It is
// bounded by the memory that the batches hold, and it holds the spare batches.
type queue struct {
	mu       sync.Mutex
	room     sync.Cond // a worker waits for room
	filled   sync.Cond // the publisher waits for batches
	items    []item    // a ring
	head, n  int
	bytes    int
	maxBytes int
	refused  bool // there was no room for a batch, and none was taken since
	closed   bool // no more items: get drains what is there
	failed   bool // nobody takes items any more

	spare      spares
	spareBytes int
	small      spares // for small ones
	reviewed   int    // batches put since the last review
}

func newQueue(maxBytes int) *queue {
	q := &queue{maxBytes: maxBytes, items: make([]item, 64)}
	q.room.L, q.filled.L = &q.mu, &q.mu
	return q
}

// cost is the memory a batch holds.
func (b *Batch) cost() int { return cap(b.Buf) + cap(b.Records)*recordSize }

// put appends a batch, waiting for room when block is set. It is false when the
// batch was not taken: there was no room or nobody takes any more; the batch is then
// the caller's still.
func (q *queue) put(b *Batch, block bool) bool {
	cost := b.cost()
	q.mu.Lock()
	defer q.mu.Unlock()
	// A batch that is larger than the whole queue passes when the queue is empty.
	for q.bytes > 0 && q.bytes+cost > q.maxBytes && !q.failed && !q.closed {
		if !block {
			q.refused = true
			return false
		}
		q.room.Wait()
	}
	if q.failed || q.closed {
		return false
	}
	q.push(item{batch: b})
	q.bytes += cost
	q.reviewSpares()
	return true
}

// force appends an item whatever the room. It is false when nobody takes any
// more.
func (q *queue) force(it item) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.failed || q.closed {
		return false
	}
	q.push(it)
	if it.batch != nil {
		q.bytes += it.batch.cost()
	}
	return true
}

func (q *queue) push(it item) {
	if q.n == len(q.items) {
		grown := make([]item, 2*len(q.items))
		k := copy(grown, q.items[q.head:])
		copy(grown[k:], q.items[:q.head])
		q.items, q.head = grown, 0
	}
	q.items[(q.head+q.n)%len(q.items)] = it
	q.n++
	if q.n == 1 {
		q.filled.Signal()
	}
}

// get waits for the next item. It is false once the queue is closed and empty,
// or has failed.
func (q *queue) get() (item, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.n == 0 && !q.closed && !q.failed {
		q.filled.Wait()
	}
	if q.n == 0 || q.failed {
		return item{}, false
	}
	it := q.items[q.head]
	q.items[q.head] = item{}
	q.head = (q.head + 1) % len(q.items)
	q.n--
	if it.batch != nil {
		q.bytes -= it.batch.cost()
		q.refused = false
		q.room.Broadcast()
	}
	return it, true
}

// recycle takes a batch that is no longer used.
func (q *queue) recycle(b *Batch) {
	b.Reset()
	cost := b.cost()
	q.mu.Lock()
	defer q.mu.Unlock()
	if cap(b.Buf) <= smallBatch && len(q.small.idle) < maxSmall {
		q.small.put(b)
	}
	if cost > maxSpare || cap(b.Buf) < batchTarget || q.spareBytes+cost > q.maxBytes {
		return
	}
	q.spare.put(b)
	q.spareBytes += cost
}

// copyOf returns a copy of a small batch that holds hardly more memory than it
// needs. Few of those that were used are kept, so that while they come and go
// nothing is allocated, and while they add up none holds what another one needed.
func (q *queue) copyOf(b *Batch) *Batch {
	c := q.takeSmall()
	c.Worker = b.Worker
	c.Buf, c.Records = append(c.Buf, b.Buf...), append(c.Records, b.Records...)
	return c
}

func (q *queue) takeSmall() *Batch {
	q.mu.Lock()
	defer q.mu.Unlock()
	if b := q.small.take(); b != nil {
		return b
	}
	return new(Batch)
}

// empty returns an empty batch.
func (q *queue) empty() *Batch {
	q.mu.Lock()
	defer q.mu.Unlock()
	if b := q.spare.take(); b != nil {
		q.spareBytes -= b.cost()
		return b
	}
	// Room for one event above the target, so that the last one seldom makes the
	// batch grow.
	return &Batch{Buf: make([]byte, 0, batchTarget+4<<10), Records: make([]Record, 0, 512)}
}

func (q *queue) reviewSpares() {
	if q.reviewed++; q.reviewed < spareReview {
		return
	}
	q.reviewed = 0
	q.spareBytes -= q.spare.review()
	q.small.review()
}

// held is the memory of what waits, in bytes.
func (q *queue) held() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.bytes
}

// full is how full the queue is, from 0 to 1 and beyond by what is about the sensor;
// at least 1 while there is no room for another batch.
func (q *queue) full() float64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	full := float64(q.bytes) / float64(q.maxBytes)
	if q.refused {
		return max(full, 1)
	}
	return full
}

// fill is how full the queue is, in sixteenths.
func (q *queue) fill() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.bytes * 16 / q.maxBytes
}

// resize sets how much memory the batches may hold. What waits stays.
func (q *queue) resize(maxBytes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.maxBytes = maxBytes
	q.room.Broadcast()
}

// capacity is how much memory the batches may hold.
func (q *queue) capacity() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.maxBytes
}

// idle says that nothing waits for the publisher.
func (q *queue) idle() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.n == 0
}

// close says that nothing more comes.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.filled.Broadcast()
	q.room.Broadcast()
}

// fail says that nothing is taken any more: nobody waits from now on, and marks
// are not reached. It may be called again.
func (q *queue) fail() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.failed = true
	q.filled.Broadcast()
	q.room.Broadcast()
}
