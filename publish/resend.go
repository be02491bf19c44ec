package publish

import (
	"context"
	"strings"
	"time"
)

// scanInterval is how often the window is searched for what must be sent again.
const scanInterval = 50 * time.Millisecond

// windowMargin is how much earlier than the server's duplicate window ids count
// as forgotten.
const windowMargin = 10 * time.Second

// The back-off between two attempts at one event.
const (
	minBackOff = 100 * time.Millisecond
	maxBackOff = 5 * time.Second
)

// run sends again what was not acknowledged in time, or was under way when the
// connection broke, and notices when nothing moves any more.
func (t *jetStream) run(ctx context.Context) {
	ticker := time.NewTicker(scanInterval)
	defer ticker.Stop()
	connects := t.nc.Stats().Reconnects
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			t.reach.look(now, t.nc.IsConnected(), t.cfg.ConnectTimeout, t.p.opts.Log, t.disconnected)
			if !t.stalled(now) && t.nc.IsConnected() && t.isReady(ctx) {
				reconnects := t.nc.Stats().Reconnects
				t.scan(ctx, now, reconnects != connects)
				connects = reconnects
			}
		}
	}
}

func (t *jetStream) scan(ctx context.Context, now time.Time, all bool) {
	if all {
		t.mu.Lock()
		t.blind = false // the login may be another one
		t.mu.Unlock()
		t.refresh(ctx)
	}
	t.lookAfterFast(now, all)
	t.readBack(ctx, now, all)
	for k := range t.slots {
		if ctx.Err() != nil {
			return
		}
		t.sendAgain(int32(k), now, all)
	}
}

// stalled ends a replay in which nothing is acknowledged any more, and notes
// that the connection is gone.
func (t *jetStream) stalled(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.used == 0 || t.failed != nil {
		return t.failed != nil
	}
	if !t.nc.IsConnected() {
		t.note(t.disconnected())
	} else if err := t.refusal(); err != nil {
		t.note(err) // publishing without permission has no answer
	}
	limit := t.limits.Load().stall
	over := limit > 0 && !t.p.live && now.Sub(t.progress) >= limit
	if !over && !t.nc.IsClosed() {
		return false
	}
	t.failed = &NotAcknowledgedError{N: t.p.account.waiting(), Last: t.trouble}
	t.changed.Broadcast()
	return true
}

// refusal is what the server says if the account may not publish, or not hear of
// it.
func (t *jetStream) refusal() error {
	root, _, _ := strings.Cut(t.p.subjects[0], ".")
	return violation(t.nc, root+".", t.inbox)
}

// forgotten says whether the server may by now have forgotten a message's id.
func (t *jetStream) forgotten(s *slot, now time.Time) bool {
	window := t.stream.remembers(s.first)
	return s.tries > 0 && elapsed(now, s.first) > window-min(windowMargin, window/2)
}

// elapsed is the time from then to now by whichever clock saw more of it: the one that
// only goes forward stands still while the machine sleeps, and the one on the wall may
// be set back.
func elapsed(now, then time.Time) time.Duration {
	return max(now.Sub(then), now.Round(0).Sub(then.Round(0)))
}

// sendAgain sends one message again if it is due. The payload is copied first: an
// answer to the earlier sending may come at any time and give the batch back.
func (t *jetStream) sendAgain(k int32, now time.Time, all bool) {
	t.mu.Lock()
	s := &t.slots[k]
	if s.batch == nil || s.busy || s.fast != nil || s.due.After(now) && !all {
		t.mu.Unlock()
		return
	}
	var again, doubled uint64
	r := *t.record(s)
	forgotten := t.forgotten(s, now)
	if s.tries > 0 && !r.Sensor {
		again = r.events()
		if forgotten {
			doubled = again
		}
	}
	b := t.second.copyOf(s.batch, &r)
	gen := s.gen
	s.again = true
	t.mu.Unlock()

	err := t.second.send(t, b, &b.Records[0], t.second.replyFor(t, k, gen))
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		t.p.account.again(again, doubled)
	}
	if s.is(gen) {
		if forgotten && err == nil {
			s.first = now // counted once for each window
		}
		t.noteSending(k, err)
	}
}

func backOff(tries uint32) time.Duration {
	return min(minBackOff<<min(tries, 10), maxBackOff)
}
