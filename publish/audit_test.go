package publish

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"flowscope/publish/embedded"
	"flowscope/session"
)

func embeddedConfigForTest() embedded.Config { return embedded.Config{} }

func TestAuditRow(t *testing.T) {
	tests := []struct {
		name    string
		add     []Range
		have    []Range
		twice   []Range
		doubled uint64
		missing []Range
	}{
		{"in order", []Range{{1, 1}, {2, 2}, {3, 5}}, []Range{{1, 5}}, nil, 0, nil},
		{"a hole", []Range{{1, 2}, {5, 6}}, []Range{{1, 2}, {5, 6}}, nil, 0, []Range{{3, 4}}},
		{"a hole that closes late", []Range{{1, 2}, {5, 6}, {3, 4}}, []Range{{1, 6}}, nil, 0, nil},
		{"half closed", []Range{{1, 2}, {7, 8}, {4, 5}}, []Range{{1, 2}, {4, 5}, {7, 8}}, nil, 0, []Range{{3, 3}, {6, 6}}},
		{"the first is missing", []Range{{2, 3}}, []Range{{2, 3}}, nil, 0, []Range{{1, 1}}},
		{"the first comes last", []Range{{2, 3}, {1, 1}}, []Range{{1, 3}}, nil, 0, nil},
		{"one twice", []Range{{1, 3}, {2, 2}}, []Range{{1, 3}}, []Range{{2, 2}}, 1, nil},
		{"the last twice", []Range{{1, 3}, {3, 3}}, []Range{{1, 3}}, []Range{{3, 3}}, 1, nil},
		{"a batch over several", []Range{{1, 2}, {4, 5}, {7, 7}, {2, 7}}, []Range{{1, 7}}, []Range{{2, 2}, {4, 5}, {7, 7}}, 4, nil},
		{"far apart", []Range{{10, 10}, {1, 1}}, []Range{{1, 1}, {10, 10}}, nil, 0, []Range{{2, 9}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var row auditRow
			for _, r := range tt.add {
				row.add(r)
			}
			n, missing := row.missing(1)
			if diff := cmp.Diff([]any{tt.have, tt.twice, tt.doubled, tt.missing}, []any{row.have, row.twice, row.more, missing}); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			var sum uint64
			for _, r := range tt.missing {
				sum += r.Last - r.First + 1
			}
			if n != sum {
				t.Errorf("%d missing, want %d", n, sum)
			}
		})
	}
}

// TestAudit damages a stream and finds exactly that.
func TestAudit(t *testing.T) {
	for _, batch := range []int{0, 4 << 10} {
		t.Run(fmt.Sprint(batch), func(t *testing.T) {
			reg := deliveryRegistry(t)
			srv := startServer(t, embedded.Config{})
			cfg := DefaultConfig()
			cfg.BatchBytes = batch
			p := runPublisher(t, cfg, Options{Registry: reg}, newJetStreamFor(t, srv, cfg))
			sink, m := p.Sink(0), newMaker(reg, 1)
			const n = 200
			for range n {
				sink.HandleEvent(m.event(t, "dns", "query"))
			}
			sink.Close()
			if err := p.Flush(within(t, 10*time.Second)); err != nil {
				t.Fatal(err)
			}
			if err := p.PublishSensor(p.Ledger()); err != nil {
				t.Fatal(err)
			}
			if err := p.Close(within(t, 10*time.Second)); err != nil {
				t.Fatal(err)
			}
			js := jetStreamOf(t, srv)
			audit := func() *AuditReport {
				t.Helper()
				r, err := Audit(within(t, 10*time.Second), js.Conn(), SubscribeConfig{Subjects: []string{"flowscope.>"}},
					[]string{"flowscope.sensor.heartbeat", "flowscope.sensor.ledger"})
				if err != nil {
					t.Fatal(err)
				}
				return r
			}
			r := audit()
			if !r.Clean() || r.Events != n+1 || len(r.Rows) != 2 || r.Rows[0].Stored != n || len(r.Runs) != 1 || !r.Runs[0].Settled {
				t.Fatalf("undamaged: %+v", r)
			}

			stream, err := js.Stream(t.Context(), "FLOWSCOPE")
			if err != nil {
				t.Fatal(err)
			}
			// The third message again under another id, the second one gone, and
			// the last but one, which only the ledger can tell of.
			third, err := stream.GetMsg(t.Context(), 3)
			if err != nil {
				t.Fatal(err)
			}
			again := &nats.Msg{Subject: third.Subject, Header: third.Header, Data: third.Data}
			again.Header.Set(jetstream.MsgIDHeader, "another")
			if _, err := js.PublishMsg(t.Context(), again); err != nil {
				t.Fatal(err)
			}
			if _, err := js.Publish(t.Context(), "flowscope.dns.query", []byte("no event")); err != nil {
				t.Fatal(err)
			}
			end := stream.CachedInfo().State.LastSeq - 1
			per := uint64(eventsOfSeq(t, stream, 2))
			last := uint64(eventsOfSeq(t, stream, end))
			for _, seq := range []uint64{2, end} {
				if err := stream.DeleteMsg(t.Context(), seq); err != nil {
					t.Fatal(err)
				}
			}
			r = audit()
			row := r.Rows[0]
			wantMissing := Range{per + 1, 2 * per}
			wantDoubled := Range{2*per + 1, 3 * per}
			if row.Missing != per || len(row.MissingRanges) != 1 || row.MissingRanges[0] != wantMissing {
				t.Errorf("missing %d %v, want %v", row.Missing, row.MissingRanges, wantMissing)
			}
			if row.Doubled != per || len(row.DoubledRanges) != 1 || row.DoubledRanges[0] != wantDoubled {
				t.Errorf("doubled %d %v, want %v", row.Doubled, row.DoubledRanges, wantDoubled)
			}
			if r.DoubledIDs != per || len(r.IDs) != int(min(per, maxAuditIDs)) || !strings.HasPrefix(r.IDs[0], "0100000000") {
				t.Errorf("doubled ids %d %v", r.DoubledIDs, r.IDs)
			}
			if r.Unreadable != 1 || r.Clean() || r.Runs[0].Short["flowscope.dns.query"] != last {
				t.Errorf("%+v", r)
			}
		})
	}
}

func eventsOfSeq(t *testing.T, stream jetstream.Stream, seq uint64) int {
	t.Helper()
	m, err := stream.GetMsg(t.Context(), seq)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for range Payloads(m.Data) {
		n++
	}
	return n
}

// TestReceiveEvents reads single and batched events, and what is none, with and
// without a durable consumer.
func TestReceiveEvents(t *testing.T) {
	reg := deliveryRegistry(t)
	srv := startServer(t, embedded.Config{})
	cfg := DefaultConfig()
	m := newMaker(reg, 1)
	const each = 100
	for i, batch := range []int{0, 2 << 10} {
		cfg.BatchBytes = batch
		p := runPublisher(t, cfg, Options{Registry: reg, Run: fmt.Sprintf("r%d", i)}, newJetStreamFor(t, srv, cfg))
		sink := p.Sink(0)
		for range each {
			sink.HandleEvent(m.event(t, "dns", "query"))
		}
		sink.Close()
		if err := p.Close(within(t, 10*time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := jetStreamOf(t, srv).Publish(t.Context(), "flowscope.dns.query", []byte("\xdd\x7f\xff\xff\xff")); err != nil {
			t.Fatal(err)
		}
	}
	nc := connect(t, srv)
	for _, durable := range []string{"", "worker"} {
		want := SubscribeConfig{Subjects: []string{"flowscope.dns.query"}, Durable: durable, UntilCaughtUp: true}
		var got []uint64
		bad := 0
		for ev, err := range ReceiveEvents(within(t, 20*time.Second), nc, want, reg) {
			var hostile *PayloadError
			if errors.As(err, &hostile) {
				if !errors.Is(err, ErrCutShort) {
					t.Errorf("%v", err)
				}
				bad++
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			q, ok := ev.Message.(*query)
			if !ok || uint64(q.ID) != ev.Seq || ev.Type != session.Application || ev.Delivery.Subject != "flowscope.dns.query" {
				t.Fatalf("%+v of %T", ev, ev.Message)
			}
			got = append(got, ev.Seq)
		}
		if len(got) != 2*each || bad != 2 {
			t.Fatalf("durable %q: %d events and %d that are none, want %d and 2", durable, len(got), bad, 2*each)
		}
		for i, seq := range got {
			if seq != uint64(i) {
				t.Fatalf("event %d has seq %d", i, seq)
			}
		}
	}

	// Leaving in the middle of a message brings the whole of it back; the end of
	// the count does not lose any either.
	want := SubscribeConfig{Subjects: []string{"flowscope.dns.query"}, Durable: "leaver", UntilCaughtUp: true}
	for ev, err := range ReceiveEvents(within(t, 20*time.Second), nc, want, reg) {
		if err == nil && ev.Seq == each+1 { // the second event of the first batch
			break
		}
	}
	want.Count = each
	var first, n uint64
	for ev, err := range ReceiveEvents(within(t, 20*time.Second), nc, want, reg) {
		if err != nil {
			continue
		}
		if n++; n == 1 {
			first = ev.Seq
		}
	}
	if first != each || n != each {
		t.Errorf("%d events from %d on, want %d from %d on", n, first, each, each)
	}
}

// TestConsumers: a hundred consumers, each at its own pace, get everything; a
// queue group and a shared durable get each event once; wildcards get what they
// stand for. None of them slows the sensor.
func TestConsumers(t *testing.T) {
	reg := deliveryRegistry(t)
	srv := startServer(t, embedded.Config{})
	nc := connect(t, srv)
	group := make(chan string, 10000)
	for range 3 {
		if _, err := nc.QueueSubscribe("flowscope.*.query", "workers", func(m *nats.Msg) { group <- m.Header.Get("Nats-Msg-Id") }); err != nil {
			t.Fatal(err)
		}
	}
	// One that never reads what it is sent.
	slow, err := connect(t, srv).SubscribeSync("flowscope.>")
	if err != nil {
		t.Fatal(err)
	}
	if err := slow.SetPendingLimits(10, 1<<20); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	cfg := DefaultConfig()
	cfg.AckTimeout = time.Minute // a slow machine is no trouble
	p := runPublisher(t, cfg, Options{Registry: reg}, newJetStreamFor(t, srv, cfg))
	const n, consumers = 300, 100
	ctx := within(t, 60*time.Second)
	done := make(chan int, consumers)
	for i := range consumers {
		subject := []string{"flowscope.dns.query", "flowscope.*.query", "flowscope.dns.>", "flowscope.>"}[i%4]
		go func() {
			seen := map[string]bool{}
			c, cancel := context.WithCancel(ctx)
			defer cancel()
			for ev, err := range ReceiveEvents(c, nc, SubscribeConfig{Subjects: []string{subject}, Stream: "FLOWSCOPE"}, reg) {
				if err != nil {
					break
				}
				if ev.Kind == "query" {
					seen[ev.ID()] = true
				}
				if len(seen) == n {
					break
				}
			}
			done <- len(seen)
		}()
	}
	sink, m := p.Sink(0), newMaker(reg, 1)
	for range n {
		sink.HandleEvent(m.event(t, "dns", "query"))
		sink.HandleEvent(m.event(t, "http", "closed"))
	}
	sink.Close()
	if err := p.Close(within(t, 20*time.Second)); err != nil {
		t.Fatal(err)
	}
	if e := p.Ledger().Events; e.Acknowledged != 2*n || e.Resent != 0 {
		t.Errorf("%+v", e)
	}
	for range consumers {
		if got := <-done; got != n {
			t.Fatalf("a consumer saw %d queries, want %d", got, n)
		}
	}
	seen := map[string]bool{}
	for range n {
		select {
		case id := <-group:
			if seen[id] {
				t.Fatalf("%s reached the group twice", id)
			}
			seen[id] = true
		case <-ctx.Done():
			t.Fatalf("the group saw %d events, want %d", len(seen), n)
		}
	}
}
