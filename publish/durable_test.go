package publish

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"flowscope/publish/embedded"
)

// A durable consumer asks for many messages at once, if there are many.
func TestDurableAsksForMany(t *testing.T) {
	js := newStream(t, startServer(t, embedded.Config{}))
	const n = 3000
	for range n {
		put(t, js)
	}
	var requests atomic.Int32
	if _, err := js.Conn().Subscribe("$JS.API.CONSUMER.MSG.NEXT.>", func(*nats.Msg) { requests.Add(1) }); err != nil {
		t.Fatal(err)
	}
	got := uint64(0)
	for d, err := range Subscribe(within(t, time.Minute), js.Conn(), SubscribeConfig{Subjects: []string{"flowscope.>"}, Durable: "siem", UntilCaughtUp: true}) {
		if err != nil {
			t.Fatal(err)
		}
		if got++; d.Sequence != got {
			t.Fatalf("message %d comes as number %d", d.Sequence, got)
		}
	}
	if r := requests.Load(); got != n || r > n/20 {
		t.Errorf("%d of %d messages with %d requests", got, n, r)
	}
	checkSettled(t, js, "siem")
}

// checkSettled wants every message to be acknowledged.
func checkSettled(t *testing.T, js jetstream.JetStream, durable string) {
	t.Helper()
	waitFor(t, "the acknowledgements", func() bool {
		consumer, err := js.Consumer(t.Context(), "FLOWSCOPE", durable)
		if err != nil {
			t.Fatal(err)
		}
		info := consumer.CachedInfo()
		return info.NumPending == 0 && info.NumAckPending == 0
	})
}

// A loop that becomes slow does not have messages delivered twice because those that
// were sent ahead wait for too long, and they stay in order.
func TestDurableBecomesSlow(t *testing.T) {
	js := newStream(t, startServer(t, embedded.Config{}))
	const fast, slow = 300, 12
	for range fast + slow {
		put(t, js)
	}
	const ackWait = 3 * time.Second
	if _, err := js.CreateConsumer(t.Context(), "FLOWSCOPE", jetstream.ConsumerConfig{
		Durable: "siem", FilterSubject: "flowscope.>", AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait,
	}); err != nil {
		t.Fatal(err)
	}
	n := uint64(0)
	for d, err := range Subscribe(within(t, time.Minute), js.Conn(), SubscribeConfig{Subjects: []string{"flowscope.>"}, Durable: "siem", UntilCaughtUp: true}) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; d.Sequence != n {
			t.Errorf("message %d comes as number %d", d.Sequence, n)
		}
		if n > fast {
			<-time.After(ackWait / 8)
		}
	}
	if n != fast+slow {
		t.Errorf("%d messages, want %d", n, fast+slow)
	}
	checkSettled(t, js, "siem")
}

// What was sent ahead when the loop is left comes again at once, in order if it is the
// first time.
func TestDurableIsLeft(t *testing.T) {
	const n = 500
	for _, at := range [][]uint64{{1}, {2}, {200}, {n}, {1, 2, 200, 201, 202, 300}} {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			t.Parallel()
			js := newStream(t, startServer(t, embedded.Config{}))
			for range n {
				put(t, js)
			}
			cfg := SubscribeConfig{Subjects: []string{"flowscope.>"}, Durable: "siem", UntilCaughtUp: true}
			seen := map[uint64]bool{}
			for _, leave := range append(at, 0) {
				for d, err := range Subscribe(within(t, 20*time.Second), js.Conn(), cfg) {
					if err != nil {
						t.Fatal(err)
					}
					if d.Sequence == leave {
						break
					}
					if next := uint64(len(seen)) + 1; seen[d.Sequence] || len(at) == 1 && d.Sequence != next {
						t.Fatalf("message %d comes, want %d", d.Sequence, next)
					}
					seen[d.Sequence] = true
				}
			}
			if len(seen) != n {
				t.Errorf("%d messages, want %d", len(seen), n)
			}
			checkSettled(t, js, "siem")
		})
	}
}

// What a process took and did not acknowledge before it died comes to another one, which
// is not done before.
func TestDurableTakesOver(t *testing.T) {
	js := newStream(t, startServer(t, embedded.Config{}))
	const n, lost = 30, 7
	for range n {
		put(t, js)
	}
	consumer, err := js.CreateConsumer(t.Context(), "FLOWSCOPE", jetstream.ConsumerConfig{
		Durable: "siem", FilterSubject: "flowscope.>", AckPolicy: jetstream.AckExplicitPolicy, AckWait: 2 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	dead, err := consumer.Fetch(lost)
	if err != nil {
		t.Fatal(err)
	}
	for range dead.Messages() {
	}
	seen := map[uint64]bool{}
	for d, err := range Subscribe(within(t, 20*time.Second), js.Conn(), SubscribeConfig{Subjects: []string{"flowscope.>"}, Durable: "siem", UntilCaughtUp: true}) {
		if err != nil {
			t.Fatal(err)
		}
		seen[d.Sequence] = true
	}
	if len(seen) != n {
		t.Errorf("%d messages, want %d", len(seen), n)
	}
	checkSettled(t, js, "siem")
}
