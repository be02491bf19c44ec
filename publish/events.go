package publish

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/nats-io/nats.go"

	"flowscope/session"
)

// Received is one event as a consumer gets it.
type Received struct {
	// SessionEvent has the typed message of a protocol that the registry knows,
	// else a *RawMessage. It is owned by whoever receives it.
	*session.SessionEvent
	// Delivery is the message that it came in, perhaps with others.
	Delivery *Delivery
}

// PayloadError says that a message in the stream holds something that is no
// event. The others are not affected.
type PayloadError struct {
	Subject  string
	Sequence uint64
	Err      error
}

// Error names the message.
func (e *PayloadError) Error() string {
	return fmt.Sprintf("%s, message %d: %v", e.Subject, e.Sequence, e.Err)
}

// Unwrap returns Err.
func (e *PayloadError) Unwrap() error { return e.Err }

// ReceiveEvents returns the events of a stream in order, one by one however they
// are put into messages; for the rest it is like Subscribe. SubscribeConfig.Count
// counts events. Messages get the types that the factories of reg name; without
// reg all are a *RawMessage.
//
// What is no event is handed over as a *PayloadError, and the iteration goes on
// after it if the loop does: nothing that somebody else writes into the stream
// ends a consumer, or takes more memory than its own size a few times over. Any
// other error ends the iteration.
//
// With Durable a message is acknowledged when the loop's body has run for all
// of its events. If the loop is left before that, all of them come again.
func ReceiveEvents(ctx context.Context, nc *nats.Conn, cfg SubscribeConfig, reg *session.Registry) iter.Seq2[*Received, error] {
	return func(yield func(*Received, error) bool) {
		s, err := openSubscription(ctx, nc, cfg)
		n, left := 0, false
		if err == nil {
			s.cfg.Count = 0 // events are counted here
			err = s.each(ctx, func(d *Delivery) (done, more bool) {
				done, more = true, true
				for ev, err := range DecodeAll(d.Payload, reg) {
					if !more {
						return false, false // events are left
					}
					if err != nil {
						left = !yield(nil, &PayloadError{d.Subject, d.Sequence, err})
						return !left, !left
					}
					if left = !yield(&Received{ev, d}, nil); left {
						return false, false
					}
					if n++; n == cfg.Count {
						more = false
					}
				}
				return done, more
			})
		}
		if err != nil && ctx.Err() == nil && !left {
			yield(nil, fmt.Errorf("subscribe to %s: %w", strings.Join(cfg.Subjects, ", "), withRefusal(nc, err)))
		}
	}
}
