package publish

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
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
	// UntilCaughtUp ends it once nothing more is stored.
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
// ctx ends, which ends the iteration without an error. Any error ends it.
//
// With Durable each message is acknowledged, and the acknowledgement confirmed,
// after the loop's body has run for it, which takes two round trips; leaving the loop leaves the message at
// hand unacknowledged, so that it is delivered again. Without Durable every
// message comes exactly once as long as the iteration lasts.
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

// pullAhead is how many messages are asked for at once, for an ordered consumer.
const pullAhead = 500

type subscription struct {
	nc       *nats.Conn
	cfg      SubscribeConfig
	consumer jetstream.Consumer
	// waiting is how many messages were stored when the subscription began.
	waiting uint64
}

func openSubscription(ctx context.Context, nc *nats.Conn, cfg SubscribeConfig) (s *subscription, err error) {
	err = request(ctx, nc, requestWait, func(ctx context.Context) error {
		s, err = newSubscription(ctx, nc, cfg)
		return err
	})
	return s, err
}

func newSubscription(ctx context.Context, nc *nats.Conn, cfg SubscribeConfig) (*subscription, error) {
	if len(cfg.Subjects) == 0 {
		return nil, errors.New("want at least one subject")
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	if cfg.Stream == "" {
		if cfg.Stream, err = streamOf(ctx, js, cfg.Subjects); err != nil {
			return nil, err
		}
	}
	stream, err := js.Stream(ctx, cfg.Stream)
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", cfg.Stream, err)
	}
	s := &subscription{nc: nc, cfg: cfg}
	if cfg.Durable == "" {
		s.consumer, err = stream.OrderedConsumer(ctx, cfg.ordered())
	} else {
		s.consumer, err = cfg.durable(ctx, stream)
	}
	if err != nil {
		return nil, err
	}
	info, err := s.consumer.Info(ctx)
	if err != nil {
		return nil, fmt.Errorf("look up the consumer: %w", err)
	}
	s.waiting = info.NumPending + uint64(max(info.NumAckPending, 0))
	return s, nil
}

// streamOf finds the one stream that covers all subjects.
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

func (c *SubscribeConfig) ordered() jetstream.OrderedConsumerConfig {
	policy, start := c.policy()
	return jetstream.OrderedConsumerConfig{FilterSubjects: c.Subjects, DeliverPolicy: policy, OptStartTime: start}
}

// durable finds or creates the durable consumer; it never changes one.
func (c *SubscribeConfig) durable(ctx context.Context, stream jetstream.Stream) (jetstream.Consumer, error) {
	consumer, err := stream.Consumer(ctx, c.Durable)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		policy, start := c.policy()
		consumer, err = stream.CreateConsumer(ctx, jetstream.ConsumerConfig{
			Durable: c.Durable, FilterSubjects: c.Subjects, DeliverPolicy: policy, OptStartTime: start,
			AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: 1000,
		})
	}
	if err != nil {
		return nil, fmt.Errorf("durable consumer %s: %w", c.Durable, err)
	}
	have := consumer.CachedInfo().Config
	subjects := have.FilterSubjects
	if have.FilterSubject != "" {
		subjects = []string{have.FilterSubject}
	}
	if !slices.Equal(slices.Sorted(slices.Values(subjects)), slices.Sorted(slices.Values(c.Subjects))) {
		return nil, fmt.Errorf("durable consumer %s exists for %s", c.Durable, strings.Join(subjects, ", "))
	}
	if have.AckPolicy != jetstream.AckExplicitPolicy {
		return nil, fmt.Errorf("durable consumer %s exists without explicit acknowledgement", c.Durable)
	}
	return consumer, nil
}

// each calls f for each message until f wants no more or the subscription's end.
// What f is done with is acknowledged.
func (s *subscription) each(ctx context.Context, f func(*Delivery) (done, more bool)) error {
	if s.cfg.UntilCaughtUp && s.waiting == 0 {
		return nil
	}
	next, stop, err := s.messages(ctx)
	if err != nil {
		return err
	}
	defer stop()
	for n := 0; ; {
		m, err := next()
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

// messages returns a function that waits for the next message. A durable
// consumer is asked for one at a time: what it sends ahead and is not
// acknowledged would come again late and out of order.
func (s *subscription) messages(ctx context.Context) (next func() (jetstream.Msg, error), stop func(), err error) {
	if s.cfg.Durable == "" {
		it, err := s.consumer.Messages(jetstream.PullMaxMessages(pullAhead))
		if err != nil {
			return nil, nil, err
		}
		next := func(ctx context.Context) (jetstream.Msg, error) { return it.Next(jetstream.NextContext(ctx)) }
		return func() (jetstream.Msg, error) { return s.patiently(ctx, time.Second, next) }, it.Stop, nil
	}
	fetch := func(ctx context.Context) (m jetstream.Msg, err error) {
		err = request(ctx, s.nc, fetchWait, func(ctx context.Context) error {
			m, err = s.consumer.Next(jetstream.FetchContext(ctx))
			return err
		})
		return m, err
	}
	return func() (jetstream.Msg, error) { return s.patiently(ctx, fetchWait, fetch) }, func() {}, nil
}

// fetchWait is how long one request for a message stands before it is renewed.
const fetchWait = 10 * time.Second

// patiently waits for a message until ctx ends, some time after another, unless
// the account may not ask for one, which has no answer either.
func (s *subscription) patiently(ctx context.Context, some time.Duration, next func(context.Context) (jetstream.Msg, error)) (jetstream.Msg, error) {
	for {
		wait, cancel := context.WithTimeout(ctx, some)
		m, err := next(wait)
		timedOut := wait.Err() != nil
		cancel()
		switch {
		case err == nil:
			return m, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case refused(s.nc) != nil:
			return nil, err
		case timedOut || errors.Is(err, nats.ErrTimeout) || errors.Is(err, jetstream.ErrNoMessages):
		default:
			return nil, err
		}
	}
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
	if !done {
		if s.cfg.Durable != "" {
			err = m.Nak()
		}
		return false, err
	}
	if s.cfg.Durable != "" {
		if err := request(ctx, s.nc, requestWait, m.DoubleAck); err != nil {
			return false, fmt.Errorf("acknowledge message %d: %w", d.Sequence, err)
		}
	}
	return more && (!s.cfg.UntilCaughtUp || meta.NumPending > 0), nil
}
