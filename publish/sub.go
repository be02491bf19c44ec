package publish

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// SubscribeConfig says what a consumer wants of a stream.
type SubscribeConfig struct {
	// Stream is the stream's name; "" stands for the one that covers Subjects.
	Stream string
	// Subjects may hold the wildcards * and >. At least one.
	Subjects []string
	// From is where to begin: FromStart, FromNew, or FromTime with Time. A
	// durable consumer that exists goes on where it was.
	From From
	// Time is when the first wanted message was stored, for FromTime.
	Time time.Time
	// Durable names a consumer that remembers what was consumed; "" for one
	// that remembers nothing.
	Durable string
	// Count ends the iteration after the message with which so many events have
	// come; 0 for no end.
	Count int
	// UntilCaughtUp ends it once nothing more is stored. What is unacknowledged of a
	// durable consumer is waited for, but not for longer than its ack_wait.
	UntilCaughtUp bool
}

// From says where a subscription begins.
type From uint8

// The beginnings.
const (
	FromStart From = iota
	FromNew
	FromTime
)

func (c *SubscribeConfig) policy() (jetstream.DeliverPolicy, *time.Time) {
	switch c.From {
	case FromNew:
		return jetstream.DeliverNewPolicy, nil
	case FromTime:
		return jetstream.DeliverByStartTimePolicy, &c.Time
	default:
		return jetstream.DeliverAllPolicy, nil
	}
}

// Delivery is one message of the stream. It is owned by whoever receives it.
type Delivery struct {
	Subject string
	// Payload is one event, or several one after another (see DecodeAll).
	Payload []byte
	// ID is the Nats-Msg-Id header.
	ID string
	// Header are all headers.
	Header map[string][]string
	// Sequence is the message's number in the stream, Stored when it was stored.
	Sequence uint64
	Stored   time.Time
}

// Subscribe returns the messages of a stream in order; it waits for more until
// ctx ends, which ends the iteration without an error. An error ends it, but
// servers that stop and start, clusters that look for a leader, and networks that
// break are waited for, as long as nc reconnects (see nats.MaxReconnects). A server
// that says for 45 s that there is no such stream or consumer is believed, and so is
// at once one whose stream of that name is not the one that was read.
//
// Without Durable every message comes exactly once as long as the iteration lasts.
// With Durable each is acknowledged after the loop's body has run for it, and the end
// of the iteration waits until the server has the acknowledgements, up to a quarter of a
// minute if it does not answer; leaving the loop leaves the message at hand
// unacknowledged, so that it is delivered again. Up to 256 messages are sent ahead, fewer
// if the loop takes long. If the process is killed, or the network breaks, those come
// again after the consumer's ack_wait, 30 s, behind what came meanwhile, and what a server
// forgets when it is killed may come twice.
func Subscribe(ctx context.Context, nc *nats.Conn, cfg SubscribeConfig) iter.Seq2[*Delivery, error] {
	return func(yield func(*Delivery, error) bool) {
		s, err := openSubscription(ctx, nc, cfg)
		left := false
		if err == nil {
			err = s.each(ctx, func(d *Delivery) (done, more bool) {
				left = !yield(d, nil)
				return !left, !left
			})
		}
		if err != nil && ctx.Err() == nil && !left {
			yield(nil, fmt.Errorf("subscribe to %s: %w", strings.Join(cfg.Subjects, ", "), withRefusal(nc, err)))
		}
	}
}

// source is where the messages of a subscription come from.
type source interface {
	// next waits for a message until ctx ends. errCaughtUp says that a
	// subscription that ends once nothing more is stored has ended.
	next(ctx context.Context) (jetstream.Msg, error)
	// settle is told of each message whether it was dealt with.
	settle(ctx context.Context, m jetstream.Msg, done bool) error
	stop() error
}

var errCaughtUp = errors.New("nothing more is stored")

type subscription struct {
	cfg    SubscribeConfig
	source source
}

func openSubscription(ctx context.Context, nc *nats.Conn, cfg SubscribeConfig) (*subscription, error) {
	stream, err := FindStream(ctx, nc, cfg)
	if err != nil {
		return nil, err
	}
	s := &subscription{cfg: cfg}
	s.cfg.Stream = stream.CachedInfo().Config.Name
	open := openOrdered
	if s.cfg.Durable != "" {
		open = openDurable
	}
	err = whenLed(ctx, nc, func() error {
		return request(ctx, nc, requestWait, func(ctx context.Context) error {
			s.source, err = open(ctx, nc, &s.cfg)
			return err
		})
	})
	return s, err
}

// FindStream looks up the stream that a subscription reads: the one that is named,
// or else the one that covers all subjects. A cluster that has no leader is given
// half a minute to find one.
func FindStream(ctx context.Context, nc *nats.Conn, cfg SubscribeConfig) (stream jetstream.Stream, err error) {
	if len(cfg.Subjects) == 0 {
		return nil, errors.New("want at least one subject")
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	err = whenLed(ctx, nc, func() error {
		return request(ctx, nc, requestWait, func(ctx context.Context) error {
			stream, err = lookUpStream(ctx, js, cfg)
			return err
		})
	})
	return stream, err
}

func lookUpStream(ctx context.Context, js jetstream.JetStream, cfg SubscribeConfig) (jetstream.Stream, error) {
	name := cfg.Stream
	if name == "" {
		var err error
		if name, err = streamOf(ctx, js, cfg.Subjects); err != nil {
			return nil, err
		}
	}
	stream, err := js.Stream(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", name, err)
	}
	return stream, nil
}

// streamOf finds the name of the one stream that covers all subjects.
func streamOf(ctx context.Context, js jetstream.JetStream, subjects []string) (string, error) {
	var found string
	for _, subject := range subjects {
		name, err := js.StreamNameBySubject(ctx, subject)
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound):
			return "", fmt.Errorf("no stream covers %s", subject)
		case err != nil:
			return "", fmt.Errorf("find the stream of %s: %w", subject, err)
		case found != "" && name != found:
			return "", fmt.Errorf("the subjects are in different streams, %s and %s: subscribe to one at a time", found, name)
		}
		found = name
	}
	return found, nil
}

// each calls f for each message until f wants no more or the subscription's end.
// What f is done with is acknowledged.
func (s *subscription) each(ctx context.Context, f func(*Delivery) (done, more bool)) (err error) {
	defer func() {
		if stopped := s.source.stop(); err == nil {
			err = stopped
		}
	}()
	for n := 0; ; {
		m, err := s.source.next(ctx)
		if errors.Is(err, errCaughtUp) {
			return nil
		}
		if err != nil {
			return err
		}
		n += eventsOf(m)
		more, err := s.deliver(ctx, m, f)
		if !more || err != nil || s.cfg.Count > 0 && n >= s.cfg.Count {
			return err
		}
	}
}

// eventsOf is the number of events in a message by its header.
func eventsOf(m jetstream.Msg) int {
	if n, err := strconv.ParseUint(m.Headers().Get(CountHeader), 10, 31); err == nil && n > 0 {
		return int(n)
	}
	return 1
}

// deliver hands one message over; more is false when it was the last.
func (s *subscription) deliver(ctx context.Context, m jetstream.Msg, f func(*Delivery) (done, more bool)) (more bool, err error) {
	meta, err := m.Metadata()
	if err != nil {
		return false, fmt.Errorf("message without metadata: %w", err)
	}
	d := &Delivery{
		Subject: m.Subject(), Payload: m.Data(), Header: m.Headers(),
		ID:       m.Headers().Get(jetstream.MsgIDHeader),
		Sequence: meta.Sequence.Stream, Stored: meta.Timestamp.UTC(),
	}
	done, more := f(d)
	if err := s.source.settle(ctx, m, done); err != nil {
		return false, fmt.Errorf("acknowledge message %d: %w", d.Sequence, err)
	}
	return done && more, nil
}
