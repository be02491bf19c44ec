package publish

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"flowscope/publish/embedded"
)

// muteDialer makes connections on which nothing is heard of the server while it is
// mute.
type muteDialer struct{ mute atomic.Bool }

func (d *muteDialer) Dial(network, address string) (net.Conn, error) {
	c, err := net.Dial(network, address)
	return &mutedConn{c, d}, err
}

type mutedConn struct {
	net.Conn
	dialer *muteDialer
}

func (c *mutedConn) Read(b []byte) (int, error) {
	for {
		n, err := c.Conn.Read(b)
		if err != nil || !c.dialer.mute.Load() {
			return n, err
		}
	}
}

// readingBack makes the ten messages look as if they had left long ago, and says whether
// the server has been asked for the stream since.
func readingBack() func(tr *jetStream) bool {
	asked := uint64(0)
	return func(tr *jetStream) bool {
		sent := 0
		for k := range tr.slots {
			if s := &tr.slots[k]; s.batch != nil && s.tries > 0 {
				s.first, s.due = time.Now().Add(-time.Hour), time.Time{}
				sent++
			}
		}
		if sent == 10 && asked == 0 {
			asked = tr.nc.Stats().OutMsgs
		}
		return asked > 0 && tr.nc.Stats().OutMsgs > asked
	}
}

// A stop keeps its deadline whatever the publisher waits for at the moment, and says
// how many events are left.
func TestStopInEachPhase(t *testing.T) {
	lost := func(*nats.Msg) error { return nil }
	unsent := func(*nats.Msg) error { return nats.ErrReconnectBufExceeded }
	full := func(tr *jetStream) bool { return tr.used == len(tr.slots) && tr.awaited }
	tests := []struct {
		name   string
		change func(*Config)
		put    func(*nats.Msg) error // nil: the messages are sent
		setUp  bool                  // the stream was looked at
		mute   bool                  // the server is silent then
		// reached says that the phase is; mu is held.
		reached func(tr *jetStream) bool
	}{
		{
			"the stream is looked at", nil, nil, false, true,
			func(tr *jetStream) bool { return tr.awaited },
		},
		{
			"the window is full", func(c *Config) { c.InFlight.Messages = 1 }, lost, true, false, full,
		},
		{
			"the window is full of a fast batch", func(c *Config) { c.Mode, c.InFlight.Messages = ModeFast, 1 }, lost, true, false, full,
		},
		{
			"there is no connection", nil, unsent, true, false,
			func(tr *jetStream) bool { return tr.used == 10 && tr.trouble != nil },
		},
		{
			"core NATS has no connection", func(c *Config) { c.Mode = ModeCore }, unsent, true, false,
			func(tr *jetStream) bool { return tr.trouble != nil },
		},
		{
			"the server is silent", nil, nil, true, true,
			func(tr *jetStream) bool { return tr.used == 10 },
		},
		{
			"the stream is read back", nil, nil, true, true,
			readingBack(),
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			srv := startServer(t, embedded.Config{Listen: "127.0.0.1:0"})
			dialer := &muteDialer{}
			nc, err := nats.Connect(srv.URL(), append(ConnectionOptions("test", nil), nats.SetCustomDialer(dialer))...)
			if err != nil {
				t.Fatal(err)
			}
			cfg := DefaultConfig()
			if tt.change != nil {
				tt.change(&cfg)
			}
			tr, err := newJetStream(nc, cfg.Resolved())
			if err != nil {
				t.Fatal(err)
			}
			if tt.setUp {
				if err := tr.setUp(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if tt.put != nil {
				tr.put = tt.put
			}
			dialer.mute.Store(tt.mute)
			p := runPublisher(t, cfg, Options{Registry: deliveryRegistry(t)}, tr)
			sink, m := p.Sink(0), newMaker(p.opts.Registry, 1)
			for range 10 {
				sink.HandleEvent(m.event(t, "dns", "query"))
			}
			sink.Close()
			waitFor(t, tt.name, func() bool {
				tr.mu.Lock()
				defer tr.mu.Unlock()
				return tt.reached(tr)
			})
			begin := time.Now()
			ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
			defer cancel()
			var left *NotAcknowledgedError
			if err := p.Close(ctx); !errors.As(err, &left) || left.N != 10 {
				t.Errorf("Close: %v, want 10 events left", err)
			}
			if took := time.Since(begin); took > 3*time.Second {
				t.Errorf("the stop took %v", took)
			}
			checkBalance(t, p.Ledger())
		})
	}
}
