//go:build linux

package integration

import (
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// chaos is one replay through a proxy to a server of its own.
type chaos struct {
	t      *testing.T
	server *natsProcess
	proxy  *proxy
	round  int
}

// fault is one kind of trouble: made again and again while events are published,
// and over each time.
type fault struct {
	name string
	// make makes it and ends it.
	make func(*chaos)
	// window is the stream's duplicate window, 0 for two minutes.
	window time.Duration
	// every is the time between the beginnings of two.
	every time.Duration
}

var faults = []fault{
	{name: "kill", every: 1500 * time.Millisecond, make: func(c *chaos) {
		c.server.kill()
		<-time.After(200 * time.Millisecond)
		c.server.start()
		c.server.await()
	}},
	{name: "stop", every: 2500 * time.Millisecond, make: func(c *chaos) {
		c.server.signal(syscall.SIGSTOP)
		// Beyond the time-out of an acknowledgement, in long runs once beyond
		// that of a write.
		pause := 1500 * time.Millisecond
		if c.round == 5 {
			pause = 8 * time.Second
		}
		<-time.After(pause)
		c.server.signal(syscall.SIGCONT)
	}},
	{name: "cut", every: 700 * time.Millisecond, make: func(c *chaos) { c.proxy.cut() }},
	{name: "delay", every: 1500 * time.Millisecond, make: func(c *chaos) {
		c.proxy.delay.Store(int64(200 * time.Millisecond))
		<-time.After(time.Second)
		c.proxy.delay.Store(0)
	}},
	{name: "half-close", every: time.Second, make: func(c *chaos) { c.proxy.halfClose(c.round%2 == 0) }},
	{name: "answers lost", every: 1200 * time.Millisecond, make: func(c *chaos) {
		c.proxy.mute.Store(true)
		<-time.After(400 * time.Millisecond)
		c.proxy.cut()
		c.proxy.mute.Store(false)
	}},
	{name: "answers lost for longer than the duplicate window", window: time.Second, every: 3 * time.Second, make: func(c *chaos) {
		c.proxy.mute.Store(true)
		<-time.After(300 * time.Millisecond)
		c.proxy.refuse.Store(true)
		c.proxy.cut()
		<-time.After(1500 * time.Millisecond)
		c.proxy.mute.Store(false)
		c.proxy.refuse.Store(false)
	}},
}

// runFault makes a fault again and again while a capture is replayed.
func runFault(t *testing.T, built programs, f fault, w way) {
	c := &chaos{t: t, server: startNATS(t, built.server, t.TempDir(), "one", "")}
	createStream(t, c.server, func(s *jetstream.StreamConfig) {
		if f.window > 0 {
			s.Duplicates = f.window
		}
	})
	c.proxy = startProxy(t, c.server.address)
	rounds := chaosRounds()
	span := f.every*time.Duration(rounds) + time.Second
	flows := int(span/time.Millisecond) * 2
	capture := filepath.Join(t.TempDir(), "chaos.pcap")
	writeCapture(t, capture, flows, span, 0, 0)
	r := startReplay(t, built.flowscope, c.proxy.url(), capture, w.config)
	awaitEvents(t, c.server, 100)
	for c.round = range rounds {
		begin := time.Now()
		f.make(c)
		<-time.After(f.every - time.Since(begin))
	}
	l, status := r.end(2 * time.Minute)
	want := uint64(eventsPerFlow * flows)
	if w.unacknowledged {
		r.checkSent(l, status, want)
		if got := audited(t, c.server.url(), false); got > l.Events.Sent {
			t.Errorf("the stream holds %d events, %d were sent", got, l.Events.Sent)
		}
	} else {
		r.check(l, status, want)
		if got := audited(t, c.server.url(), true); got != l.Events.Acknowledged {
			t.Errorf("the stream holds %d events, %d are acknowledged", got, l.Events.Acknowledged)
		}
	}
	t.Logf("%d faults, %d events: %d resent, %d duplicates, %d possibly doubled, %.1f s, %d MiB",
		rounds, l.Events.Made, l.Events.Resent, l.Events.Duplicates, l.Events.PossiblyDoubled, l.Seconds, l.PeakRSS>>20)
}
