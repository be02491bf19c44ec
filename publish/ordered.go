package publish

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// How an ordered consumer asks for messages.
const (
	// pullAhead is how many it asks for at once.
	pullAhead = 500
	// pullExpiry is how long such a request stands, pullHeartbeat how often the
	// server says meanwhile that it does; after two that are missing it does not.
	pullExpiry    = 30 * time.Second
	pullHeartbeat = 5 * time.Second
	// forgottenAfter is when the server removes a consumer that asks no more.
	forgottenAfter = 30 * time.Second
	// glance is how often it looks whether the connection is still the same.
	glance = 250 * time.Millisecond
)

// ordered reads a stream by consumers that the server keeps in memory and whose
// messages are not acknowledged. It replaces one that is gone, or of which a message
// was lost on the way, by another that begins behind the last message that came
// (ADR-17 of NATS has the idea).
type ordered struct {
	nc  *nats.Conn
	js  jetstream.JetStream
	cfg *SubscribeConfig

	created    time.Time // tells the stream from its successor of the same name
	messages   jetstream.MessagesContext
	last       uint64 // number in the stream of the last message, or of the one before the first
	count      uint64 // messages of this consumer
	pending    uint64 // messages stored behind the last
	reconnects uint64 // of nc, at its beginning
}

func openOrdered(ctx context.Context, nc *nats.Conn, cfg *SubscribeConfig) (source, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	o := &ordered{nc: nc, js: js, cfg: cfg}
	if err := o.open(ctx); err != nil {
		return nil, err
	}
	return o, nil
}

// open makes a consumer, the first one or the next.
func (o *ordered) open(ctx context.Context) error {
	reconnects := o.nc.Stats().Reconnects
	stream, err := o.js.Stream(ctx, o.cfg.Stream)
	if err != nil {
		return fmt.Errorf("stream %s: %w", o.cfg.Stream, err)
	}
	created := stream.CachedInfo().Created
	if !o.created.IsZero() && !created.Equal(o.created) {
		return &replacedError{o.cfg.Stream, o.last}
	}
	consumer, err := stream.CreateConsumer(ctx, o.config())
	if err != nil {
		return fmt.Errorf("make a consumer: %w", err)
	}
	info, err := consumer.Info(ctx)
	if err != nil {
		return fmt.Errorf("look up the consumer: %w", err)
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(pullAhead),
		jetstream.PullExpiry(pullExpiry), jetstream.PullHeartbeat(pullHeartbeat))
	if err != nil {
		return err
	}
	if o.created.IsZero() {
		o.last = info.Delivered.Stream
	}
	o.created, o.messages, o.count, o.reconnects = created, messages, 0, reconnects
	o.pending = info.NumPending
	return nil
}

func (o *ordered) config() jetstream.ConsumerConfig {
	c := jetstream.ConsumerConfig{
		AckPolicy: jetstream.AckNonePolicy, MaxDeliver: 1, MemoryStorage: true, Replicas: 1, InactiveThreshold: forgottenAfter,
	}
	c.DeliverPolicy, c.OptStartTime = o.cfg.policy()
	if !o.created.IsZero() {
		c.DeliverPolicy, c.OptStartTime, c.OptStartSeq = jetstream.DeliverByStartSequencePolicy, nil, o.last+1
	}
	if len(o.cfg.Subjects) == 1 {
		c.FilterSubject = o.cfg.Subjects[0]
	} else {
		c.FilterSubjects = o.cfg.Subjects
	}
	return c
}

func (o *ordered) next(ctx context.Context) (jetstream.Msg, error) {
	before := o.nc.LastError()
	for {
		if o.cfg.UntilCaughtUp && o.pending == 0 {
			return nil, errCaughtUp
		}
		m, err := o.await(ctx)
		if err == nil {
			meta, err := m.Metadata()
			if err != nil {
				return nil, fmt.Errorf("message without metadata: %w", err)
			}
			if meta.Sequence.Consumer == o.count+1 {
				o.count, o.last, o.pending = o.count+1, meta.Sequence.Stream, meta.NumPending
				return m, nil
			}
		}
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case refusedSince(o.nc, before) != nil, o.nc.IsClosed():
			return nil, err
		}
		o.messages.Stop()
		if err := keepTrying(ctx, o.nc, o.open); err != nil {
			return nil, err
		}
	}
}

// await waits for a message of this consumer as long as there is hope.
func (o *ordered) await(ctx context.Context) (jetstream.Msg, error) {
	before := o.nc.LastError()
	for {
		wait, cancel := context.WithTimeout(ctx, glance)
		m, err := o.messages.Next(jetstream.NextContext(wait))
		cancel()
		switch {
		case err == nil, ctx.Err() != nil, !errors.Is(err, context.DeadlineExceeded):
			return m, err
		case refusedSince(o.nc, before) != nil, o.nc.IsClosed(), o.nc.Stats().Reconnects != o.reconnects:
			return nil, err
		}
	}
}

func (o *ordered) settle(context.Context, jetstream.Msg, bool) error { return nil }

func (o *ordered) stop() error {
	o.messages.Stop()
	return nil
}

// replacedError says that a stream is not the one that was read.
type replacedError struct {
	stream string
	last   uint64
}

func (e *replacedError) Error() string {
	return fmt.Sprintf("stream %s was deleted and made anew after its message %d: begin again", e.stream, e.last)
}
