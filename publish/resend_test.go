package publish

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"flowscope/publish/embedded"
)

// A server that is too slow to answer the whole window in the time that one message
// waits is not buried under messages that are sent again: it would answer ever later.
func TestSlowServer(t *testing.T) {
	const n, window, ack = 1200, 300, 60 * time.Millisecond
	cfg := DefaultConfig()
	cfg.Heartbeat, cfg.AckTimeout, cfg.InFlight.Messages = 0, ack, window
	tr := newJetStreamFor(t, startServer(t, embedded.Config{}), cfg).(*jetStream)
	arrived := make(chan string, 1<<20)
	tr.put = func(m *nats.Msg) error {
		arrived <- strings.Clone(m.Reply) // its memory is used again
		return nil
	}
	served := make(chan int)
	go func() {
		answers := 0
		for reply := range arrived {
			if answers++; answers%(window/50) == 0 {
				<-time.After(ack / 10) // five times as long for the window
			}
			tr.answer(&nats.Msg{Subject: reply, Data: []byte(`{"stream":"FLOWSCOPE","seq":1}`)})
		}
		served <- answers
	}()
	reg := deliveryRegistry(t)
	p := runPublisher(t, cfg, Options{Registry: reg}, tr)
	sink, m := p.Sink(0), newMaker(reg, 1)
	for range n {
		sink.HandleEvent(m.event(t, "dns", "query"))
	}
	sink.Close()
	if err := p.Close(within(t, time.Minute)); err != nil {
		t.Fatal(err)
	}
	close(arrived)
	l := p.Ledger()
	checkBalance(t, l)
	t.Logf("%d answers for %d events", <-served, n)
	if e := l.Events; e.Acknowledged != n || e.Resent == 0 || e.Resent > 10*n {
		t.Errorf("%+v, want %d acknowledged, and each sent again a few times", e, n)
	}
}
