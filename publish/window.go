package publish

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

// slot is one message in the window.
type slot struct {
	batch  *Batch // nil: the slot is free
	record int32
	gen    uint32     // tells the slot's messages apart, over time
	tries  uint32     // times it left
	busy   bool       // the publisher's goroutine is sending it
	again  bool       // it was sent again, or is about to be
	fast   *fastBatch // that will acknowledge it, nil if it has an answer of its own
	floor  uint64     // everything up to this sequence was stored before it left first
	first  time.Time  // when it left first, or was last known to be missing
	due    time.Time  // when it is sent again
}

// is says whether the slot holds the message that was given that number.
func (s *slot) is(gen uint32) bool { return s.batch != nil && s.gen == gen }

// inFlight returns how many messages the window holds.
func (t *jetStream) inFlight() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.used
}

// hold counts a batch as held by the window until all of its messages have left,
// waiting while others hold too much.
func (t *jetStream) hold(ctx context.Context, b *Batch) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	cost := b.cost()
	if !t.mayHold(cost) || t.failed != nil {
		t.hurry()
		if err := t.await(ctx, func() bool { return t.mayHold(cost) }); err != nil {
			return err
		}
	}
	t.held += cost
	// One more than there are records: the batch stays whole while it is read.
	b.left = len(b.Records) + 1
	return nil
}

// mayHold says whether there is memory for a batch: twice what the payloads in
// the window may have, because batches stay whole to the last of their messages.
func (t *jetStream) mayHold(cost int) bool {
	return t.held == 0 || t.held+cost <= 2*t.limits.Load().inFlight+maxSpare
}

// enter waits for room and takes a slot.
func (t *jetStream) enter(ctx context.Context, b *Batch, i int) (int32, uint32, error) {
	r := &b.Records[i]
	size := int(r.End - r.Start)
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.roomFor(size) || t.failed != nil {
		if !t.fast.full() {
			t.hurry()
		}
		if err := t.await(ctx, func() bool { return t.roomFor(size) }); err != nil {
			return 0, 0, err
		}
	}
	k := t.free[len(t.free)-1]
	t.free = t.free[:len(t.free)-1]
	if t.used == 0 {
		t.progress = time.Now()
	}
	t.used++
	t.bytes += size
	s := &t.slots[k]
	*s = slot{batch: b, record: int32(i), gen: s.gen, busy: true, floor: t.lastSeq}
	return k, s.gen, nil
}

func (t *jetStream) roomFor(size int) bool {
	return len(t.free) > 0 && (t.used == 0 || t.bytes+size <= t.limits.Load().inFlight) && !t.fast.full()
}

// hurry has an open fast batch acknowledged: while it fills the window nothing can be
// added to it, and the server would wait for more. mu is held, but not meanwhile.
func (t *jetStream) hurry() {
	if t.fast.open == nil {
		return
	}
	t.mu.Unlock()
	t.commitFast()
	t.mu.Lock()
}

// await waits until something is done, the transport has failed, or ctx ends. mu
// is held.
func (t *jetStream) await(ctx context.Context, done func() bool) error {
	stop := context.AfterFunc(ctx, t.wake)
	defer stop()
	for t.failed == nil && ctx.Err() == nil && !done() {
		t.awaited = true
		t.changed.Wait()
	}
	switch {
	case t.failed != nil:
		return t.failed
	case done():
		return nil
	}
	return ctx.Err()
}

func (t *jetStream) wake() {
	t.mu.Lock()
	t.changed.Broadcast()
	t.mu.Unlock()
}

// sent notes how the first sending of an event went.
func (t *jetStream) sent(k int32, gen uint32, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := &t.slots[k]
	if !s.is(gen) {
		return // answered meanwhile
	}
	s.busy = false
	t.noteSending(k, err)
}

// noteSending sets when an event is sent again.
func (t *jetStream) noteSending(k int32, err error) {
	s := &t.slots[k]
	now := time.Now()
	switch {
	case err == nil:
		if s.tries == 0 {
			s.first = now
		}
		s.tries++
		s.due = now.Add(patience(t.limits.Load().ack, s.tries))
	case errors.Is(err, nats.ErrMaxPayload):
		t.refuse(k, "max_payload", fmt.Sprintf("the server takes at most %d bytes", t.nc.MaxPayload()))
	default:
		t.note(t.explain(err))
		s.due = now.Add(minBackOff)
	}
}

// maxPatience is how many times the first wait for an acknowledgement the later ones
// are, at most.
const maxPatience = 8

// patience is how long to wait for an acknowledgement of a message that was sent so
// many times: twice as long each time. Otherwise a server too slow to answer the whole
// window in the first wait would get more repetitions than it can answer, for ever.
func patience(first time.Duration, tries uint32) time.Duration {
	return first * time.Duration(min(1<<min(tries-1, 10), maxPatience))
}

// explain gives the reason of a disconnection instead of its consequence.
func (t *jetStream) explain(err error) error {
	if errors.Is(err, nats.ErrReconnectBufExceeded) {
		return t.disconnected()
	}
	return err
}

// note keeps the first trouble since the last progress: what follows is mostly
// its consequence.
func (t *jetStream) note(err error) {
	if t.trouble == nil {
		t.trouble = err
	}
}

func (t *jetStream) record(s *slot) *Record { return &s.batch.Records[s.record] }

// release frees a slot. Whoever waits is woken when an eighth of the window is
// free, not for each event.
func (t *jetStream) release(k int32) {
	s := &t.slots[k]
	r := t.record(s)
	t.bytes -= int(r.End - r.Start)
	t.used--
	b := s.batch
	*s = slot{gen: s.gen + 1}
	t.free = append(t.free, k)
	t.leave(b)
	if t.awaited && (t.used == 0 || len(t.free) > len(t.slots)/8 && t.bytes < t.limits.Load().inFlight/8*7) {
		t.awaited = false
		t.changed.Broadcast()
	}
}

// leave notes that a message of a batch has left the window, or that the
// publisher has read the batch.
func (t *jetStream) leave(b *Batch) {
	if b.left--; b.left > 0 {
		return
	}
	t.held -= b.cost()
	t.p.queue.recycle(b)
	if t.awaited && t.held <= t.limits.Load().inFlight {
		t.awaited = false
		t.changed.Broadcast()
	}
}
