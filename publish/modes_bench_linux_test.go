package publish

import (
	"context"
	"fmt"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"flowscope/publish/embedded"
)

// BenchmarkModes compares each way of sending with a bare loop of the same way,
// size and headers, in turn, five times: CPU of the whole process, the server in
// it, per event, as medians, their ratio, and events per second up to the last
// acknowledgement. Run it with -benchtime 1x and FLOWSCOPE_LONG=1; without that it
// only goes through the motions.
func BenchmarkModes(b *testing.B) {
	rounds, part := 1, 20
	if os.Getenv("FLOWSCOPE_LONG") == "1" {
		rounds, part = 5, 1
	}
	for _, m := range []struct {
		name   string
		mode   string
		batch  int
		events int
		bare   func(*testing.B, *embedded.Server, int)
	}{
		{"core", ModeCore, 0, 300_000, bareCore},
		{"core, batched", ModeCore, 32 << 10, 1_000_000, func(b *testing.B, s *embedded.Server, n int) { bareBatched(b, s, n, bareCoreSized) }},
		{"jetstream", ModeJetStream, 0, 50_000, bareAsync},
		{"jetstream, batched", ModeJetStream, 32 << 10, 500_000, func(b *testing.B, s *embedded.Server, n int) { bareBatched(b, s, n, bareAsyncSized) }},
		{"fast", ModeFast, 0, 100_000, bareFast},
		{"fast, batched", ModeFast, 32 << 10, 500_000, func(b *testing.B, s *embedded.Server, n int) { bareBatched(b, s, n, bareFastSized) }},
	} {
		b.Run(m.name, func(b *testing.B) {
			m.events /= part
			cfg := DefaultConfig()
			cfg.Mode, cfg.BatchBytes = m.mode, m.batch
			var cpu, wall [2][]float64
			for b.Loop() {
				for range rounds {
					for side, run := range []func(*testing.B, *embedded.Server, int){
						m.bare, func(b *testing.B, s *embedded.Server, n int) { throughPublisher(b, s, n, cfg) },
					} {
						srv, err := embedded.Start(embedded.Config{Store: b.TempDir()})
						if err != nil {
							b.Fatal(err)
						}
						if nc := connect(b, srv); m.mode != ModeCore {
							js, err := jetstream.New(nc)
							if err == nil {
								_, err = setUpStream(b.Context(), js, cfg.Resolved())
							}
							if err != nil {
								b.Fatal(err)
							}
						}
						begin, used := time.Now(), processorTime(b)
						run(b, srv, m.events)
						wall[side] = append(wall[side], time.Since(begin).Seconds())
						cpu[side] = append(cpu[side], float64(processorTime(b)-used)/float64(m.events))
						if err := srv.Close(); err != nil {
							b.Fatal(err)
						}
					}
				}
			}
			bare, ours := median(cpu[0]), median(cpu[1])
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(bare, "bare-ns/event")
			b.ReportMetric(ours, "ns/event")
			b.ReportMetric(ours/bare, "ratio")
			b.ReportMetric(float64(m.events)/median(wall[0]), "bare-events/s")
			b.ReportMetric(float64(m.events)/median(wall[1]), "events/s")
		})
	}
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

func processorTime(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func throughPublisher(b *testing.B, srv *embedded.Server, n int, cfg Config) {
	p, err := newPublisher(cfg, Options{Sensor: "test", Run: "run1", Registry: deliveryRegistry(b), Workers: 1}, newJetStreamFor(b, srv, cfg),
		func() appender { return &idEncoder{payload: make([]byte, modePayload)} })
	if err != nil {
		b.Fatal(err)
	}
	go func() { _ = p.Run(context.Background()) }()
	sink := p.Sink(0)
	e := newMaker(p.opts.Registry, 1).event(b, "dns", "query")
	for range n {
		sink.HandleEvent(e)
	}
	sink.Close()
	if err := p.Close(within(b, time.Minute)); err != nil {
		b.Fatal(err)
	}
	if l := p.Ledger(); l.Events.Acknowledged+l.Events.Sent != uint64(n) {
		b.Fatalf("%+v of %d", l.Events, n)
	}
}

// bareMessages calls send for n messages as ours are.
func bareMessages(b *testing.B, n, size int, send func(m *nats.Msg) error) {
	enc := &idEncoder{payload: make([]byte, size)}
	var buf []byte
	for i := range n {
		var s, e int
		// The client of JetStream keeps messages until they are acknowledged.
		buf, s, e = enc.Append(make([]byte, 0, size), nil)
		m := &nats.Msg{Subject: "flowscope.dns.query", Data: buf, Header: nats.Header{
			"Nats-Msg-Id": {string(buf[s:e])}, "Content-Type": {ContentType}, SeqHeader: {fmt.Sprintf("run1.0.%d", i)},
		}}
		if err := send(m); err != nil {
			b.Fatal(err)
		}
	}
}

func bareCore(b *testing.B, srv *embedded.Server, n int) { bareCoreSized(b, srv, n, modePayload) }

func bareCoreSized(b *testing.B, srv *embedded.Server, n, size int) {
	nc := connect(b, srv)
	bareMessages(b, n, size, nc.PublishMsg)
	if err := nc.Flush(); err != nil {
		b.Fatal(err)
	}
}

func bareAsync(b *testing.B, srv *embedded.Server, n int) { bareAsyncSized(b, srv, n, modePayload) }

func bareAsyncSized(b *testing.B, srv *embedded.Server, n, size int) {
	js, err := jetstream.New(connect(b, srv), jetstream.WithPublishAsyncMaxPending(4096))
	if err != nil {
		b.Fatal(err)
	}
	bareMessages(b, n, size, func(m *nats.Msg) error {
		_, err := js.PublishMsgAsync(m, jetstream.WithStallWait(time.Minute))
		return err
	})
	<-js.PublishAsyncComplete()
}

// bareBatched sends messages of as many events as ours.
func bareBatched(b *testing.B, srv *embedded.Server, n int, send func(*testing.B, *embedded.Server, int, int)) {
	const each = (32 << 10) / modePayload
	send(b, srv, n/each, each*modePayload)
}

func bareFast(b *testing.B, srv *embedded.Server, n int) { bareFastSized(b, srv, n, modePayload) }

func bareFastSized(b *testing.B, srv *embedded.Server, n, size int) {
	js, err := jetstream.New(connect(b, srv))
	if err != nil {
		b.Fatal(err)
	}
	fast, err := jetstreamext.NewFastPublisher(js, jetstreamext.FastPublishFlowControl{Flow: 500, MaxOutstandingAcks: fastWindows})
	if err != nil {
		b.Fatal(err)
	}
	bareMessages(b, n, size, func(m *nats.Msg) error {
		_, err := fast.AddMsg(m)
		return err
	})
	if _, err := fast.Close(within(b, time.Minute)); err != nil {
		b.Fatal(err)
	}
}
