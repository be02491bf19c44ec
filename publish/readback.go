package publish

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// The bounds of reading a stream back.
const (
	// readBackTries is how often it is tried before messages are sent again in
	// spite of it.
	readBackTries = 5
	// readBackSilence is how long nothing may come.
	readBackSilence = 5 * time.Second
)

// readBack finds out which messages are stored that were sent so long ago that
// the server may have forgotten their ids: their acknowledgement was lost. They
// are acknowledged by that; the others are certain to be missing, and their time
// begins anew. If the stream may not be read, nothing changes, and sendAgain
// counts what may be doubled.
func (t *jetStream) readBack(ctx context.Context, now time.Time, all bool) {
	ids, floor := t.inDoubt(now, all)
	if len(ids) == 0 {
		return
	}
	var err error
	for try := range readBackTries {
		if err = t.lookFor(ctx, ids, floor); err == nil || ctx.Err() != nil {
			return
		}
		if forbidden(err) || !t.nc.IsConnected() || try == readBackTries-1 {
			break
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(backOff(uint32(try))):
		}
	}
	if !t.nc.IsConnected() {
		return // the next scan begins anew
	}
	t.p.opts.Log.Warn("the stream cannot be read back: some events may be stored twice", "events", len(ids), "error", err)
	if forbidden(err) {
		t.mu.Lock()
		t.blind = true
		t.mu.Unlock()
	}
}

// ref is one use of a slot.
type ref struct {
	k   int32
	gen uint32
}

// inDoubt returns the messages that may be stored without being known by their
// ids any more, and a sequence that all of them come after.
func (t *jetStream) inDoubt(now time.Time, all bool) (map[string]ref, uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.blind || t.cfg.Stream.Mode == StreamOff {
		return nil, 0
	}
	var ids map[string]ref
	floor := ^uint64(0)
	for k := range t.slots {
		s := &t.slots[k]
		if s.batch == nil || s.busy || s.fast != nil || s.due.After(now) && !all || !t.forgotten(s, now) {
			continue
		}
		if ids == nil {
			ids = map[string]ref{}
		}
		ids[string(s.batch.ID(t.record(s)))] = ref{int32(k), s.gen}
		floor = min(floor, s.floor)
	}
	return ids, floor
}

// lookFor reads the headers of what is stored after floor, and settles the
// messages in question.
func (t *jetStream) lookFor(ctx context.Context, ids map[string]ref, floor uint64) error {
	begin := time.Now()
	stored, last, err := t.storedAmong(ctx, ids, floor)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	found := 0
	for id, r := range ids {
		s := &t.slots[r.k]
		if !s.is(r.gen) {
			continue // answered meanwhile
		}
		if seq, ok := stored[id]; ok {
			t.acknowledge(r.k, seq, false)
			found++
		} else {
			s.first, s.floor = begin, last
		}
	}
	t.p.opts.Log.Info("read the stream back after an outage", "in_doubt", len(ids), "stored", found, "from", floor+1, "to", last)
	return nil
}

// storedAmong returns the sequences of those ids that are stored after floor,
// and the last sequence that was looked at.
func (t *jetStream) storedAmong(ctx context.Context, ids map[string]ref, floor uint64) (map[string]uint64, uint64, error) {
	js, err := t.jetStreamAPI()
	if err != nil {
		return nil, 0, err
	}
	var stream jetstream.Stream
	err = request(ctx, t.nc, requestWait, func(ctx context.Context) error {
		stream, err = js.Stream(ctx, t.cfg.Stream.Name)
		return err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("read the stream back: %w", err)
	}
	state := stream.CachedInfo().State
	if t.succeeded(stream.CachedInfo()) || state.LastSeq < floor {
		floor = 0 // another stream of the same name, or one that lost its end
	}
	stored := map[string]uint64{}
	if state.LastSeq == floor || state.Msgs == 0 {
		return stored, state.LastSeq, nil
	}
	var consumer jetstream.Consumer
	err = request(ctx, t.nc, requestWait, func(ctx context.Context) error {
		consumer, err = stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{
			DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: floor + 1, HeadersOnly: true,
		})
		return err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("read the stream back: make a consumer: %w", err)
	}
	it, err := consumer.Messages(pullsOf(consumer.CachedInfo()))
	if err != nil {
		return nil, 0, fmt.Errorf("read the stream back: %w", withRefusal(t.nc, err))
	}
	defer it.Stop()
	for {
		wait, stop := context.WithTimeout(ctx, readBackSilence)
		m, err := it.Next(jetstream.NextContext(wait))
		stop()
		if err != nil {
			return nil, 0, fmt.Errorf("read the stream back: %w", withRefusal(t.nc, err))
		}
		meta, err := m.Metadata()
		if err != nil {
			return nil, 0, fmt.Errorf("read the stream back: %w", err)
		}
		seq := meta.Sequence.Stream
		if id := m.Headers().Get(jetstream.MsgIDHeader); id != "" {
			if _, ours := ids[id]; ours {
				stored[id] = seq
			}
		}
		t.moved()
		// What comes behind the last sequence was stored while we were reading.
		if seq >= state.LastSeq || meta.NumPending == 0 {
			return stored, seq, nil
		}
	}
}

// succeeded says whether the stream is another one than before. What is known of
// the former's sequences is then forgotten.
func (t *jetStream) succeeded(now *jetstream.StreamInfo) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Created.Equal(t.stream.created) {
		return false
	}
	t.stream.created, t.stream.duplicates, t.lastSeq = now.Created, now.Config.Duplicates, 0
	for k := range t.slots {
		t.slots[k].floor = 0
	}
	return true
}

// moved tells that something goes on although nothing is acknowledged.
func (t *jetStream) moved() {
	t.mu.Lock()
	t.progress = time.Now()
	t.mu.Unlock()
}

// forbidden says that trying again cannot help.
func forbidden(err error) bool {
	return errors.Is(err, nats.ErrPermissionViolation) || errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount)
}
