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
	// pullAhead is how many it asks for at once, if the server allows for it.
	pullAhead = 500
	// pullExpiry is how long such a request stands.
	pullExpiry = 30 * time.Second
	// forgottenAfter is when the server removes a consumer that asks no more.
	forgottenAfter = 30 * time.Second
	// glance is how often it looks whether the connection is still the same.
	glance = 250 * time.Millisecond
	// lull is how long nothing comes before the server is asked what has become of
	// the consumer, briefLull the same where it is the end if nothing is to come.
	lull      = 5 * time.Second
	briefLull = time.Second
)

// errLost says that a message, or the request for messages, was lost on the way.
var errLost = errors.New("lost on the way")

// ordered reads a stream by consumers that the server keeps in memory and whose
// messages are not acknowledged. It replaces one that is gone, or of which a message
// was lost on the way, by another that begins behind the last message that came
// (ADR-17 of NATS has the idea).
type ordered struct {
	nc  *nats.Conn
	js  jetstream.JetStream
	cfg *SubscribeConfig

	created    time.Time // tells the stream from its successor of the same name
	consumer   jetstream.Consumer
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
	messages, err := consumer.Messages(pullsOf(info), jetstream.PullExpiry(pullExpiry))
	if err != nil {
		return err
	}
	if o.created.IsZero() {
		o.last = info.Delivered.Stream
	}
	o.created, o.consumer, o.messages, o.count, o.reconnects = created, consumer, messages, 0, reconnects
	o.pending = info.NumPending
	return nil
}

// pullsOf is how many messages to ask a consumer for at once.
func pullsOf(c *jetstream.ConsumerInfo) jetstream.PullMaxMessages {
	if most := c.Config.MaxRequestBatch; most > 0 {
		return jetstream.PullMaxMessages(min(pullAhead, most))
	}
	return pullAhead
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
			err = o.follows(m)
		}
		switch {
		case err == nil:
			return m, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case refusedSince(o.nc, before) != nil, o.nc.IsClosed(), errors.Is(err, errCaughtUp):
			return nil, err
		}
		o.messages.Stop()
		if o.count == 0 && !pause(ctx, tryPause) { // the next one may do no better
			return nil, ctx.Err()
		}
		if err := keepTrying(ctx, o.nc, o.open); err != nil {
			return nil, err
		}
	}
}

// follows takes note of a message. It is an error if it is not the next one.
func (o *ordered) follows(m jetstream.Msg) error {
	meta, err := m.Metadata()
	if err != nil {
		return fmt.Errorf("message without metadata: %w", err)
	}
	if meta.Sequence.Consumer != o.count+1 {
		return errLost
	}
	o.count, o.last, o.pending = o.count+1, meta.Sequence.Stream, meta.NumPending
	return nil
}

// await waits for a message of this consumer as long as there is hope.
func (o *ordered) await(ctx context.Context) (jetstream.Msg, error) {
	before := o.nc.LastError()
	every := lull
	if o.cfg.UntilCaughtUp {
		every = briefLull
	}
	doubted := false
	for asked := time.Now(); ; {
		wait, cancel := context.WithTimeout(ctx, glance)
		m, err := o.messages.Next(jetstream.NextContext(wait))
		cancel()
		switch {
		case err == nil, ctx.Err() != nil, !errors.Is(err, context.DeadlineExceeded):
			return m, err
		case refusedSince(o.nc, before) != nil, o.nc.IsClosed(), o.nc.Stats().Reconnects != o.reconnects:
			return nil, err
		case time.Since(asked) < every:
			continue
		}
		sound, err := o.ask(ctx)
		if err == nil && !sound && doubted {
			err = errLost
		}
		if err != nil {
			return nil, err
		}
		doubted, asked = !sound, time.Now()
	}
}

// ask asks the server for the consumer, of which nothing is heard: it may be gone without
// a word, together with the server that had it, and what is stored may have been removed.
// It is sound if the server has sent no more than has come and is asked for more; if not,
// that may just be under way.
func (o *ordered) ask(ctx context.Context) (sound bool, err error) {
	var info *jetstream.ConsumerInfo
	err = request(ctx, o.nc, requestWait, func(ctx context.Context) (err error) {
		info, err = o.consumer.Info(ctx)
		return err
	})
	switch {
	case err != nil:
		return false, fmt.Errorf("look up the consumer: %w", err)
	case info.Delivered.Consumer != o.count:
		return false, nil
	case o.cfg.UntilCaughtUp && info.NumPending == 0:
		return false, errCaughtUp
	}
	return info.NumWaiting > 0, nil
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
