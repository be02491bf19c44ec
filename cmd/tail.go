package cmd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"

	"flowscope/cmd/internal/printer"
	"flowscope/publish"
	"flowscope/session"
)

// tail receives and prints what a replay publishes. A nil tail does nothing.
type tail struct {
	nc      *nats.Conn
	printer *printer.Printer
	run     string // of our own events
	ledger  string // subject of the last one
	lost    func() // called when nobody reads the output any more
	cancel  context.CancelFunc
	done    chan struct{}
	err     error // valid once done is closed
	closing sync.Once
}

// startTail subscribes before the first event is published.
func startTail(r *replay) (*tail, error) {
	nc, err := r.dest.connect(r.soft, tailConnection)
	if err != nil {
		return nil, fmt.Errorf("tail: %w", err)
	}
	ctx, cancel := context.WithTimeout(r.hard, r.Publish.ConnectTimeout)
	defer cancel()
	cfg, err := fromHere(ctx, nc, r.Publish)
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("tail: %w", err)
	}
	t := &tail{
		nc: nc, printer: printer.New(r.stdout, r.format), run: r.run,
		ledger: "." + session.SensorProtocol + "." + (&publish.Ledger{}).Kind(),
		lost:   func() {},
		done:   make(chan struct{}),
	}
	if r.dest.temporary != "" {
		t.lost = r.stopReading // nobody will see what is stored, either
	}
	ctx, t.cancel = context.WithCancel(r.hard)
	go func() {
		defer close(t.done)
		if t.err = t.follow(ctx, cfg); errors.Is(t.err, publish.ErrClosedPipe) {
			t.lost()
		}
	}()
	return t, nil
}

// fromHere is a subscription to all that is stored from now on, and perhaps a
// little before: the time is the server's, of its last message.
func fromHere(ctx context.Context, nc *nats.Conn, cfg publish.Config) (publish.SubscribeConfig, error) {
	s := publish.SubscribeConfig{Subjects: []string{publish.StreamSubject(cfg.Prefix)}}
	stream, err := publish.FindStream(ctx, nc, s)
	if err != nil {
		return s, err
	}
	s.Stream = stream.CachedInfo().Config.Name
	if state := stream.CachedInfo().State; state.LastSeq > 0 && !state.LastTime.IsZero() {
		s.From, s.Time = publish.FromTime, state.LastTime
	}
	return s, nil
}

// follow prints our own events until our ledger comes, which is stored last.
func (t *tail) follow(ctx context.Context, cfg publish.SubscribeConfig) error {
	own := t.run + "."
	for d, err := range publish.Subscribe(ctx, t.nc, cfg) {
		if err != nil {
			return fmt.Errorf("tail: %w", err)
		}
		if seq := d.Header[publish.SeqHeader]; len(seq) == 0 || !strings.HasPrefix(seq[0], own) {
			continue
		}
		if strings.HasSuffix(d.Subject, t.ledger) {
			return t.printer.Flush()
		}
		if strings.Contains(d.Subject, "."+session.SensorProtocol+".") {
			continue
		}
		if err := t.printer.Print(d.Payload); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// finish waits until everything that was stored has been received.
func (t *tail) finish(ctx context.Context) error {
	if t == nil {
		return nil
	}
	select {
	case <-t.done:
		return t.err
	case <-ctx.Done():
		return errors.New("tail: not everything that was stored has been received in time")
	}
}

// close ends the subscription. It is safe to call twice.
func (t *tail) close() (err error) {
	if t == nil {
		return nil
	}
	t.closing.Do(func() {
		t.cancel()
		<-t.done
		t.nc.Close()
		err = t.printer.Close()
	})
	return err
}
