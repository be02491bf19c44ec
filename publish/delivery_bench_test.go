package publish

import (
	"context"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"flowscope/publish/embedded"
	"flowscope/session"
)

// trivialEncoder appends the same payload for every event, so that benchmarks
// see what surrounds the encoder.
type trivialEncoder struct{ payload []byte }

func (e *trivialEncoder) Append(b []byte, _ *session.SessionEvent) ([]byte, int, int) {
	n := len(b)
	return append(b, e.payload...), n, n + 36
}

func trivialPublisher(tb testing.TB, enc appender, tr Transport) *running {
	tb.Helper()
	p, err := newPublisher(DefaultConfig(), Options{Sensor: "test", Run: "run1", Registry: deliveryRegistry(tb), Workers: 1}, tr,
		func() appender { return enc })
	if err != nil {
		tb.Fatal(err)
	}
	r := &running{p, make(chan error, 1)}
	go func() { r.result <- p.Run(context.Background()) }()
	tb.Cleanup(func() { _ = p.Close(within(tb, time.Second)) })
	return r
}

// freeEncoder takes the room of a payload without writing it.
type freeEncoder struct{ size int }

func (e *freeEncoder) Append(b []byte, _ *session.SessionEvent) ([]byte, int, int) {
	n := len(b)
	return b[:n+e.size], n, n + 36
}

// BenchmarkHandOver is the cost of an event from the sink to the discarding
// transport, both sides: without writing a payload of 500 bytes, and with. The
// append row is what writing it alone costs.
func BenchmarkHandOver(b *testing.B) {
	const size = 500
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		enc := &trivialEncoder{make([]byte, size)}
		buf := make([]byte, 0, 2*batchTarget)
		for b.Loop() {
			if buf, _, _ = enc.Append(buf, nil); len(buf) > batchTarget {
				buf = buf[:0]
			}
		}
	})
	b.Run("free", func(b *testing.B) { benchmarkHandOver(b, &freeEncoder{size}) })
	b.Run("discard", func(b *testing.B) { benchmarkHandOver(b, &trivialEncoder{make([]byte, size)}) })
}

func benchmarkHandOver(b *testing.B, enc appender) {
	b.ReportAllocs()
	p := trivialPublisher(b, enc, NewDiscard())
	sink := p.Sink(0)
	e := newMaker(p.opts.Registry, 1).event(b, "dns", "query")
	for b.Loop() {
		sink.HandleEvent(e)
	}
	sink.Close()
}

// TestHandOverAllocatesNothing is the budget of the worker's side.
func TestHandOverAllocatesNothing(t *testing.T) {
	p := trivialPublisher(t, &trivialEncoder{make([]byte, 500)}, NewDiscard())
	sink := p.Sink(0)
	defer sink.Close()
	e := newMaker(p.opts.Registry, 1).event(t, "dns", "query")
	tick := time.Unix(1, 0)
	// The spare batches are made during the first rounds.
	for range 100_000 {
		sink.HandleEvent(e)
	}
	if n := testing.AllocsPerRun(10_000, func() { sink.HandleEvent(e); sink.Tick(tick) }); n >= 0.1 {
		t.Errorf("%v allocations per event", n)
	}
}

// idEncoder appends payloads with an id each, as JetStream needs.
type idEncoder struct {
	payload []byte
	n       uint64
}

func (e *idEncoder) Append(b []byte, _ *session.SessionEvent) ([]byte, int, int) {
	e.n++
	start := len(b)
	b = fmt.Appendf(b, "%032x-%d", 7, e.n)
	idEnd := len(b)
	return append(b, e.payload[idEnd-start:]...), start, idEnd
}

const jetStreamPayload = 600

// BenchmarkJetStream compares the transport with a bare loop over the client's
// asynchronous publishing, with the same payloads, headers and window.
func BenchmarkJetStream(b *testing.B) {
	b.Run("bare", benchmarkBare)
	b.Run("transport", benchmarkTransport)
}

func benchmarkBare(b *testing.B) {
	b.ReportAllocs()
	srv := startServer(b, embedded.Config{})
	nc := connect(b, srv)
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(4096))
	if err != nil {
		b.Fatal(err)
	}
	if _, err := setUpStream(b.Context(), js, DefaultConfig().Resolved()); err != nil {
		b.Fatal(err)
	}
	enc := &idEncoder{payload: make([]byte, jetStreamPayload)}
	begin := time.Now()
	for b.Loop() {
		data, s, e := enc.Append(nil, nil)
		m := &nats.Msg{Subject: "flowscope.dns.query", Data: data, Header: nats.Header{
			"Nats-Msg-Id": {string(data[s:e])}, "Content-Type": {ContentType}, SeqHeader: {fmt.Sprintf("run1.0.%d", enc.n)},
		}}
		if _, err := js.PublishMsgAsync(m, jetstream.WithStallWait(time.Minute)); err != nil {
			b.Fatal(err)
		}
	}
	<-js.PublishAsyncComplete()
	reportStored(b, int(enc.n), begin)
}

func benchmarkTransport(b *testing.B) {
	b.ReportAllocs()
	srv := startServer(b, embedded.Config{})
	tr := newJetStreamFor(b, srv, DefaultConfig())
	p, err := newPublisher(DefaultConfig(), Options{Sensor: "test", Run: "run1", Registry: deliveryRegistry(b), Workers: 1}, tr,
		func() appender { return &idEncoder{payload: make([]byte, jetStreamPayload)} })
	if err != nil {
		b.Fatal(err)
	}
	go func() { _ = p.Run(context.Background()) }()
	sink := p.Sink(0)
	e := newMaker(p.opts.Registry, 1).event(b, "dns", "query")
	n, begin := 0, time.Now()
	for b.Loop() {
		sink.HandleEvent(e)
		n++
	}
	sink.Close()
	if err := p.Close(within(b, time.Minute)); err != nil {
		b.Fatal(err)
	}
	if l := p.Ledger(); l.Events.Acknowledged != uint64(n) {
		b.Fatalf("%+v of %d", l.Events, n)
	}
	reportStored(b, n, begin)
}

// reportStored reports the rate up to the last acknowledgement; ns/op leaves out
// what is under way when the loop ends.
func reportStored(b *testing.B, n int, begin time.Time) {
	b.Helper()
	b.ReportMetric(float64(n)/time.Since(begin).Seconds(), "events/s")
}

func BenchmarkParseAck(b *testing.B) {
	b.ReportAllocs()
	data, prefix := []byte(`{"stream":"FLOWSCOPE","seq":123456}`), []byte(`{"stream":"FLOWSCOPE",`)
	for b.Loop() {
		if _, ok := usualAck(data, prefix); !ok {
			b.Fatal("not the usual answer")
		}
	}
}

func BenchmarkWriter(b *testing.B) {
	for _, f := range []Format{JSON, Text, Msgpack} {
		b.Run(string(f), func(b *testing.B) {
			b.ReportAllocs()
			tr, err := NewWriter(io.Discard, f)
			if err != nil {
				b.Fatal(err)
			}
			p := runPublisher(b, DefaultConfig(), Options{Registry: deliveryRegistry(b)}, tr)
			sink := p.Sink(0)
			e := newMaker(p.opts.Registry, 1).event(b, "dns", "query")
			for b.Loop() {
				sink.HandleEvent(e)
			}
			sink.Close()
		})
	}
}
