package publish

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// smallRequests connects to a server that allows for requests of a few messages only.
func smallRequests(t *testing.T) *nats.Conn {
	t.Helper()
	srv := serverWith(t, "", func(o *server.Options) {
		o.JetStream, o.StoreDir, o.JetStreamLimits.MaxRequestBatch = true, t.TempDir(), 7
	})
	nc, err := nats.Connect("", nats.InProcessServer(srv))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

func TestOrderedSmallRequests(t *testing.T) {
	js, err := jetstream.New(smallRequests(t))
	if err != nil {
		t.Fatal(err)
	}
	makeStream(t, js)
	const n = 50
	for range n {
		put(t, js)
	}
	ctx, got := within(t, 10*time.Second), 0
	for _, err := range Subscribe(ctx, js.Conn(), SubscribeConfig{Subjects: []string{"flowscope.>"}, UntilCaughtUp: true}) {
		if err != nil {
			t.Fatal(err)
		}
		got++
	}
	if got != n || ctx.Err() != nil {
		t.Errorf("%d messages, want %d, %v", got, n, ctx.Err())
	}
}

const (
	infoGone  = `{"error":{"code":404,"err_code":10014,"description":"consumer not found"}}`
	infoAlive = `{"stream_name":"FLOWSCOPE","name":"c1","config":{},"delivered":{"consumer_seq":%d,"stream_seq":%d},"num_waiting":%d,"num_pending":2}`
)

var fromPlayer = SubscribeConfig{Stream: "FLOWSCOPE", Subjects: []string{"flowscope.>"}}

// A consumer that is silent is replaced if it is gone, or if something was lost.
func TestOrderedSilence(t *testing.T) {
	for name, info := range map[string]string{
		"the consumer is gone":    infoGone,
		"a message was lost":      fmt.Sprintf(infoAlive, 2, 2, 1),
		"the request was lost":    fmt.Sprintf(infoAlive, 1, 1, 0),
		"what it says is garbage": `[]`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &player{info: info}
			p.deliver = func(nth, start int) {
				p.send(1, start)
				for seq := start + 1; nth > 1 && seq <= 3; seq++ {
					p.send(seq-start+1, seq)
				}
			}
			ctx, n, cfg := within(t, 25*time.Second), uint64(0), fromPlayer
			cfg.Count = 3
			for d, err := range Subscribe(ctx, p.connect(t), cfg) {
				if err != nil {
					t.Fatal(err)
				}
				if n++; d.Sequence != n {
					t.Errorf("message %d comes as number %d", d.Sequence, n)
				}
			}
			if made := p.made.Load(); n != 3 || made != 2 {
				t.Errorf("%d messages from %d consumers, want 3 from 2", n, made)
			}
		})
	}
}

// A server whose consumers bring nothing that fits is not flooded with more of them.
func TestOrderedNothingFits(t *testing.T) {
	p := &player{info: infoGone}
	p.deliver = func(_, start int) { p.send(2, start+1) }
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	for d, err := range Subscribe(ctx, p.connect(t), fromPlayer) {
		t.Error(d, err)
	}
	if made := p.made.Load(); made < 2 || made > 12 {
		t.Errorf("%d consumers in two seconds", made)
	}
}

// The end of the connection at a message that does not follow is an error.
func TestOrderedEndsAtGap(t *testing.T) {
	p := &player{info: infoGone}
	p.deliver = func(int, int) { p.send(1, 1); p.send(3, 3) }
	nc, n := p.connect(t), 0
	var last error
	for _, err := range Subscribe(within(t, 10*time.Second), nc, fromPlayer) {
		if last = err; err == nil {
			n++
			nc.Close()
		}
	}
	if n != 1 || last == nil {
		t.Errorf("%d messages, then %v", n, last)
	}
}
