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

// How a durable consumer asks for messages.
const (
	// mostAhead is how many it asks for at once, of those that take little time, if
	// the consumer allows for it.
	mostAhead = 256
	// fetchWait is how long such a request stands before it is renewed,
	// briefFetchWait is the same where it is the end if nothing comes.
	fetchWait      = 10 * time.Second
	briefFetchWait = time.Second
	// What waits for less than swift makes it ask for twice as many, for longer
	// than slow for half as many.
	swift = time.Second
	slow  = 3 * time.Second
	// quiet is when all messages have come that a server sent before it answered a
	// ping: the client's library hands them on by another goroutine.
	quiet = 100 * time.Millisecond
)

// durable reads a stream by a consumer that the server remembers. It asks for a batch
// of messages, first of one, so that a network's round trips are shared by many, but
// never for more than are stored: a server puts what is given back behind the rest if
// it has a request at hand that nobody waits for any more. What waits here for longer
// than the server waits for an acknowledgement would come again, so batches become
// small if messages take long, and what is left of one is given back when a third of
// that time is over, or when the iteration ends. What is given back counts as delivered:
// of a consumer that delivers only so many times one message at a time is asked for.
type durable struct {
	nc       *nats.Conn
	stream   jetstream.Stream
	consumer jetstream.Consumer
	before   error // the connection's latest error, at the beginning
	catchUp  bool
	count    uint64 // messages that are wanted at most, 0 for no end
	waiting  uint64 // messages stored or unacknowledged at the beginning
	pending  uint64 // messages stored behind the latest that came, as far as the consumer knew
	last     uint64 // number in the stream of the last message that was delivered
	asked    bool   // the stream was asked for its last message since the latest came

	// By the consumer's configuration:
	ackWait time.Duration
	most    int           // messages that may be asked for at once
	wait    time.Duration // how long a request may stand

	batch      jetstream.MessageBatch // nil: there is none
	cancel     func()                 // its end
	reconnects uint64                 // at its beginning
	wanted     int                    // messages
	taken      int                    // of them
	since      time.Time              // no message has waited here before
	back       []jetstream.Msg        // is to be given back

	size   int       // wanted of the next batch, if so many are stored
	seen   uint64    // of all batches
	latest time.Time // when the last one of them came
}

func openDurable(ctx context.Context, nc *nats.Conn, cfg *SubscribeConfig) (source, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	stream, err := js.Stream(ctx, cfg.Stream)
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", cfg.Stream, err)
	}
	consumer, err := cfg.durable(ctx, stream)
	if err != nil {
		return nil, err
	}
	info, err := consumer.Info(ctx)
	if err != nil {
		return nil, fmt.Errorf("look up the consumer: %w", err)
	}
	d := &durable{
		nc: nc, stream: stream, consumer: consumer, before: nc.LastError(),
		catchUp: cfg.UntilCaughtUp, count: uint64(max(cfg.Count, 0)),
		waiting: info.NumPending + uint64(max(info.NumAckPending, 0)), pending: info.NumPending, last: info.Delivered.Stream,
		size: 1, latest: time.Now(),
	}
	d.obey(&info.Config)
	return d, nil
}

// obey takes note of the consumer's configuration, which may be anybody's.
func (d *durable) obey(c *jetstream.ConsumerConfig) {
	d.ackWait, d.most, d.wait = c.AckWait, mostAhead, fetchWait
	if c.MaxDeliver > 0 || c.AckWait < slow {
		d.most = 1
	}
	if c.MaxRequestBatch > 0 {
		d.most = min(d.most, c.MaxRequestBatch)
	}
	if d.catchUp {
		d.wait = briefFetchWait
	}
	if c.MaxRequestExpires > 0 {
		d.wait = min(d.wait, c.MaxRequestExpires)
	}
	d.size = min(d.size, d.most)
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
	if have.PriorityPolicy != jetstream.PriorityPolicyNone {
		return nil, fmt.Errorf("durable consumer %s exists with priority groups: want one without", c.Durable)
	}
	return consumer, nil
}

func (d *durable) next(ctx context.Context) (jetstream.Msg, error) {
	for {
		if d.catchUp && !d.asked && d.pending == 0 && d.seen >= d.waiting {
			if err := d.atTheEnd(ctx); err != nil {
				return nil, err
			}
		}
		if err := errors.Join(ctx.Err(), d.refused()); err != nil {
			return nil, err
		}
		if d.batch == nil {
			if err := d.fetch(ctx); err != nil {
				return nil, err
			}
		}
		if m, err := d.take(ctx); m != nil || err != nil {
			return m, err
		}
	}
}

// fetch asks for a batch. It outlives ctx, until it is given back.
func (d *durable) fetch(ctx context.Context) error {
	d.reconnects, d.taken, d.since = d.nc.Stats().Reconnects, 0, time.Now()
	ctx, d.cancel = context.WithTimeout(context.WithoutCancel(ctx), d.wait)
	var err error
	most := d.pending
	if d.count > 0 {
		most = min(most, d.count-min(d.count, d.seen))
	}
	d.wanted = int(max(1, min(uint64(d.size), most)))
	if d.batch, err = d.consumer.Fetch(d.wanted, jetstream.FetchContext(ctx)); err != nil {
		d.cancel()
	}
	return err
}

// take waits for the next message of the batch; without a message or an error the
// batch is over, or it should be seen to whether it is.
func (d *durable) take(ctx context.Context) (jetstream.Msg, error) {
	if d.wanted > 1 && time.Since(d.since) > d.ackWait/3 {
		d.giveBack()
		d.size = 1
		return nil, nil
	}
	select {
	case m, ok := <-d.batch.Messages():
		return d.took(ctx, m, ok)
	default:
	}
	d.since = time.Now()
	select {
	case m, ok := <-d.batch.Messages():
		return d.took(ctx, m, ok)
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(glance):
		if d.nc.Stats().Reconnects != d.reconnects || d.nc.IsClosed() {
			d.giveBack() // the server does not know of it any more
		}
		return nil, nil
	}
}

func (d *durable) took(ctx context.Context, m jetstream.Msg, ok bool) (jetstream.Msg, error) {
	if !ok {
		return nil, d.over(ctx)
	}
	meta, err := m.Metadata()
	if err != nil {
		return nil, fmt.Errorf("message without metadata: %w", err)
	}
	d.taken++
	d.seen, d.latest = d.seen+1, time.Now()
	d.pending, d.last, d.asked = meta.NumPending, max(d.last, meta.Sequence.Stream), false
	return m, nil
}

// over finds out why a batch has ended, and what comes next.
func (d *durable) over(ctx context.Context) error {
	err := d.batch.Error()
	d.cancel()
	d.batch = nil
	switch waited := time.Since(d.since); {
	case waited > slow:
		d.size = max(1, d.size/2)
	case waited < swift && d.taken == d.size:
		d.size = min(2*d.size, d.most)
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err == nil, errors.Is(err, nats.ErrTimeout), errors.Is(err, jetstream.ErrNoMessages), errors.Is(err, context.DeadlineExceeded):
		if d.catchUp && d.taken == 0 {
			return d.caughtUp(ctx)
		}
		return nil
	case d.refused() != nil, d.nc.IsClosed(), errors.Is(err, jetstream.ErrBadRequest):
		return err
	}
	// Its server or leader has gone, or itself, or it is configured anew.
	if !pause(ctx, tryPause) {
		return ctx.Err()
	}
	return keepTrying(ctx, d.nc, d.lookUp)
}

// atTheEnd returns errCaughtUp if the stream's last message has come. A server tells a
// consumer of messages a moment after it has acknowledged them to their publisher, so
// that what it says is pending may be too little: if messages are stored behind, which
// may be others than those that are wanted, a request finds out.
func (d *durable) atTheEnd(ctx context.Context) error {
	d.asked = true
	var stored *jetstream.StreamInfo
	err := keepTrying(ctx, d.nc, func(ctx context.Context) (err error) {
		stored, err = d.stream.Info(ctx)
		return err
	})
	if err == nil && d.last >= stored.State.LastSeq {
		err = errCaughtUp
	}
	return err
}

// caughtUp finds out why nothing comes: others may have taken what was stored, or it was
// removed, and what is left may be in the hands of others. What is in those of a process
// that is gone, or was given back to a server that has been started since, comes again
// when the time for its acknowledgement is over.
func (d *durable) caughtUp(ctx context.Context) error {
	var info *jetstream.ConsumerInfo
	err := keepTrying(ctx, d.nc, func(ctx context.Context) (err error) {
		info, err = d.consumer.Info(ctx)
		return err
	})
	if err != nil {
		return err
	}
	d.pending = info.NumPending
	if d.pending == 0 && (info.NumAckPending == 0 || time.Since(d.latest) > d.ackWait+2*briefFetchWait) {
		return errCaughtUp
	}
	return nil
}

// refused is what the account may not do.
func (d *durable) refused() error { return refusedSince(d.nc, d.before) }

func (d *durable) lookUp(ctx context.Context) error {
	info, err := d.consumer.Info(ctx)
	if err != nil {
		return fmt.Errorf("durable consumer %s: %w", d.consumer.CachedInfo().Name, err)
	}
	d.obey(&info.Config)
	return nil
}

func (d *durable) settle(ctx context.Context, m jetstream.Msg, done bool) error {
	if !done {
		d.back = append(d.back, m)
		return nil
	}
	if m.Ack() == nil {
		return nil
	}
	return keepTrying(ctx, d.nc, func(context.Context) error { return m.Ack() })
}

// giveBack ends a batch; what has come of it, and what is under way, is to be delivered
// again, in order.
func (d *durable) giveBack() {
	if d.batch != nil {
		d.ping()
		for m := range d.come {
			d.back = append(d.back, m)
		}
		d.cancel()
		for m := range d.batch.Messages() {
			d.back = append(d.back, m)
		}
		d.batch = nil
	}
	for i, m := range d.back {
		// What the server does not hear of comes again later.
		if i < len(d.back)-1 {
			_ = m.Nak()
		} else if d.nc.IsConnected() {
			_, _ = d.nc.Request(m.Reply(), []byte("-NAK"), requestWait) // and answered, so that all are done
		}
	}
	d.back = d.back[:0]
}

// come yields what has come of the batch.
func (d *durable) come(yield func(jetstream.Msg) bool) {
	for {
		select {
		case m, ok := <-d.batch.Messages():
			if !ok || !yield(m) {
				return
			}
		case <-time.After(quiet):
			return
		}
	}
}

// ping waits until the server has what was sent.
func (d *durable) ping() {
	if d.nc.IsConnected() {
		_ = d.nc.FlushTimeout(requestWait)
	}
}

// stop waits until the server has the acknowledgements.
func (d *durable) stop() error {
	d.giveBack()
	d.ping()
	return d.refused()
}
