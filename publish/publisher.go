package publish

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"flowscope/session"
)

// Options is what a Publisher needs beside its configuration.
type Options struct {
	// Sensor is the sensor's name, Run the id of this run.
	Sensor, Run string
	// Registry numbers the topics.
	Registry *session.Registry
	// Workers is the number of sinks.
	Workers int
	// Live says that capture cannot wait: without room in the queue events are
	// dropped and counted, and each tick hands over what there is.
	Live bool
	// Ledger returns the ledger of the run so far, for live capture to publish
	// at each heartbeat; nil is none.
	Ledger func() *Ledger
	// Log takes state changes; nil is silence.
	Log *slog.Logger
	// Trouble is asked why nothing is acknowledged when the server does not
	// answer at all, as it does when it cannot write: embedded.Server.Trouble.
	// May be nil.
	Trouble func() error
}

// Publisher takes events from the workers' sinks through one bounded queue to a
// Transport, and keeps the account of them. Its methods may be called from any
// goroutine.
type Publisher struct {
	opts      Options
	live      bool
	subjects  []string
	rules     atomic.Pointer[[]rule]
	queue     *queue
	account   *account
	transport Transport
	newEnc    func() appender
	heartbeat atomic.Int64 // between two of them, in nanoseconds; 0: never
	sensor    sensorEvents

	finished chan struct{} // closed when Run returns
	mu       sync.Mutex
	running  bool
	closed   bool
	err      error // why Run returned
	cancel   context.CancelFunc
	closing  sync.Once
	closeErr error
}

// New returns a publisher; nothing runs before Run is called. The transport is
// the publisher's from then on, also when New fails.
func New(cfg Config, opts Options, t Transport) (*Publisher, error) {
	p, err := newPublisher(cfg, opts, t, func() appender { return NewEncoder(opts.Sensor, opts.Run, opts.Registry.Topics()) })
	if err != nil {
		return nil, errors.Join(fmt.Errorf("publisher: %w", err), t.close())
	}
	return p, nil
}

func newPublisher(cfg Config, opts Options, t Transport, newEnc func() appender) (*Publisher, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if opts.Registry == nil || opts.Workers < 1 {
		return nil, errors.New("want a registry and at least one worker")
	}
	subjects, err := Subjects(cfg.Prefix, opts.Sensor, opts.Registry.Topics())
	if err != nil {
		return nil, err
	}
	rules, err := newRules(&cfg, opts.Registry)
	if err != nil {
		return nil, err
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	p := &Publisher{
		opts: opts, live: opts.Live, subjects: subjects,
		queue:     newQueue(cfg.QueueBytes),
		account:   newAccount(opts.Workers, len(subjects)),
		transport: t, newEnc: newEnc,
		finished: make(chan struct{}),
	}
	p.account.unreported = cfg.Mode == ModeFast
	p.rules.Store(&rules)
	p.heartbeat.Store(int64(cfg.Heartbeat))
	p.sensor.init(p)
	t.bind(p)
	return p, nil
}

// Sink returns the end for one worker, 0 to Workers-1; each worker has one sink
// and uses it from one goroutine.
func (p *Publisher) Sink(worker int) session.Sink {
	if worker < 0 || worker >= p.opts.Workers {
		panic(fmt.Sprintf("publish: sink of worker %d of %d", worker, p.opts.Workers))
	}
	rules := *p.rules.Load()
	classes := make([]class, len(rules))
	for i, t := range p.opts.Registry.Topics() {
		classes[i] = classOf(t.Type)
	}
	return &sink{
		p: p, worker: worker, enc: p.newEnc(), rules: rules, classes: classes,
		topics: make([]uint64, len(rules)), seen: make([]uint64, len(rules)),
		batch: p.queue.empty(),
	}
}

// Run takes batches to the transport until Close is called and everything is
// done, until the transport fails for good, or until ctx ends. Afterwards no
// sink waits any more; what they still hand over stays pending. Run is called
// once.
func (p *Publisher) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := p.begin(cancel); err != nil {
		return err
	}

	var beside sync.WaitGroup
	beside.Go(func() { p.transport.run(ctx) })
	if p.live {
		beside.Go(func() { p.beat(ctx) })
	}
	stop := context.AfterFunc(ctx, p.queue.fail)
	err := p.loop(ctx)
	stop()
	p.mu.Lock()
	p.err = err
	p.mu.Unlock()
	p.queue.fail()
	cancel()
	beside.Wait()
	close(p.finished)
	return err
}

func (p *Publisher) begin(cancel context.CancelFunc) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.running:
		return errors.New("publisher: run twice")
	case p.closed:
		return errors.New("publisher: run after it was closed")
	}
	p.running, p.cancel = true, cancel
	return nil
}

// end forbids a later Run, and returns how to stop one that is under way; nil if
// there is none.
func (p *Publisher) end() context.CancelFunc {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	return p.cancel
}

func (p *Publisher) loop(ctx context.Context) error {
	for {
		it, ok := p.queue.get()
		if !ok {
			return ctx.Err()
		}
		var err error
		if it.mark != nil {
			err = p.reach(it.mark)
		} else {
			err = p.transport.publish(ctx, it.batch)
		}
		if err == nil {
			err = p.publishDeadLetters(ctx)
		}
		if err != nil {
			return err
		}
	}
}

// mark is a place in the queue: when the publisher reaches it, the transport is
// flushed.
type mark struct {
	ctx  context.Context
	done chan error
}

// reach flushes the transport. Only a failure of the transport is returned: a
// deadline of whoever waits is none.
func (p *Publisher) reach(m *mark) error {
	err := p.transport.flush(m.ctx)
	if err == nil && p.sensor.letters() {
		if err = p.publishDeadLetters(m.ctx); err == nil {
			err = p.transport.flush(m.ctx)
		}
	}
	m.done <- err
	if err != nil && m.ctx.Err() == nil {
		return err
	}
	return nil
}

// Flush waits until all that the sinks have handed over is settled. When ctx
// ends before that, or the publisher has failed, the error is a
// *NotAcknowledgedError. Sinks keep the batch that they are filling: close them
// first.
func (p *Publisher) Flush(ctx context.Context) error {
	m := &mark{ctx: ctx, done: make(chan error, 1)}
	err := p.failure()
	if err == nil && p.queue.force(item{mark: m}) {
		select {
		case err = <-m.done:
		case <-ctx.Done():
			err = ctx.Err()
		case <-p.finished:
			err = p.failure()
		}
	}
	return p.verdict(err)
}

// verdict is what the caller is told: how much is not acknowledged and why.
func (p *Publisher) verdict(err error) error {
	if failed := p.failure(); failed != nil {
		err = failed
	}
	if errors.Is(err, ErrClosedPipe) {
		return err
	}
	n := p.account.waiting()
	if n == 0 && err == nil {
		return nil
	}
	var already *NotAcknowledgedError
	if errors.As(err, &already) {
		err = already.Last
	}
	if cause := p.cause(); cause != nil {
		err = cause
	}
	return &NotAcknowledgedError{N: n, Last: err}
}

// cause is the best explanation of why something is pending.
func (p *Publisher) cause() error {
	if err := p.transport.cause(); err != nil || p.opts.Trouble == nil {
		return err
	}
	return p.opts.Trouble()
}

// Close flushes until ctx ends, stops Run, waits for it, and closes the
// transport. The sinks must be closed before. The error is a
// *NotAcknowledgedError when events are left, ErrClosedPipe when the output's
// reader went away. Close is safe to call twice.
func (p *Publisher) Close(ctx context.Context) error {
	p.closing.Do(func() {
		p.closeErr = p.shutDown(ctx)
	})
	return p.closeErr
}

func (p *Publisher) shutDown(ctx context.Context) error {
	var err error
	if p.live {
		p.tell(&State{State: StateStopping})
		p.tell(p.Heartbeat())
	}
	if p.account.waiting() > 0 || !p.queue.idle() {
		err = p.Flush(ctx) // Run may only be about to begin
	}
	if cancel := p.end(); cancel != nil {
		err = p.finish(ctx, cancel, err)
	}
	p.queue.fail()
	closeErr := p.transport.close()
	if err == nil && p.failure() != nil {
		err = p.verdict(nil)
	}
	if err != nil {
		return err
	}
	return closeErr
}

// finish ends Run: regularly if everything is settled, at once otherwise.
func (p *Publisher) finish(ctx context.Context, cancel context.CancelFunc, err error) error {
	if err == nil {
		err = p.Flush(ctx) // events about the sensor
	}
	p.queue.close()
	if err != nil {
		cancel()
	}
	<-p.finished
	return err
}

// failure returns why Run has returned, nil while it runs and after a regular
// end.
func (p *Publisher) failure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// stopped says that Run has returned.
func (p *Publisher) stopped() bool {
	select {
	case <-p.finished:
		return true
	default:
		return false
	}
}

// Ready says why no event can be delivered at the moment: the server was not
// reached yet, its stream is not as it must be, or the connection is gone. It is
// nil when all is well.
func (p *Publisher) Ready() error {
	if err := p.failure(); err != nil {
		return err
	}
	return p.transport.ready()
}

// InFlight returns how many messages were sent and are not acknowledged.
func (p *Publisher) InFlight() int {
	if w, ok := p.transport.(interface{ inFlight() int }); ok {
		return w.inFlight()
	}
	return 0
}

// Made returns how many events each worker has made, those about the sensor not
// counted.
func (p *Publisher) Made() []uint64 {
	p.account.mu.Lock()
	defer p.account.mu.Unlock()
	made := make([]uint64, len(p.account.workers))
	for i := range made {
		made[i] = p.account.workers[i].made
	}
	return made
}

// Reconfigure takes up what of a configuration can change while it runs, and does
// not look at the rest: events, only, batch_bytes, queue_bytes, in_flight.bytes,
// ack_timeout, stall_timeout and heartbeat. Workers leave out other events from their next tick
// on. If events or only are not right, nothing changes.
func (p *Publisher) Reconfigure(cfg Config) error {
	rules, err := newRules(&cfg, p.opts.Registry)
	if err != nil {
		return fmt.Errorf("publisher: %w", err)
	}
	p.rules.Store(&rules)
	p.queue.resize(cfg.QueueBytes)
	p.heartbeat.Store(int64(cfg.Heartbeat))
	if t, ok := p.transport.(interface{ reconfigure(cfg *Config) }); ok {
		t.reconfigure(&cfg)
	}
	return nil
}

// Reload takes up files of the login that have changed, by connecting anew. If
// they are not right, the error says so and the connection stays.
func (p *Publisher) Reload() error { return p.transport.reload() }

// Fill says how full the queue before the publisher is, from 0 to 1; what is about
// the sensor may take it beyond. It is full, too, while there is no room for
// another batch.
func (p *Publisher) Fill() float64 { return p.queue.full() }

// QueueBytes is how much memory the queue may take.
func (p *Publisher) QueueBytes() int { return p.queue.capacity() }

// Ledger returns the publisher's part of the ledger: sensor, run, time, events,
// subjects and last. It balances at any moment; what a worker made since its last
// tick is not in it yet.
func (p *Publisher) Ledger() *Ledger {
	l := &Ledger{Sensor: p.opts.Sensor, Run: p.opts.Run, Time: time.Now().UTC()}
	l.Events, l.Subjects, l.Last = p.account.ledger(p.subjects)
	return l
}

// Subjects returns the subject of each topic. The caller must not change the
// list.
func (p *Publisher) Subjects() []string { return p.subjects }
