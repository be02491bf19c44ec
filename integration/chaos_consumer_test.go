//go:build linux

package integration

import (
	"context"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"flowscope/publish"
)

// listener consumes a stream while things break.
type listener struct {
	name string
	cfg  publish.SubscribeConfig
	seen []uint64 // numbers in the stream, in the order of arrival
	err  error
}

// listeners are one of each kind, through connections of their own.
func listeners() []*listener {
	all := []string{"flowscope.>"}
	return []*listener{
		{name: "ordered", cfg: publish.SubscribeConfig{Subjects: all}},
		{name: "durable", cfg: publish.SubscribeConfig{Subjects: all, Durable: "siem"}},
	}
}

// listen starts them. The function that it returns waits until each has seen the
// stream's last message, and checks what they saw.
func listen(t *testing.T, urls string, ls []*listener) (settle func(last uint64)) {
	ctx, cancel := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	var mu sync.Mutex
	t.Cleanup(func() { cancel(); wait.Wait() })
	for _, l := range ls {
		nc, err := nats.Connect(urls, nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		wait.Go(func() {
			for d, err := range publish.Subscribe(ctx, nc, l.cfg) {
				mu.Lock()
				if l.err = err; err == nil {
					l.seen = append(l.seen, d.Sequence)
				}
				mu.Unlock()
			}
		})
	}
	return func(last uint64) {
		t.Helper()
		for _, l := range ls {
			awaitTrue(t, "all messages at the "+l.name+" consumer", func() bool {
				mu.Lock()
				defer mu.Unlock()
				return l.err != nil || distinct(l.seen) == last
			})
		}
		cancel()
		wait.Wait()
		for _, l := range ls {
			l.check(t, last)
		}
	}
}

func distinct(numbers []uint64) uint64 {
	return uint64(len(slices.Compact(slices.Sorted(slices.Values(numbers)))))
}

func (l *listener) check(t *testing.T, last uint64) {
	t.Helper()
	if l.err != nil {
		t.Errorf("%s consumer ends after %d messages: %v", l.name, len(l.seen), l.err)
	}
	again := uint64(len(l.seen)) - distinct(l.seen)
	if l.cfg.Durable == "" && (again > 0 || !slices.IsSorted(l.seen)) {
		t.Errorf("%s consumer: %d messages came twice, in order is %v", l.name, again, slices.IsSorted(l.seen))
	}
	t.Logf("%s consumer: %d messages, %d more than once, in order %v", l.name, last, again, slices.IsSorted(l.seen))
}

// testConsumers breaks what consumers read from and through while events are
// stored. None of them ends, and each sees everything.
func testConsumers(t *testing.T, built programs, f fault) {
	c := &chaos{t: t, server: startNATS(t, built.server, t.TempDir(), "one", "")}
	createStream(t, c.server, nil)
	c.proxy = startProxy(t, c.server.address)
	settle := listen(t, c.proxy.url(), listeners())
	rounds := chaosRounds()
	span := f.every*time.Duration(rounds) + time.Second
	flows := int(span/time.Millisecond) / 10
	capture := filepath.Join(t.TempDir(), "chaos.pcap")
	writeCapture(t, capture, flows, span, 0, 0)
	r := startReplay(t, built.flowscope, c.server.url(), capture, "")
	awaitEvents(t, c.server, 100)
	for c.round = range rounds {
		begin := time.Now()
		f.make(c)
		<-time.After(f.every - time.Since(begin))
	}
	l, status := r.end(2 * time.Minute)
	r.check(l, status, uint64(eventsPerFlow*flows))
	info, err := c.server.stream("FLOWSCOPE").Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	settle(info.State.LastSeq)
}
