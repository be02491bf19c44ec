package publish

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// jetStream publishes each event, or batch of events, as one message and keeps it
// until the server has acknowledged it. It has a window and acknowledgements of
// its own on top of plain publishing: whatever happens to the connection, a
// message leaves the window only by an acknowledgement or by a refusal for good.
// Messages of protocols that go by core NATS never enter it.
type jetStream struct {
	nc      *nats.Conn
	reach   *reach
	put     func(*nats.Msg) error // nc.PublishMsg
	cfg     Config
	limits  atomic.Pointer[limits]
	inbox   string // what all reply subjects begin with, with the dot
	sub     *nats.Subscription
	prefix  []byte // what the usual acknowledgement begins with
	p       *Publisher
	packer  packer
	core    []bool // per topic: goes by core NATS
	first   sender // the publisher's goroutine
	second  sender // the goroutine that sends again
	closing sync.Once
	// sending keeps the messages of a fast batch in the order of their numbers.
	sending sync.Mutex

	mu       sync.Mutex
	changed  sync.Cond // room in the window, or an end
	awaited  bool      // somebody waits for changed
	stream   *streamFacts
	notReady error // why stream is nil, as far as known
	slots    []slot
	free     []int32
	used     int
	bytes    int       // of the payloads in the window
	held     int       // memory of the batches that they are in
	lastSeq  uint64    // the highest sequence that is known to be in the stream
	progress time.Time // of the latest acknowledgement, or of the window's first event
	trouble  error     // the first since progress
	failed   error     // final
	fast     fastIngest
	blind    bool              // the stream may not be read back
	login    [sha256.Size]byte // of the files, as they were at the start or the last reload

	unlisted bool // streams may not be listed; of whoever sets up
}

// NewJetStream returns a Transport that publishes on nc, which is its own from
// then on, also in case of an error. It looks after the stream as cfg.Stream
// says; ctx bounds that.
func NewJetStream(ctx context.Context, nc *nats.Conn, cfg Config) (Transport, error) {
	t, err := newJetStream(nc, cfg.Resolved())
	if err == nil {
		err = whenLed(ctx, nc, func() error { return t.setUp(ctx) })
	}
	if err != nil {
		nc.Close()
		return nil, err
	}
	return t, nil
}

// DialJetStream returns a Transport that connects to cfg.Servers by and by, for
// capture that begins whether or not there is a server. Until the first
// connection has shown that the stream is as cfg.Stream says it holds events
// back; see Publisher.Ready for what it waits for. Of moved see ConnectionOptions.
func DialJetStream(cfg Config, sensor string, log *slog.Logger, moved ...func(*nats.Conn)) (Transport, error) {
	if len(cfg.Servers) == 0 {
		return nil, errors.New("connect to NATS: no servers given")
	}
	login, err := cfg.Auth.options(log)
	if err != nil {
		return nil, err
	}
	r := new(reach)
	opts := append(ConnectionOptions(sensor, log, moved...), login...)
	nc, err := nats.Connect(strings.Join(cfg.Servers, ","), append(opts, nats.RetryOnFailedConnect(true), r.option())...)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", strings.Join(cfg.Servers, ","), err)
	}
	t, err := newJetStream(nc, cfg.Resolved())
	if err != nil {
		nc.Close()
		return nil, err
	}
	t.reach = r
	return t, nil
}

func newJetStream(nc *nats.Conn, cfg Config) (*jetStream, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	t := &jetStream{
		nc: nc, reach: new(reach), put: nc.PublishMsg, cfg: cfg, inbox: nc.NewInbox() + ".",
		slots: make([]slot, cfg.InFlight.Messages), free: make([]int32, cfg.InFlight.Messages),
	}
	t.fast.on, t.login = cfg.Mode == ModeFast, cfg.Auth.digest()
	switch {
	case cfg.Stream.Mode == StreamOff:
	case cfg.Stream.Domain == "":
		t.prefix = fmt.Appendf(nil, `{"stream":%q,`, cfg.Stream.Name)
	default:
		t.prefix = fmt.Appendf(nil, `{"stream":%q,"domain":%q,`, cfg.Stream.Name, cfg.Stream.Domain)
	}
	t.changed.L = &t.mu
	t.reconfigure(&t.cfg)
	for i := range t.free {
		t.free[i] = int32(len(t.free) - 1 - i)
	}
	var err error
	if t.sub, err = nc.Subscribe(t.inbox+">", t.answer); err != nil {
		return nil, fmt.Errorf("subscribe for acknowledgements: %w", err)
	}
	// Nothing of the window's size may be thrown away unread.
	if err = t.sub.SetPendingLimits(-1, -1); err != nil {
		return nil, fmt.Errorf("subscribe for acknowledgements: %w", err)
	}
	return t, nil
}

var _ Transport = (*jetStream)(nil)

func (t *jetStream) bind(p *Publisher) {
	t.p = p
	t.first.init(p)
	t.second.init(p)
	t.core = make([]bool, len(p.subjects))
	for i, topic := range p.opts.Registry.Topics() {
		t.core[i] = t.cfg.Mode == ModeCore || slices.Contains(t.cfg.Core, topic.Protocol)
	}
}

// publish sends a batch, waiting for room in the window before each message.
func (t *jetStream) publish(ctx context.Context, b *Batch) error {
	if len(b.Records) == 0 {
		t.p.queue.recycle(b)
		return nil
	}
	if err := t.awaitReady(ctx); err != nil {
		return err
	}
	b = t.fit(b)
	if err := t.hold(ctx, b); err != nil {
		return err
	}
	for i := range b.Records {
		if err := t.publishOne(ctx, b, i); err != nil {
			return err
		}
	}
	t.mu.Lock()
	t.leave(b)
	t.mu.Unlock()
	return nil
}

func (t *jetStream) publishOne(ctx context.Context, b *Batch, i int) error {
	r := &b.Records[i]
	if t.core[r.Topic] {
		err := t.sendCore(ctx, b, r)
		t.mu.Lock()
		t.leave(b)
		t.mu.Unlock()
		return err
	}
	k, gen, err := t.enter(ctx, b, i)
	if err != nil {
		return err
	}
	if t.fast.on {
		t.sendFast(b, r, k, gen)
		return nil
	}
	t.sent(k, gen, t.first.send(t, b, r, t.first.replyFor(t, k, gen)))
	return nil
}

// fit returns what is sent instead of b: events shortened that the server would
// not take, and events of one subject put together where batching is on. A batch
// that is replaced is recycled.
func (t *jetStream) fit(b *Batch) *Batch {
	limit := t.payloadLimit()
	for i := range b.Records {
		if r := &b.Records[i]; int(r.End-r.Start) > limit {
			shortenRecord(b, r, limit)
		}
	}
	target := t.limits.Load().batch
	if target == 0 {
		return b
	}
	packed := t.packer.pack(t.p, b, min(target, limit))
	if packed != b {
		t.p.queue.recycle(b)
	}
	return packed
}

// headerSpace is more than the headers of a message take.
const headerSpace = 512

// payloadLimit is the largest payload that the server and the stream take.
func (t *jetStream) payloadLimit() int {
	limit := int(t.nc.MaxPayload())
	t.mu.Lock()
	if s := t.stream; s != nil && s.maxMessage > 0 {
		limit = min(limit, s.maxMessage)
	}
	t.mu.Unlock()
	return limit - headerSpace - len(t.p.opts.Run)
}

// flush waits until the window is empty, and what went by core NATS has reached
// the server.
func (t *jetStream) flush(ctx context.Context) error {
	t.commitFast()
	if err := t.flushCore(ctx); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.await(ctx, func() bool { return t.used == 0 })
}

// cause is the trouble with events that were sent; if none could be, what they waited for.
func (t *jetStream) cause() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.trouble != nil:
		return t.trouble
	case !t.nc.IsConnected() && !t.nc.IsClosed():
		return t.disconnected()
	case t.stream == nil:
		return t.notReady
	}
	return nil
}

// disconnected says why there is no connection.
func (t *jetStream) disconnected() error { return t.reach.why(t.nc, t.cfg.Servers) }

func (t *jetStream) close() error {
	t.closing.Do(t.nc.Close)
	return nil
}
