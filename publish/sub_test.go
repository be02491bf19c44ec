package publish

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"flowscope/publish/embedded"
)

// stored starts a server whose stream holds n queries, and returns their ids.
func stored(t *testing.T, n int) (*embedded.Server, []string) {
	t.Helper()
	reg := deliveryRegistry(t)
	srv := startServer(t, embedded.Config{})
	p := runPublisher(t, DefaultConfig(), Options{Registry: reg}, newJetStreamFor(t, srv, DefaultConfig()))
	sink, m := p.Sink(0), newMaker(reg, 1)
	var ids []string
	for range n {
		e := m.event(t, "dns", "query")
		ids = append(ids, e.ID())
		sink.HandleEvent(e)
	}
	sink.Close()
	if err := p.Close(within(t, 20*time.Second)); err != nil {
		t.Fatal(err)
	}
	return srv, ids
}

func idsOf(deliveries []*Delivery) []string {
	var ids []string
	for _, d := range deliveries {
		ids = append(ids, d.ID)
	}
	return ids
}

func TestSubscribeBounds(t *testing.T) {
	srv, ids := stored(t, 20)
	all := []string{"flowscope.>"}
	tests := []struct {
		name string
		cfg  SubscribeConfig
		want []string
	}{
		{"all", SubscribeConfig{Subjects: all, UntilCaughtUp: true}, ids},
		{"by stream", SubscribeConfig{Stream: "FLOWSCOPE", Subjects: all, UntilCaughtUp: true}, ids},
		{"count", SubscribeConfig{Subjects: all, Count: 7}, ids[:7]},
		{"several subjects", SubscribeConfig{Subjects: []string{"flowscope.dns.query", "flowscope.http.*"}, UntilCaughtUp: true}, ids},
		{"nothing stored", SubscribeConfig{Subjects: []string{"flowscope.http.*"}, UntilCaughtUp: true}, nil},
		{"new", SubscribeConfig{Subjects: all, From: FromNew, UntilCaughtUp: true}, nil},
		{"since long ago", SubscribeConfig{Subjects: all, From: FromTime, Time: time.Unix(1, 0), UntilCaughtUp: true}, ids},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := idsOf(collect(t, srv, tt.cfg)); !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestDurableGoesOn(t *testing.T) {
	srv, ids := stored(t, 20)
	cfg := SubscribeConfig{Subjects: []string{"flowscope.dns.*"}, Durable: "siem", Count: 8}
	if got := idsOf(collect(t, srv, cfg)); !slices.Equal(got, ids[:8]) {
		t.Errorf("first: %v", got)
	}
	// Leaving the loop leaves the message at hand.
	for d, err := range Subscribe(within(t, 20*time.Second), connect(t, srv), cfg) {
		if err != nil {
			t.Fatal(err)
		}
		if d.ID != ids[8] {
			t.Errorf("got %s, want %s", d.ID, ids[8])
		}
		break
	}
	cfg.Count = 12
	got := idsOf(collect(t, srv, cfg))
	slices.Sort(got) // what comes again may come out of order
	want := slices.Clone(ids[8:])
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the rest: %v, want %v", got, want)
	}
	cfg.Count, cfg.UntilCaughtUp = 0, true
	if got := collect(t, srv, cfg); len(got) != 0 {
		t.Errorf("%d more deliveries", len(got))
	}
}

func TestSubscribeErrors(t *testing.T) {
	srv, _ := stored(t, 1)
	durable := SubscribeConfig{Subjects: []string{"flowscope.>"}, Durable: "siem", UntilCaughtUp: true}
	collect(t, srv, durable)
	tests := []struct {
		name string
		cfg  SubscribeConfig
		want string
	}{
		{"no stream covers", SubscribeConfig{Subjects: []string{"other.>"}}, "no stream covers other.>"},
		{"no such stream", SubscribeConfig{Stream: "NONE", Subjects: []string{"x"}}, "stream NONE"},
		{"no subject", SubscribeConfig{}, "at least one subject"},
		{"durable for others", SubscribeConfig{Subjects: []string{"flowscope.dns.*"}, Durable: "siem"}, "exists for flowscope.>"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := 0
			for d, err := range Subscribe(within(t, 10*time.Second), connect(t, srv), tt.cfg) {
				n++
				if d != nil || err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("got %v, %v; want an error with %q", d, err, tt.want)
				}
			}
			if n != 1 {
				t.Errorf("%d results, want one error", n)
			}
		})
	}
}

// A subscription that waits for more ends with its context, without an error.
func TestSubscribeEndsWithItsContext(t *testing.T) {
	srv, ids := stored(t, 3)
	ctx, cancel := context.WithCancel(t.Context())
	var got []string
	for d, err := range Subscribe(ctx, connect(t, srv), SubscribeConfig{Subjects: []string{"flowscope.>"}}) {
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, d.ID); len(got) == len(ids) {
			cancel()
		}
	}
	cancel()
	if !slices.Equal(got, ids) {
		t.Errorf("got %v, want %v", got, ids)
	}
}
