package publish

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// JetStream's fast ingest: messages are numbered within a batch by their reply
// subjects, <inbox>.<batch>.<flow>.<gap>.<number>.<operation>.$FI, and the server
// acknowledges runs of them. A batch that has been silent for 10 s is forgotten.
const (
	fastSuffix = ".$FI"
	fastFlow   = 500 // messages between two acknowledgements that we ask for
	// fastWindows is how many times that may be under way.
	fastWindows = 4
	// fastLinger is how long a message waits at most for its acknowledgement before
	// the batch is closed, which acknowledges all of it; fastIdle is the same for a
	// batch that nothing was added to.
	fastLinger = time.Second
	fastIdle   = 100 * time.Millisecond
)

// The operations.
const (
	fastStart  = "0"
	fastAppend = "1"
	fastClose  = "3" // with a number but without a message
)

// fastIngest is the transport's part for fast ingest. The jetStream's mu guards
// it.
type fastIngest struct {
	on    bool
	count uint64 // of batches
	open  *fastBatch
	// closing are batches whose end is under way.
	closing []*fastBatch
}

// fastBatch is one batch. Its messages are acknowledged in order.
type fastBatch struct {
	id       string
	subject  string // of its latest message
	seq      uint64 // number of its latest message
	acked    uint64 // number of the latest acknowledged one
	flow     uint64 // messages between two acknowledgements, by the server's word
	slots    []int32
	head     int
	oldest   time.Time // when the first unacknowledged message left
	latest   time.Time // when the last one did
	closedAt time.Time
}

func (b *fastBatch) pending() int { return len(b.slots) - b.head }

// full says that enough is under way.
func (f *fastIngest) full() bool {
	return f.open != nil && uint64(f.open.pending()) >= fastWindows*f.open.flow
}

// reply is the subject of one operation, appended to buf.
func (b *fastBatch) reply(buf []byte, inbox string, seq uint64, operation string) []byte {
	buf = append(append(buf, inbox...), b.id...)
	buf = append(strconv.AppendUint(append(buf, '.'), fastFlow, 10), ".fail."...)
	buf = append(strconv.AppendUint(buf, seq, 10), '.')
	return append(append(buf, operation...), fastSuffix...)
}

// sendFast adds a message to the open batch, or to a new one. If that fails, the
// message is sent on its own.
func (t *jetStream) sendFast(b *Batch, r *Record, k int32, gen uint32) {
	t.sending.Lock()
	defer t.sending.Unlock()
	now := time.Now()
	t.mu.Lock()
	batch, operation := t.fast.open, fastAppend
	if batch == nil {
		t.fast.count++
		// The inbox is unique, so the id is unique within the stream.
		id := strings.TrimSuffix(strings.TrimPrefix(t.inbox, "_INBOX."), ".")
		id = strings.ReplaceAll(id, ".", "-")
		batch = &fastBatch{id: id[max(0, len(id)-32):] + "-" + strconv.FormatUint(t.fast.count, 36), flow: fastFlow}
		t.fast.open, operation = batch, fastStart
	}
	if batch.pending() == 0 {
		batch.slots, batch.head = batch.slots[:0], 0
		batch.oldest = now
	}
	batch.seq++
	batch.slots = append(batch.slots, k)
	batch.latest, batch.subject = now, t.p.subjects[r.Topic]
	seq := batch.seq
	s := &t.slots[k]
	s.fast, s.busy, s.first, s.tries = batch, false, now, 1
	t.mu.Unlock()

	t.first.reply = batch.reply(t.first.reply[:0], t.inbox, seq, operation)
	if err := t.first.send(t, b, r, view(t.first.reply)); err != nil {
		t.mu.Lock()
		defer t.mu.Unlock()
		if s.is(gen) && s.fast == batch {
			t.abandon(batch)
			if errors.Is(err, nats.ErrMaxPayload) {
				t.noteSending(k, err)
			} else {
				t.note(t.explain(err))
			}
		}
	}
}

// abandon gives a batch up: its unacknowledged messages are sent again one by
// one, each with an acknowledgement of its own.
func (t *jetStream) abandon(b *fastBatch) {
	now := time.Now()
	for _, k := range b.slots[b.head:] {
		s := &t.slots[k]
		s.fast, s.due = nil, now
	}
	b.slots, b.head = nil, 0
	t.forget(b)
}

// forget drops a batch that has ended.
func (t *jetStream) forget(b *fastBatch) {
	if t.fast.open == b {
		t.fast.open = nil
	}
	for i, c := range t.fast.closing {
		if c == b {
			t.fast.closing = append(t.fast.closing[:i], t.fast.closing[i+1:]...)
			break
		}
	}
	t.changed.Broadcast()
}

// lookAfterFast closes batches before the server forgets them, and gives up
// those that are not acknowledged in time or were cut off.
func (t *jetStream) lookAfterFast(now time.Time, all bool) {
	if !t.fast.on {
		return
	}
	t.mu.Lock()
	for _, b := range append([]*fastBatch(nil), t.fast.closing...) {
		if all || now.Sub(b.closedAt) >= t.limits.Load().ack {
			t.abandon(b)
		}
	}
	b := t.fast.open
	commit := false
	if b != nil {
		switch {
		case all:
			t.abandon(b)
		case b.pending() > 0 && now.Sub(b.oldest) >= t.linger() || now.Sub(b.latest) >= fastIdle:
			commit = true
		}
	}
	t.mu.Unlock()
	if commit {
		t.commitFast()
	}
}

// linger ends before the time-out of an acknowledgement does.
func (t *jetStream) linger() time.Duration { return min(fastLinger, t.limits.Load().ack/2) }

// commitFast closes the open batch, if there is one.
func (t *jetStream) commitFast() {
	t.sending.Lock()
	defer t.sending.Unlock()
	t.mu.Lock()
	b := t.fast.open
	if b == nil {
		t.mu.Unlock()
		return
	}
	t.fast.open = nil
	b.closedAt = time.Now()
	t.fast.closing = append(t.fast.closing, b)
	t.changed.Broadcast()
	subject, reply := b.subject, string(b.reply(nil, t.inbox, b.seq+1, fastClose))
	t.mu.Unlock()
	if err := t.put(&nats.Msg{Subject: subject, Reply: reply}); err != nil {
		t.mu.Lock()
		t.abandon(b)
		t.note(t.explain(err))
		t.mu.Unlock()
	}
}

// fastAnswer is any of the server's answers within a batch.
type fastAnswer struct {
	pubAck
	Type     string `json:"type"`
	Messages uint64 `json:"msgs"`
	Batch    string `json:"batch"`
	Count    uint64 `json:"count"`
}

// answerFast takes an answer within a batch.
func (t *jetStream) answerFast(m *nats.Msg) {
	id, ok := strings.CutPrefix(m.Subject, t.inbox)
	if !ok || !strings.HasSuffix(id, fastSuffix) {
		return
	}
	id, _, _ = strings.Cut(id, ".")
	var a fastAnswer
	var err error
	switch {
	case len(m.Data) == 0 && m.Header.Get("Status") == "503":
		err = fmt.Errorf("no stream takes the subject, or JetStream is off: %w", nats.ErrNoResponders)
	case len(m.Data) > maxAck:
		err = fmt.Errorf("answer of %d bytes", len(m.Data))
	default:
		err = json.Unmarshal(bytes.TrimSpace(m.Data), &a)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.fast.byID(id)
	if b == nil {
		return // ended, or given up: its messages are sent on their own
	}
	if err == nil && a.Type != "ack" && a.Type != "gap" && a.Type != "err" {
		err = t.judge(&a.pubAck)
	}
	switch {
	case err != nil:
		t.note(err)
		t.abandon(b)
	case a.Type == "ack":
		if a.Messages > 0 {
			b.flow = min(a.Messages, fastFlow)
		}
		t.acknowledgeFast(b, a.Seq, 0)
	case a.Type == "gap":
		// The batch ends with an acknowledgement of what comes before the gap.
		t.note(errors.New("fast ingest: the server misses messages"))
	case a.Type == "err":
		if a.Error != nil {
			t.note(a.Error)
		}
		t.abandon(b)
	default: // the end
		t.acknowledgeFast(b, a.Count, a.Seq)
		t.abandon(b)
	}
}

func (f *fastIngest) byID(id string) *fastBatch {
	if f.open != nil && f.open.id == id {
		return f.open
	}
	for _, b := range f.closing {
		if b.id == id {
			return b
		}
	}
	return nil
}

// acknowledgeFast ends the messages up to number n; seq is the stream's
// sequence of the last one, 0 if it was not told.
func (t *jetStream) acknowledgeFast(b *fastBatch, n, seq uint64) {
	for b.acked < min(n, b.seq) && b.pending() > 0 {
		k := b.slots[b.head]
		b.head++
		b.acked++
		t.acknowledge(k, seq, false)
	}
	if b.pending() > 0 {
		b.oldest = t.slots[b.slots[b.head]].first
	}
	if b.head > 4096 && b.head*2 > len(b.slots) {
		b.slots = append(b.slots[:0], b.slots[b.head:]...)
		b.head = 0
	}
	if t.awaited && !t.fast.full() {
		t.awaited = false
		t.changed.Broadcast()
	}
}
