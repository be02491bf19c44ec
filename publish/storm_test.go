package publish

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"flowscope/publish/embedded"
)

// cutDialer makes connections that can be cut.
type cutDialer struct {
	mu   sync.Mutex
	last net.Conn
	cuts int
}

func (d *cutDialer) Dial(network, address string) (net.Conn, error) {
	c, err := net.Dial(network, address)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last = c
	return c, err
}

// cut breaks the connection in the middle of whatever is under way, so many times in
// all, and says whether it still does.
func (d *cutDialer) cut(cuts int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c, ok := d.last.(*net.TCPConn); ok && d.cuts < cuts {
		_ = c.SetLinger(0)
		_ = c.Close()
		d.last = nil
		d.cuts++
	}
	return d.cuts < cuts
}

// Connections that end after a few messages each, one after another, lose nothing and
// double nothing.
func TestReconnectStorm(t *testing.T) {
	for _, tt := range waysToStore {
		t.Run(tt.name, func(t *testing.T) {
			reg := deliveryRegistry(t)
			srv := startServer(t, embedded.Config{Listen: "127.0.0.1:0"})
			dialer := &cutDialer{}
			nc, err := nats.Connect(srv.URL(), append(ConnectionOptions("test", nil),
				nats.SetCustomDialer(dialer), nats.ReconnectWait(5*time.Millisecond), nats.ReconnectJitter(time.Millisecond, time.Millisecond))...)
			if err != nil {
				t.Fatal(err)
			}
			cfg := DefaultConfig()
			cfg.Mode, cfg.BatchBytes = tt.mode, tt.batch
			cfg.AckTimeout = time.Second
			tr, err := NewJetStream(t.Context(), nc, cfg)
			if err != nil {
				t.Fatal(err)
			}
			var left atomic.Int64
			var over atomic.Bool
			tr.(*jetStream).put = func(m *nats.Msg) error {
				err := nc.PublishMsg(m)
				if err == nil && left.Add(1)%5 == 0 && !dialer.cut(40) {
					over.Store(true)
				}
				return err
			}
			p := runPublisher(t, cfg, Options{Registry: reg}, tr)
			sink, m := p.Sink(0), newMaker(reg, 1)
			n := uint64(0)
			for begin := time.Now(); !over.Load(); <-time.After(5 * time.Millisecond) {
				for range 50 {
					sink.HandleEvent(m.event(t, "dns", "query"))
					n++
				}
				sink.Tick(time.Unix(int64(n), 0))
				if time.Since(begin) > 30*time.Second {
					t.Fatal("the storm does not end")
				}
			}
			sink.Close()
			if err := p.Close(within(t, time.Minute)); err != nil {
				t.Fatal(err)
			}
			l := p.Ledger()
			checkBalance(t, l)
			if e := l.Events; e.Acknowledged != n || e.Resent == 0 || e.PossiblyDoubled != 0 {
				t.Errorf("%+v, want %d acknowledged, some of them resent", e, n)
			}
			ids := storedIDs(t, srv, reg)
			for id, times := range ids {
				if times != 1 {
					t.Errorf("%s is stored %d times", id, times)
				}
			}
			if uint64(len(ids)) != n {
				t.Errorf("%d events stored, want %d", len(ids), n)
			}
		})
	}
}
