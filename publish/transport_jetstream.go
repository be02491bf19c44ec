package publish

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ContentType is the header of messages that carry events.
const ContentType = "application/vnd.flowscope.event.v1+msgpack"

// The headers of messages beside Content-Type and Nats-Msg-Id.
const (
	// SeqHeader is <run>.<worker>.<n>: n counts per run, worker and subject.
	SeqHeader = "Flowscope-Seq"
	// CountHeader is the number of events in the payload, 1 if it is missing.
	CountHeader = "Flowscope-Count"
)

// scanInterval is how often the window is searched for what must be sent again.
const scanInterval = 50 * time.Millisecond

// windowMargin is how much earlier than the server's duplicate window ids count
// as forgotten.
const windowMargin = 10 * time.Second

// The back-off between two attempts at one event.
const (
	minBackOff = 100 * time.Millisecond
	maxBackOff = 5 * time.Second
)

// jetStream publishes each event, or batch of events, as one message and keeps it
// until the server has acknowledged it. It has a window and acknowledgements of
// its own on top of plain publishing: whatever happens to the connection, a
// message leaves the window only by an acknowledgement or by a refusal for good.
// Messages of protocols that go by core NATS never enter it.
type jetStream struct {
	nc      *nats.Conn
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
	bytes    int
	lastSeq  uint64    // the highest sequence that is known to be in the stream
	progress time.Time // of the latest acknowledgement, or of the window's first event
	trouble  error     // the first since progress
	failed   error     // final
	fast     fastIngest
	blind    bool // the stream may not be read back
}

// limits are what may change while the transport runs.
type limits struct {
	ack, stall time.Duration
	inFlight   int // bytes
	batch      int // bytes of a message of many events; 0 is one each
}

// reconfigure takes up the limits of another configuration.
func (t *jetStream) reconfigure(cfg *Config) {
	t.limits.Store(&limits{ack: cfg.AckTimeout, stall: cfg.StallTimeout, inFlight: cfg.InFlight.Bytes, batch: cfg.BatchBytes})
	t.wake()
}

// inFlight returns how many messages the window holds.
func (t *jetStream) inFlight() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.used
}

// slot is one message in the window.
type slot struct {
	flight *flight // nil: the slot is free
	record int32
	gen    uint32     // tells the slot's messages apart, over time
	tries  uint32     // times it left
	busy   bool       // the publisher's goroutine is sending it
	batch  *fastBatch // that will acknowledge it, nil if it has an answer of its own
	floor  uint64     // everything up to this sequence was stored before it left first
	first  time.Time  // when it left first, or was last known to be missing
	due    time.Time  // when it is sent again
}

// flight is a batch with events in the window.
type flight struct {
	batch *Batch
	left  int
}

// NewJetStream returns a Transport that publishes on nc, which is its own from
// then on, also in case of an error. It looks after the stream as cfg.Stream
// says; ctx bounds that.
func NewJetStream(ctx context.Context, nc *nats.Conn, cfg Config) (Transport, error) {
	t, err := newJetStream(nc, cfg.Resolved())
	if err == nil {
		err = t.setUp(ctx)
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
	login, err := cfg.Auth.options()
	if err != nil {
		return nil, err
	}
	opts := append(ConnectionOptions(sensor, log, moved...), login...)
	nc, err := nats.Connect(strings.Join(cfg.Servers, ","), append(opts, nats.RetryOnFailedConnect(true))...)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", strings.Join(cfg.Servers, ","), err)
	}
	t, err := newJetStream(nc, cfg.Resolved())
	if err != nil {
		nc.Close()
		return nil, err
	}
	return t, nil
}

func newJetStream(nc *nats.Conn, cfg Config) (*jetStream, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	t := &jetStream{
		nc: nc, cfg: cfg, inbox: nc.NewInbox() + ".",
		slots: make([]slot, cfg.InFlight.Messages), free: make([]int32, cfg.InFlight.Messages),
	}
	t.fast.on = cfg.Mode == ModeFast
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
	stop := context.AfterFunc(ctx, t.wake)
	defer stop()
	if err := t.awaitReady(ctx); err != nil {
		return err
	}
	b = t.fit(b)
	// One more than there are records: the batch stays whole while it is read.
	f := &flight{batch: b, left: len(b.Records) + 1}
	for i := range b.Records {
		if err := t.publishOne(ctx, f, i); err != nil {
			return err
		}
	}
	t.mu.Lock()
	t.leave(f)
	t.mu.Unlock()
	return nil
}

func (t *jetStream) publishOne(ctx context.Context, f *flight, i int) error {
	r := &f.batch.Records[i]
	if t.core[r.Topic] {
		err := t.sendCore(ctx, f.batch, r)
		t.mu.Lock()
		t.leave(f)
		t.mu.Unlock()
		return err
	}
	k, gen, err := t.enter(ctx, f, i)
	if err != nil {
		return err
	}
	if t.fast.on {
		t.sendFast(f.batch, r, k, gen)
		return nil
	}
	t.sent(k, gen, t.first.send(t, f.batch, r, t.first.replyFor(t, k, gen)))
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

// enter waits for room and takes a slot.
func (t *jetStream) enter(ctx context.Context, f *flight, i int) (int32, uint32, error) {
	r := &f.batch.Records[i]
	size := int(r.End - r.Start)
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.failed == nil && ctx.Err() == nil && !t.roomFor(size) {
		t.wait()
	}
	if t.failed != nil {
		return 0, 0, t.failed
	}
	if err := ctx.Err(); err != nil {
		return 0, 0, err
	}
	k := t.free[len(t.free)-1]
	t.free = t.free[:len(t.free)-1]
	if t.used == 0 {
		t.progress = time.Now()
	}
	t.used++
	t.bytes += size
	s := &t.slots[k]
	*s = slot{flight: f, record: int32(i), gen: s.gen, busy: true, floor: t.lastSeq}
	return k, s.gen, nil
}

func (t *jetStream) roomFor(size int) bool {
	return len(t.free) > 0 && (t.used == 0 || t.bytes+size <= t.limits.Load().inFlight) && !t.fast.full()
}

func (t *jetStream) wait() {
	t.awaited = true
	t.changed.Wait()
}

func (t *jetStream) wake() {
	t.mu.Lock()
	t.changed.Broadcast()
	t.mu.Unlock()
}

// sent notes how the first sending of an event went.
func (t *jetStream) sent(k int32, gen uint32, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := &t.slots[k]
	if s.flight == nil || s.gen != gen {
		return // answered meanwhile
	}
	s.busy = false
	t.noteSending(k, err)
}

// noteSending sets when an event is sent again.
func (t *jetStream) noteSending(k int32, err error) {
	s := &t.slots[k]
	now := time.Now()
	switch {
	case err == nil:
		if s.tries == 0 {
			s.first = now
		}
		s.tries++
		s.due = now.Add(t.limits.Load().ack)
	case errors.Is(err, nats.ErrMaxPayload):
		t.refuse(k, "max_payload", fmt.Sprintf("the server takes at most %d bytes", t.nc.MaxPayload()))
	default:
		t.note(t.explain(err))
		s.due = now.Add(minBackOff)
	}
}

// explain gives the reason of a disconnection instead of its consequence.
func (t *jetStream) explain(err error) error {
	if errors.Is(err, nats.ErrReconnectBufExceeded) {
		return disconnected(t.nc)
	}
	return err
}

// note keeps the first trouble since the last progress: what follows is mostly
// its consequence.
func (t *jetStream) note(err error) {
	if t.trouble == nil {
		t.trouble = err
	}
}

// answer takes the server's answer to one event, in the goroutine of the
// subscription.
func (t *jetStream) answer(m *nats.Msg) {
	k, gen, ok := t.slotOf(m.Subject)
	if !ok {
		if t.fast.on {
			t.answerFast(m)
		}
		return
	}
	var a pubAck
	var err error
	if len(m.Data) == 0 && m.Header.Get("Status") == "503" {
		err = fmt.Errorf("no stream takes the subject, or JetStream is off: %w", nats.ErrNoResponders)
	} else if err = parseAck(m.Data, t.prefix, &a); err == nil {
		err = t.judge(&a)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	s := &t.slots[k]
	if s.flight == nil || s.gen != gen {
		return // answered before: it was sent twice
	}
	var refusal *ackError
	switch {
	case err == nil:
		t.acknowledge(k, a.Seq, a.Duplicate)
	case errors.As(err, &refusal) && refusal.permanent():
		t.refuse(k, "refused", refusal.Error())
	default:
		t.note(err)
		s.due = time.Now().Add(backOff(s.tries))
	}
}

// acknowledge ends a message that is stored.
func (t *jetStream) acknowledge(k int32, seq uint64, duplicate bool) {
	if r := t.record(&t.slots[k]); !r.Sensor {
		t.p.account.acknowledge(r.events(), duplicate)
	}
	t.lastSeq = max(t.lastSeq, seq)
	t.progress, t.trouble = time.Now(), nil
	t.release(k)
}

// judge says whether an answer acknowledges. Only our own domain's and stream's
// does: where streams of several domains take the same subjects, others answer
// too.
func (t *jetStream) judge(a *pubAck) error {
	switch {
	case a.Stream != "" && t.prefix != nil && a.Stream != t.cfg.Stream.Name:
		return fmt.Errorf("answered by stream %q, not by %q", a.Stream, t.cfg.Stream.Name)
	case a.Error != nil:
		return a.Error
	case a.Stream != "" && t.cfg.Stream.Domain != "" && a.Domain != t.cfg.Stream.Domain:
		return fmt.Errorf("answered by domain %q, not by %q", a.Domain, t.cfg.Stream.Domain)
	}
	return nil
}

func (t *jetStream) slotOf(subject string) (int32, uint32, bool) {
	token, ok := strings.CutPrefix(subject, t.inbox)
	if !ok {
		return 0, 0, false
	}
	n, err := strconv.ParseUint(token, 36, 64)
	if k := n >> 32; err == nil && k < uint64(len(t.slots)) {
		return int32(k), uint32(n), true
	}
	return 0, 0, false
}

func (t *jetStream) record(s *slot) *Record { return &s.flight.batch.Records[s.record] }

// refuse ends an event that the server will never take.
func (t *jetStream) refuse(k int32, reason, detail string) {
	s := &t.slots[k]
	t.p.refuse(s.flight.batch, t.record(s), reason, detail)
	t.progress = time.Now()
	t.release(k)
}

// release frees a slot. Whoever waits is woken when an eighth of the window is
// free, not for each event.
func (t *jetStream) release(k int32) {
	s := &t.slots[k]
	r := t.record(s)
	t.bytes -= int(r.End - r.Start)
	t.used--
	f := s.flight
	*s = slot{gen: s.gen + 1}
	t.free = append(t.free, k)
	t.leave(f)
	if t.awaited && (t.used == 0 || len(t.free) > len(t.slots)/8 && t.bytes < t.limits.Load().inFlight/8*7) {
		t.awaited = false
		t.changed.Broadcast()
	}
}

func (t *jetStream) leave(f *flight) {
	if f.left--; f.left == 0 {
		t.p.queue.recycle(f.batch)
	}
}

func backOff(tries uint32) time.Duration {
	return min(minBackOff<<min(tries, 10), maxBackOff)
}

// run sends again what was not acknowledged in time, or was under way when the
// connection broke, and notices when nothing moves any more.
func (t *jetStream) run(ctx context.Context) {
	ticker := time.NewTicker(scanInterval)
	defer ticker.Stop()
	connects := t.nc.Stats().Reconnects
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			if !t.stalled(now) && t.nc.IsConnected() && t.isReady(ctx) {
				reconnects := t.nc.Stats().Reconnects
				t.scan(ctx, now, reconnects != connects)
				connects = reconnects
			}
		}
	}
}

func (t *jetStream) scan(ctx context.Context, now time.Time, all bool) {
	t.lookAfterFast(now, all)
	t.readBack(ctx, now, all)
	for k := range t.slots {
		if ctx.Err() != nil {
			return
		}
		t.sendAgain(int32(k), now, all)
	}
}

// stalled ends a replay in which nothing is acknowledged any more, and notes
// that the connection is gone.
func (t *jetStream) stalled(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.used == 0 || t.failed != nil {
		return t.failed != nil
	}
	if !t.nc.IsConnected() {
		t.note(disconnected(t.nc))
	} else if err := t.nc.LastError(); errors.Is(err, nats.ErrPermissionViolation) {
		t.note(err) // publishing without permission has no answer
	}
	limit := t.limits.Load().stall
	over := limit > 0 && !t.p.live && now.Sub(t.progress) >= limit
	if !over && !t.nc.IsClosed() {
		return false
	}
	t.failed = &NotAcknowledgedError{N: t.p.account.waiting(), Last: t.trouble}
	t.changed.Broadcast()
	return true
}

func disconnected(nc *nats.Conn) error {
	if err := nc.LastError(); err != nil {
		return fmt.Errorf("%w: %w", nats.ErrDisconnected, err)
	}
	return nats.ErrDisconnected
}

// forgotten says whether the server may by now have forgotten a message's id.
func (t *jetStream) forgotten(s *slot, now time.Time) bool {
	window := t.stream.duplicates
	return s.tries > 0 && now.Sub(s.first) > window-min(windowMargin, window/2)
}

// sendAgain sends one message again if it is due. The payload is copied first: an
// answer to the earlier sending may come at any time and give the batch back.
func (t *jetStream) sendAgain(k int32, now time.Time, all bool) {
	t.mu.Lock()
	s := &t.slots[k]
	if s.flight == nil || s.busy || s.batch != nil || s.due.After(now) && !all {
		t.mu.Unlock()
		return
	}
	var again, doubled uint64
	r := *t.record(s)
	if s.tries > 0 && !r.Sensor {
		again = r.events()
		if t.forgotten(s, now) {
			doubled = again
		}
	}
	if s.tries > 0 && t.forgotten(s, now) {
		s.first = now // counted once for each window
	}
	b := t.second.copyOf(s.flight.batch, &r)
	gen := s.gen
	t.mu.Unlock()

	err := t.second.send(t, b, &b.Records[0], t.second.replyFor(t, k, gen))
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		t.p.account.again(again, doubled)
	}
	if s.flight != nil && s.gen == gen {
		t.noteSending(k, err)
	}
}

// flush waits until the window is empty, and what went by core NATS has reached
// the server.
func (t *jetStream) flush(ctx context.Context) error {
	stop := context.AfterFunc(ctx, t.wake)
	defer stop()
	t.commitFast()
	if err := t.flushCore(ctx); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.used > 0 && t.failed == nil && ctx.Err() == nil {
		t.wait()
	}
	if t.failed != nil {
		return t.failed
	}
	if t.used == 0 {
		return nil
	}
	return ctx.Err()
}

func (t *jetStream) cause() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.trouble
}

func (t *jetStream) close() error {
	t.closing.Do(t.nc.Close)
	return nil
}

// sender makes messages for one goroutine and uses their memory again.
type sender struct {
	p     *Publisher
	msg   nats.Msg
	id    [1]string
	seq   [1]string
	count [1]string
	buf   []byte
	reply []byte
	copy  Batch
}

func (s *sender) init(p *Publisher) {
	s.p = p
	s.msg.Header = nats.Header{
		jetstream.MsgIDHeader: s.id[:],
		"Content-Type":        {ContentType},
		SeqHeader:             s.seq[:],
	}
}

// send publishes one message; it keeps nothing of the batch. The client copies
// all of the message before it returns, so that the headers may stand in memory
// that is used again.
func (s *sender) send(t *jetStream, b *Batch, r *Record, reply string) error {
	s.id[0] = view(b.ID(r))
	s.buf = append(append(s.buf[:0], s.p.opts.Run...), '.')
	s.buf = append(strconv.AppendInt(s.buf, int64(b.Worker), 10), '.')
	s.buf = strconv.AppendUint(s.buf, r.N, 10)
	s.seq[0] = view(s.buf)
	switch {
	case r.Count > 1:
		s.count[0] = strconv.FormatUint(uint64(r.Count), 10)
		s.msg.Header[CountHeader] = s.count[:]
	case s.count[0] != "":
		s.count[0] = ""
		delete(s.msg.Header, CountHeader)
	}
	s.msg.Reply = reply
	s.msg.Subject = s.p.subjects[r.Topic]
	s.msg.Data = b.Payload(r)
	err := t.nc.PublishMsg(&s.msg)
	s.id[0], s.seq[0], s.msg.Reply, s.msg.Data = "", "", "", nil
	return err
}

// view is b as a string; b must not change while it is in use.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// replyFor is where the answer to one message of its own goes, valid until the
// next call.
func (s *sender) replyFor(t *jetStream, k int32, gen uint32) string {
	s.reply = append(s.reply[:0], t.inbox...)
	s.reply = strconv.AppendUint(s.reply, uint64(k)<<32|uint64(gen), 36)
	return view(s.reply)
}

// copyOf returns a batch of one message with memory of its own, valid until the
// next call.
func (s *sender) copyOf(b *Batch, r *Record) *Batch {
	s.copy.Reset()
	s.copy.Worker = b.Worker
	s.copy.Buf = append(append(s.copy.Buf, b.Payload(r)...), b.ID(r)...)
	c := *r
	c.Start, c.End = 0, r.End-r.Start
	c.IDStart, c.IDEnd = c.End, uint32(len(s.copy.Buf))
	s.copy.Records = append(s.copy.Records, c)
	return &s.copy
}
