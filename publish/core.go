package publish

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

// sendCore publishes one message by core NATS. While there is no connection it
// waits: what is lost is only what was under way when the connection broke, and
// what nobody subscribed to.
func (t *jetStream) sendCore(ctx context.Context, b *Batch, r *Record) error {
	for begin := time.Now(); ; {
		err := t.first.send(t, b, r, "")
		switch {
		case err == nil:
			if !r.Sensor {
				t.p.account.settle(sent, r.events())
			}
			return nil
		case errors.Is(err, nats.ErrMaxPayload):
			t.p.refuse(b, r, "max_payload", fmt.Sprintf("the server takes at most %d bytes", t.nc.MaxPayload()))
			return nil
		}
		err = t.explain(err)
		t.mu.Lock()
		t.note(err)
		t.mu.Unlock()
		if limit := t.limits.Load().stall; t.nc.IsClosed() || limit > 0 && !t.p.live && time.Since(begin) >= limit {
			return &NotAcknowledgedError{N: t.p.account.waiting(), Last: err}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(minBackOff):
		}
	}
}

// flushCore waits until the server has read all that was sent by core NATS.
func (t *jetStream) flushCore(ctx context.Context) error {
	if t.cfg.Mode != ModeCore && len(t.cfg.Core) == 0 {
		return nil
	}
	for begin := time.Now(); ; {
		bounded, cancel := context.WithTimeout(ctx, t.limits.Load().ack)
		err := t.nc.FlushWithContext(bounded)
		cancel()
		if err == nil {
			return nil
		}
		if limit := t.limits.Load().stall; t.nc.IsClosed() || limit > 0 && time.Since(begin) >= limit {
			return fmt.Errorf("flush: %w", t.explain(err))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(minBackOff):
		}
	}
}
