package session

import (
	"context"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"time"

	"flowscope/flow"
	"flowscope/ingest"

	"github.com/vmihailenco/msgpack/v5"
)

// Messages parses what a source gives, with one factory of either family, and
// yields the events of its messages. M is one of the protocol's message types, or
// Message for all of them; the Message of each event is an M. Events are the
// loop's to keep.
//
// Everything happens in the loop's goroutine, between two of its turns: packets
// are read only when all messages of those before were taken, and leaving the
// loop ends it all. At the end of the input, the flows that are still open end,
// and what their parsers have left is yielded. An error, the context's among
// them, comes last, with a nil event. The source stays the caller's to close.
func Messages[M Message](ctx context.Context, src ingest.Source, f Factory) iter.Seq2[*SessionEvent, error] {
	return func(yield func(*SessionEvent, error) bool) {
		m := &messages{yield: yield, wanted: reflect.TypeFor[M]()}
		if err := m.run(ctx, src, f); err != nil && !m.left {
			yield(nil, err)
		}
	}
}

// messages is one loop over Messages: a sink that gathers what a few packets
// give, and the worker that yields it once the parsers have returned.
type messages struct {
	yield    func(*SessionEvent, error) bool
	wanted   reflect.Type
	protocol *Protocol
	table    *flow.Table
	stop     context.CancelFunc
	gathered []*SessionEvent
	left     bool // the loop was left
	err      error
}

var (
	_ Sink           = (*messages)(nil)
	_ ingest.Handler = (*messagesWorker)(nil)
)

func (m *messages) run(ctx context.Context, src ingest.Source, f Factory) error {
	registry, err := NewRegistry(f)
	if err != nil {
		return err
	}
	m.protocol = f.Protocol()
	if !slices.ContainsFunc(m.protocol.Messages, func(message Message) bool { return reflect.TypeOf(message).AssignableTo(m.wanted) }) {
		return fmt.Errorf("protocol %s has no messages of type %v", m.protocol.Name, m.wanted)
	}
	driver, err := NewDriver(DefaultConfig(), registry, Identity{}, m)
	if err != nil {
		return err
	}
	if m.table, err = flow.NewTable(flow.DefaultConfig(), "", driver); err != nil {
		return err
	}
	ctx, m.stop = context.WithCancel(ctx)
	defer m.stop()
	if err := ingest.Run(ctx, src, nil, []ingest.Handler{(*messagesWorker)(m)}); err != nil && m.err == nil {
		return err
	}
	return m.err
}

// HandleEvent keeps a copy of a message that is wanted.
func (m *messages) HandleEvent(e *SessionEvent) {
	if e.Type != Application || m.left || m.err != nil {
		return
	}
	message, ok := m.protocol.NewMessage(e.Kind)
	if !ok || !reflect.TypeOf(message).AssignableTo(m.wanted) {
		return
	}
	if err := msgpack.Unmarshal(e.Message.AppendMsgpack(nil), message); err != nil {
		m.err = fmt.Errorf("message %s.%s: %w", e.Protocol, e.Kind, err)
		m.stop()
		return
	}
	own, info := *e, *e.Flow
	info.VLANs, info.Tunnels = slices.Clone(info.VLANs), slices.Clone(info.Tunnels)
	own.Message, own.Flow = message, &info
	m.gathered = append(m.gathered, &own)
}

// Tick implements Sink.
func (m *messages) Tick(time.Time) {}

// Close implements Sink.
func (m *messages) Close() {}

// hand yields what was gathered.
func (m *messages) hand() {
	for _, e := range m.gathered {
		if m.left {
			break
		}
		if !m.yield(e, nil) {
			m.left = true
			m.stop()
		}
	}
	clear(m.gathered)
	m.gathered = m.gathered[:0]
}

// messagesWorker is the worker of the loop.
type messagesWorker messages

// together is how many packets are handled before their messages are yielded.
const together = 16

// HandlePackets implements ingest.Handler.
func (w *messagesWorker) HandlePackets(packets []ingest.Packet) {
	m := (*messages)(w)
	for some := range slices.Chunk(packets, together) {
		if m.left {
			return
		}
		m.table.HandlePackets(some)
		m.hand()
	}
}

// Tick implements ingest.Handler.
func (w *messagesWorker) Tick(now ingest.Timestamp) {
	m := (*messages)(w)
	m.table.Tick(now)
	m.hand()
}

// Close implements ingest.Handler.
func (w *messagesWorker) Close(cause error) {
	m := (*messages)(w)
	m.table.Close(cause)
	m.hand()
}

// NewMessage returns a new message of a kind of the protocol, to decode into.
func (p *Protocol) NewMessage(kind string) (Message, bool) {
	for _, prototype := range p.Messages {
		v := reflect.ValueOf(prototype)
		if prototype.Kind() != kind || v.Kind() != reflect.Pointer {
			continue
		}
		fresh := reflect.New(v.Type().Elem())
		m, ok := fresh.Interface().(Message)
		if ok && m.Kind() != kind {
			fresh.Elem().Set(v.Elem()) // of one type with several kinds, the prototype holds which
		}
		return m, ok
	}
	return nil, false
}
