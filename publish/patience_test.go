package publish

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"flowscope/publish/embedded"
)

var (
	errLeaderless = fmt.Errorf("stream X: %w", &jetstream.APIError{Code: 503, ErrorCode: 10008, Description: "JetStream system temporarily unavailable"})
	errNotFound   = fmt.Errorf("stream X: %w", jetstream.ErrStreamNotFound)
	errReplaced   = &replacedError{"X", 7}
	errDisabled   = fmt.Errorf("stream X: %w", jetstream.ErrJetStreamNotEnabled)
)

func TestPatience(t *testing.T) {
	// The servers' answers over time; at the end of the list all is well.
	type answer struct {
		until time.Duration
		err   error
	}
	tests := []struct {
		name    string
		answers []answer
		led     error         // what whenLed returns
		after   time.Duration // about when
		kept    error         // and keepTrying
		later   time.Duration
	}{
		{name: "all is well"},
		{"an election", []answer{{9 * time.Second, errLeaderless}}, nil, 9 * time.Second, nil, 9 * time.Second},
		{"no leader ever", []answer{{time.Hour, errLeaderless}}, errLeaderless, electionWait, nil, time.Hour},
		{"no answer", []answer{{12 * time.Second, context.DeadlineExceeded}}, nil, 12 * time.Second, nil, 12 * time.Second},
		{"a start", []answer{{20 * time.Second, errNotFound}}, errNotFound, 0, nil, 20 * time.Second},
		{"no stream", []answer{{time.Hour, errNotFound}}, errNotFound, 0, errNotFound, beliefWait},
		{"JetStream off", []answer{{time.Hour, errDisabled}}, errDisabled, 0, errDisabled, beliefWait},
		{"no for a while, twice", []answer{{30 * time.Second, errNotFound}, {40 * time.Second, nats.ErrNoResponders}, {70 * time.Second, errNotFound}}, errNotFound, 0, nil, 70 * time.Second},
		{"replaced", []answer{{time.Hour, errReplaced}}, errReplaced, 0, errReplaced, 0},
	}
	for _, tt := range tests {
		ask := func(begin time.Time) error {
			for _, a := range tt.answers {
				if time.Since(begin) < a.until {
					return a.err
				}
			}
			return nil
		}
		same := func(t *testing.T, what string, got, want error, after, about time.Duration) {
			t.Helper()
			if !errors.Is(got, want) {
				t.Errorf("%s: %v, want %v", what, got, want)
			}
			if after < about || after > about+time.Second {
				t.Errorf("%s: after %v, want %v", what, after, about)
			}
		}
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				err := whenLed(t.Context(), new(nats.Conn), func() error { return ask(begin) })
				same(t, "the first request", err, tt.led, time.Since(begin), tt.after)
				begin = time.Now()
				err = keepTrying(t.Context(), new(nats.Conn), func(context.Context) error { return ask(begin) })
				same(t, "a later one", err, tt.kept, time.Since(begin), tt.later)

				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				begin = time.Now()
				_ = keepTrying(ctx, new(nats.Conn), func(context.Context) error { return ask(begin) })
				if d := time.Since(begin); d > time.Second {
					t.Errorf("%v beyond the end of the context", d)
				}
			})
		})
	}
}

// consume subscribes in the background and returns what comes; the channel is
// closed at the end, whose error is err.
func consume(ctx context.Context, nc *nats.Conn, cfg SubscribeConfig) (seen chan uint64, err *error) {
	seen, err = make(chan uint64, 1000), new(error)
	go func() {
		defer close(seen)
		for d, failed := range Subscribe(ctx, nc, cfg) {
			if *err = failed; failed == nil {
				seen <- d.Sequence
			}
		}
	}()
	return seen, err
}

func receive(t *testing.T, seen <-chan uint64, want uint64) {
	t.Helper()
	select {
	case got, ok := <-seen:
		if !ok || got != want {
			t.Fatalf("received message %d (%v), want %d", got, ok, want)
		}
	case <-time.After(20 * time.Second):
		t.Fatalf("message %d does not come", want)
	}
}

func put(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	if _, err := js.Publish(t.Context(), "flowscope.dns.query", []byte("x")); err != nil {
		t.Fatal(err)
	}
}

// newStream makes a stream and waits for consumers on it.
func newStream(t *testing.T, srv *embedded.Server) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(connect(t, srv))
	if err != nil {
		t.Fatal(err)
	}
	makeStream(t, js)
	return js
}

func makeStream(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	if _, err := js.CreateStream(t.Context(), streamConfig(DefaultConfig().Resolved())); err != nil {
		t.Fatal(err)
	}
}

// consumers waits until a stream has one that is asked for messages, and returns its name.
func consumers(t *testing.T, js jetstream.JetStream, but string) string {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); <-time.After(10 * time.Millisecond) {
		stream, err := js.Stream(t.Context(), "FLOWSCOPE")
		if err != nil {
			t.Fatal(err)
		}
		for info := range stream.ListConsumers(t.Context()).Info() {
			if info.Name != but && info.NumWaiting > 0 {
				return info.Name
			}
		}
	}
	t.Fatal("no consumer")
	return ""
}

// A consumer that the server has forgotten is replaced by one that goes on behind
// the last message, or where the first one began.
func TestForgottenConsumer(t *testing.T) {
	js := newStream(t, startServer(t, embedded.Config{}))
	put(t, js)
	for _, from := range []From{FromStart, FromNew} {
		ctx, cancel := context.WithCancel(t.Context())
		seen, failed := consume(ctx, js.Conn(), SubscribeConfig{Subjects: []string{"flowscope.>"}, From: from})
		first := consumers(t, js, "")
		last := uint64(1)
		if from == FromStart {
			receive(t, seen, 1)
		} else {
			last = 3
		}
		if err := js.DeleteConsumer(t.Context(), "FLOWSCOPE", first); err != nil {
			t.Fatal(err)
		}
		put(t, js)
		put(t, js)
		receive(t, seen, last+1)
		receive(t, seen, last+2)
		second := consumers(t, js, first)
		cancel()
		for n := range seen {
			t.Errorf("message %d", n)
		}
		if *failed != nil {
			t.Error(*failed)
		}
		if err := js.DeleteConsumer(t.Context(), "FLOWSCOPE", second); err != nil {
			t.Fatal(err)
		}
	}
}

func TestReplacedStream(t *testing.T) {
	js := newStream(t, startServer(t, embedded.Config{}))
	put(t, js)
	seen, failed := consume(within(t, 20*time.Second), js.Conn(), SubscribeConfig{Subjects: []string{"flowscope.>"}})
	receive(t, seen, 1)
	if err := js.DeleteStream(t.Context(), "FLOWSCOPE"); err != nil {
		t.Fatal(err)
	}
	makeStream(t, js)
	for n := range seen {
		t.Errorf("message %d", n)
	}
	if err := *failed; err == nil || !strings.Contains(err.Error(), "stream FLOWSCOPE was deleted and made anew after its message 1") {
		t.Errorf("error %v", err)
	}
}

// The end of the context ends a subscription whose server is gone.
func TestEndWithoutServer(t *testing.T) {
	for _, durable := range []string{"", "siem"} {
		srv, err := embedded.Start(embedded.Config{Store: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		js := newStream(t, srv)
		put(t, js)
		ctx, cancel := context.WithCancel(t.Context())
		seen, failed := consume(ctx, js.Conn(), SubscribeConfig{Subjects: []string{"flowscope.>"}, Durable: durable})
		receive(t, seen, 1)
		if err := srv.Close(); err != nil {
			t.Fatal(err)
		}
		select {
		case <-seen:
			t.Errorf("%q ends with its server: %v", durable, *failed)
		case <-time.After(2 * time.Second):
		}
		cancel()
		begin := time.Now()
		for range seen {
		}
		if d := time.Since(begin); d > 2*time.Second || *failed != nil {
			t.Errorf("%q ends after %v: %v", durable, d, *failed)
		}
	}
}
