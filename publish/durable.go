package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// fetchWait is how long one request for a message stands before it is renewed.
const fetchWait = 10 * time.Second

// durable reads a stream by a consumer that the server remembers. It asks for one
// message at a time: what a server sends ahead and is not acknowledged would come
// again late and out of order.
type durable struct {
	nc       *nats.Conn
	consumer jetstream.Consumer
}

func openDurable(ctx context.Context, nc *nats.Conn, cfg *SubscribeConfig) (source, uint64, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, 0, err
	}
	stream, err := js.Stream(ctx, cfg.Stream)
	if err != nil {
		return nil, 0, fmt.Errorf("stream %s: %w", cfg.Stream, err)
	}
	d := &durable{nc: nc}
	if d.consumer, err = cfg.durable(ctx, stream); err != nil {
		return nil, 0, err
	}
	info, err := d.consumer.Info(ctx)
	if err != nil {
		return nil, 0, fmt.Errorf("look up the consumer: %w", err)
	}
	return d, info.NumPending + uint64(max(info.NumAckPending, 0)), nil
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

func (d *durable) next(ctx context.Context) (m jetstream.Msg, err error) {
	before := d.nc.LastError()
	for {
		err = request(ctx, d.nc, fetchWait, func(ctx context.Context) error {
			m, err = d.consumer.Next(jetstream.FetchContext(ctx))
			return err
		})
		switch {
		case err == nil:
			return m, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case refusedSince(d.nc, before) != nil, d.nc.IsClosed():
			return nil, err
		case errors.Is(err, nats.ErrTimeout), errors.Is(err, jetstream.ErrNoMessages), errors.Is(err, context.DeadlineExceeded):
			continue
		}
		// Its server or leader has gone, or itself.
		if !pause(ctx, tryPause) {
			return nil, ctx.Err()
		}
		if err := keepTrying(ctx, d.nc, d.lookUp); err != nil {
			return nil, err
		}
	}
}

func (d *durable) lookUp(ctx context.Context) error {
	if _, err := d.consumer.Info(ctx); err != nil {
		return fmt.Errorf("durable consumer %s: %w", d.consumer.CachedInfo().Name, err)
	}
	return nil
}

func (d *durable) settle(ctx context.Context, m jetstream.Msg, done bool) error {
	if !done {
		return m.Nak()
	}
	return keepTrying(ctx, d.nc, m.DoubleAck)
}

func (d *durable) stop() {}
