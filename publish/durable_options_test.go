package publish

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"flowscope/publish/embedded"
)

// makeDurable makes the consumer siem with options that Subscribe would not choose.
func makeDurable(t *testing.T, js jetstream.JetStream, cfg jetstream.ConsumerConfig) {
	t.Helper()
	cfg.Durable, cfg.FilterSubject, cfg.AckPolicy = "siem", "flowscope.>", jetstream.AckExplicitPolicy
	if _, err := js.CreateConsumer(t.Context(), "FLOWSCOPE", cfg); err != nil {
		t.Fatal(err)
	}
}

var asSiem = SubscribeConfig{Subjects: []string{"flowscope.>"}, Durable: "siem", UntilCaughtUp: true}

// A durable consumer is read to its end whatever bounds others have given it.
func TestDurableOptions(t *testing.T) {
	for _, cfg := range []jetstream.ConsumerConfig{
		{Description: "small requests", MaxRequestBatch: 3},
		{Description: "short requests", MaxRequestExpires: 2 * time.Second},
		{Description: "one at a time", MaxAckPending: 1},
		{Description: "one request", MaxWaiting: 1},
		{Description: "acknowledged at once", AckWait: time.Microsecond},
		{Description: "acknowledged soon", AckWait: 500 * time.Millisecond},
		{Description: "backing off", BackOff: []time.Duration{time.Second, 5 * time.Second}, MaxDeliver: 3},
	} {
		t.Run(cfg.Description, func(t *testing.T) {
			t.Parallel()
			js := newStream(t, startServer(t, embedded.Config{}))
			makeDurable(t, js, cfg)
			const n = 60
			for range n {
				put(t, js)
			}
			ctx, seen := within(t, 20*time.Second), map[uint64]bool{}
			for d, err := range Subscribe(ctx, js.Conn(), asSiem) {
				if err != nil {
					t.Fatal(err)
				}
				if seen[d.Sequence] = true; len(seen) == n {
					break
				}
			}
			if len(seen) != n || ctx.Err() != nil {
				t.Errorf("%d messages, want %d, %v", len(seen), n, ctx.Err())
			}
		})
	}
}

// What is delivered only once is not sent ahead: what is given back would be lost.
func TestDurableOnce(t *testing.T) {
	js := newStream(t, startServer(t, embedded.Config{}))
	makeDurable(t, js, jetstream.ConsumerConfig{AckWait: 3 * time.Second, MaxDeliver: 1})
	const fast, slow = 100, 6
	for range fast + slow {
		put(t, js)
	}
	n := uint64(0)
	for d, err := range Subscribe(within(t, 20*time.Second), js.Conn(), asSiem) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; d.Sequence != n {
			t.Fatalf("message %d comes as number %d", d.Sequence, n)
		}
		if n > fast {
			<-time.After(700 * time.Millisecond)
		}
	}
	if n != fast+slow {
		t.Errorf("%d messages, want %d", n, fast+slow)
	}
}

// A consumer that cannot be read says why.
func TestDurableUnfit(t *testing.T) {
	for want, cfg := range map[string]jetstream.ConsumerConfig{
		"priority groups": {PriorityPolicy: jetstream.PriorityPolicyPinned, PriorityGroups: []string{"a"}, PinnedTTL: time.Minute},
		"pull":            {DeliverSubject: "there"},
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			js := newStream(t, startServer(t, embedded.Config{}))
			put(t, js)
			if cfg.DeliverSubject == "" {
				makeDurable(t, js, cfg)
			} else if _, err := js.CreatePushConsumer(t.Context(), "FLOWSCOPE", jetstream.ConsumerConfig{
				Durable: "siem", FilterSubject: "flowscope.>", DeliverSubject: cfg.DeliverSubject, AckPolicy: jetstream.AckExplicitPolicy,
			}); err != nil {
				t.Fatal(err)
			}
			var got error
			for _, got = range Subscribe(within(t, 5*time.Second), js.Conn(), asSiem) {
			}
			if got == nil || !strings.Contains(got.Error(), want) || !strings.Contains(got.Error(), "siem") {
				t.Errorf("%v, want it to speak of %s", got, want)
			}
		})
	}
}

// What is removed from the stream before it was sent is not waited for.
func TestPurgedMeanwhile(t *testing.T) {
	for _, durable := range []string{"", "siem"} {
		t.Run(fmt.Sprintf("durable %q", durable), func(t *testing.T) {
			t.Parallel()
			js := newStream(t, startServer(t, embedded.Config{}))
			const n = 2000 // more than are sent ahead
			for range n {
				put(t, js)
			}
			stream, err := js.Stream(t.Context(), "FLOWSCOPE")
			if err != nil {
				t.Fatal(err)
			}
			ctx, count := within(t, 20*time.Second), 0
			for _, err := range Subscribe(ctx, js.Conn(), SubscribeConfig{Subjects: asSiem.Subjects, Durable: durable, UntilCaughtUp: true}) {
				if err != nil {
					t.Fatal(err)
				}
				if count++; count == 1 {
					if err := stream.Purge(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
			}
			if ctx.Err() != nil || count == n {
				t.Errorf("%d messages, %v", count, ctx.Err())
			}
		})
	}
}

// Several that share a durable consumer all end once nothing more is stored.
func TestDurableShared(t *testing.T) {
	srv := startServer(t, embedded.Config{})
	js := newStream(t, srv)
	const n = 900
	for range n {
		put(t, js)
	}
	ctx := within(t, 20*time.Second)
	var mu sync.Mutex
	seen := map[uint64]int{}
	var all sync.WaitGroup
	for range 3 {
		nc := connect(t, srv)
		all.Go(func() {
			for d, err := range Subscribe(ctx, nc, asSiem) {
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				seen[d.Sequence]++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if len(seen) != n || ctx.Err() != nil {
		t.Errorf("%d messages, want %d, %v", len(seen), n, ctx.Err())
	}
}

// The end of the context is the end, whatever the server says of the consumer.
func TestDurableEnds(t *testing.T) {
	js := newStream(t, startServer(t, embedded.Config{}))
	makeDurable(t, js, jetstream.ConsumerConfig{AckWait: time.Nanosecond})
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	begin := time.Now()
	for _, err := range Subscribe(ctx, js.Conn(), SubscribeConfig{Subjects: asSiem.Subjects, Durable: "siem"}) {
		t.Error(err)
	}
	if d := time.Since(begin); d > 3*time.Second {
		t.Errorf("ends after %v", d)
	}
}
