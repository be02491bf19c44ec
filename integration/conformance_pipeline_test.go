package integration

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"flowscope/flow"
	"flowscope/ingest"
	"flowscope/parsers"
	"flowscope/publish"
	"flowscope/session"
)

// recording is what a run over one capture gave: the events as a consumer reads
// them from the bus, and the accounts of the stages.
type recording struct {
	// events are in the order of workers, then of time of making.
	events []*session.SessionEvent
	// payloads are the same events as they stand on the bus.
	payloads []string
	flows    []*flowRecord
	ingest   ingest.Stats
	table    flow.Counters
	session  session.Counters
	// err is what reading the capture ended with: captures may be damaged.
	err error
}

// flowRecord gathers the events of one flow.
type flowRecord struct {
	info     *flow.Info
	protocol string
	stats    *flow.Stats
	tcp      *flow.TCPStats // of TCP flows
	reason   string
	events   []*session.SessionEvent
}

var conformanceRegistry = func() *session.Registry {
	r, err := session.NewRegistry(parsers.All()...)
	if err != nil {
		panic(err)
	}
	return r
}()

const (
	conformanceSensor = "conformance"
	conformanceRun    = "run-1"
)

// busSink stands where the publisher does: it encodes each event before the call
// returns, and reads the bytes again as a consumer would.
type busSink struct {
	registry *session.Registry
	encoder  *publish.Encoder
	buf      []byte
	events   []*session.SessionEvent
	payloads []string
	closed   int
	err      error
}

var _ session.Sink = (*busSink)(nil)

func newBusSink(registry *session.Registry) *busSink {
	return &busSink{registry: registry, encoder: publish.NewEncoder(conformanceSensor, conformanceRun, registry.Topics())}
}

// HandleEvent implements session.Sink.
func (s *busSink) HandleEvent(ev *session.SessionEvent) {
	s.buf, _, _ = s.encoder.Append(s.buf[:0], ev)
	decoded, err := publish.Decode(s.buf, s.registry)
	if err != nil {
		if s.err == nil {
			s.err = fmt.Errorf("%s: %w", ev.ID(), err)
		}
		return
	}
	s.events = append(s.events, decoded)
	s.payloads = append(s.payloads, string(s.buf))
}

// Tick implements session.Sink.
func (s *busSink) Tick(time.Time) {}

// Close implements session.Sink.
func (s *busSink) Close() { s.closed++ }

// record runs the whole pipeline over one capture file.
func record(tb testing.TB, path string, workers int) *recording {
	tb.Helper()
	src, err := ingest.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	defer src.Close()
	return recordSource(tb, path, src, workers)
}

// recordSource is record for a source that is open.
func recordSource(tb testing.TB, name string, src ingest.Source, workers int) *recording {
	tb.Helper()
	return recordWith(tb, name, src, workers, conformanceRegistry)
}

// recordWith is recordSource with other parsers.
func recordWith(tb testing.TB, name string, src ingest.Source, workers int, registry *session.Registry) *recording {
	tb.Helper()
	var err error
	sinks := make([]*busSink, workers)
	drivers := make([]*session.Driver, workers)
	tables := make([]*flow.Table, workers)
	handlers := make([]ingest.Handler, workers)
	for i := range workers {
		sinks[i] = newBusSink(registry)
		drivers[i], err = session.NewDriver(session.DefaultConfig(), registry,
			session.Identity{Sensor: conformanceSensor, Run: conformanceRun}, sinks[i])
		if err != nil {
			tb.Fatal(err)
		}
		tables[i], err = flow.NewTable(flow.DefaultConfig(), conformanceSensor, drivers[i])
		if err != nil {
			tb.Fatal(err)
		}
		handlers[i] = tables[i]
	}
	runner := ingest.NewRunner(src, flow.NewSpreader().Spread, handlers)
	rec := &recording{err: runner.Run(context.Background())}
	rec.ingest = runner.Stats()
	for i, s := range sinks {
		if s.err != nil {
			tb.Fatalf("%s: an event that cannot be read back: %v", name, s.err)
		}
		if s.closed != 1 {
			tb.Errorf("%s: sink %d was closed %d times", name, i, s.closed)
		}
		table, driver := tables[i].Stats(), drivers[i].Stats()
		rec.table.Add(&table)
		rec.session.Add(&driver)
		rec.events = append(rec.events, s.events...)
		rec.payloads = append(rec.payloads, s.payloads...)
	}
	rec.flows = gatherFlows(rec.events)
	return rec
}

// gatherFlows sorts events by flow, flows by their first packet.
func gatherFlows(events []*session.SessionEvent) []*flowRecord {
	byID := map[flow.ID]*flowRecord{}
	var flows []*flowRecord
	for _, ev := range events {
		if ev.Flow == nil {
			continue
		}
		f := byID[ev.Flow.ID]
		if f == nil {
			f = &flowRecord{info: ev.Flow, protocol: ev.Protocol}
			byID[ev.Flow.ID] = f
			flows = append(flows, f)
		}
		f.events = append(f.events, ev)
		if ev.Type == session.Closed {
			f.stats, f.tcp, f.reason = ev.Stats, ev.TCP, ev.Reason
		}
	}
	slices.SortStableFunc(flows, func(a, b *flowRecord) int {
		return cmp.Compare(a.events[0].Time, b.events[0].Time)
	})
	return flows
}
