package publish

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// answer takes the server's answer to one event, in the goroutine of the
// subscription.
func (t *jetStream) answer(m *nats.Msg) {
	k, gen, ok := t.slotOf(m.Subject)
	if !ok {
		if t.fast.on {
			t.answerFast(m)
		}
		return
	}
	if seq, ok := usualAck(m.Data, t.prefix); ok {
		t.mu.Lock()
		if t.slots[k].is(gen) {
			t.acknowledge(k, seq, false)
		}
		t.mu.Unlock()
		return
	}
	t.unusual(m, k, gen)
}

// unusual takes an answer that is not the one of every day.
func (t *jetStream) unusual(m *nats.Msg, k int32, gen uint32) {
	var a pubAck
	var err error
	if len(m.Data) == 0 && m.Header.Get("Status") == "503" {
		err = fmt.Errorf("no stream takes the subject, or JetStream is off: %w", nats.ErrNoResponders)
	} else if err = parseAck(m.Data, &a); err == nil {
		err = t.judge(&a)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	s := &t.slots[k]
	if !s.is(gen) {
		return // answered before: it was sent twice
	}
	var refusal *ackError
	switch {
	case err == nil:
		if a.Duplicate {
			t.noteDuplicate(k, a.Seq)
		}
		t.acknowledge(k, a.Seq, a.Duplicate)
	case errors.As(err, &refusal) && refusal.permanent():
		t.refuse(k, "refused", refusal.Error())
	default:
		t.note(err)
		s.due = time.Now().Add(backOff(max(s.tries, 1) - 1)) // 0: answered before it was counted
	}
}

// acknowledge ends a message that is stored.
func (t *jetStream) acknowledge(k int32, seq uint64, duplicate bool) {
	if r := t.record(&t.slots[k]); !r.Sensor {
		t.p.account.acknowledge(r.events(), duplicate)
	}
	t.lastSeq = max(t.lastSeq, seq)
	t.progress, t.trouble = time.Now(), nil
	t.release(k)
}

// noteDuplicate notes where the stream has the events of a message that it knew: what
// left once only, or is stored from before it left, has come from another run.
func (t *jetStream) noteDuplicate(k int32, seq uint64) {
	s := &t.slots[k]
	if r := t.record(s); !r.Sensor && (!s.again || seq <= s.floor) {
		t.p.account.storedElsewhere(s.batch.Worker, int(r.Topic), r.events())
	}
}

// judge says whether an answer acknowledges. Only our own domain's and stream's
// does: where streams of several domains take the same subjects, others answer
// too.
func (t *jetStream) judge(a *pubAck) error {
	switch {
	case a.Stream != "" && t.prefix != nil && a.Stream != t.cfg.Stream.Name:
		return fmt.Errorf("answered by stream %q, not by %q", a.Stream, t.cfg.Stream.Name)
	case a.Error != nil:
		return a.Error
	case a.Stream != "" && t.cfg.Stream.Domain != "" && a.Domain != t.cfg.Stream.Domain:
		return fmt.Errorf("answered by domain %q, not by %q", a.Domain, t.cfg.Stream.Domain)
	}
	return nil
}

func (t *jetStream) slotOf(subject string) (int32, uint32, bool) {
	token, ok := strings.CutPrefix(subject, t.inbox)
	if !ok {
		return 0, 0, false
	}
	n, err := strconv.ParseUint(token, 36, 64)
	if k := n >> 32; err == nil && k < uint64(len(t.slots)) {
		return int32(k), uint32(n), true
	}
	return 0, 0, false
}

// refuse ends an event that the server will never take.
func (t *jetStream) refuse(k int32, reason, detail string) {
	s := &t.slots[k]
	t.p.refuse(s.batch, t.record(s), reason, detail)
	t.progress = time.Now()
	t.release(k)
}
