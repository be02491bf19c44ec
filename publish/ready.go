package publish

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// verifyPause is how long a transport waits before it looks again at a stream
// that was not as it must be.
const verifyPause = time.Second

// verifyTimeout bounds one such look.
const verifyTimeout = 5 * time.Second

// jetStreamAPI is JetStream as the configuration reaches it.
func (t *jetStream) jetStreamAPI() (jetstream.JetStream, error) {
	js, err := jetstream.New(t.nc)
	if t.cfg.Stream.Domain != "" {
		js, err = jetstream.NewWithDomain(t.nc, t.cfg.Stream.Domain)
	}
	if err != nil {
		return nil, fmt.Errorf("use JetStream: %w", err)
	}
	return js, nil
}

// setUp looks after the stream; events are held back until it has succeeded.
func (t *jetStream) setUp(ctx context.Context) error {
	js, err := t.jetStreamAPI()
	if err != nil {
		return err
	}
	var facts *streamFacts
	err = request(ctx, t.nc, requestWait, func(ctx context.Context) error {
		facts, err = setUpStream(ctx, js, t.cfg)
		return err
	})
	err = t.blocked(ctx, js, err)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		if ctx.Err() == nil || t.notReady == nil {
			t.notReady = err // a look that was cut short has found nothing out
		}
		return err
	}
	t.notReady = nil
	t.stream, t.lastSeq = facts, max(t.lastSeq, facts.lastSeq)
	t.changed.Broadcast()
	return nil
}

// isReady says whether the stream has been looked after. If not, it is tried
// now; what is wrong is logged when it changes, with the command that would put
// it right.
func (t *jetStream) isReady(ctx context.Context) bool {
	t.mu.Lock()
	done, before := t.stream != nil, t.notReady
	t.mu.Unlock()
	if done {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	err := t.setUp(ctx)
	if err == nil {
		t.p.opts.Log.Info("the stream is there: publishing begins", "stream", t.cfg.Stream.Name)
		return true
	}
	if ctx.Err() == nil && (before == nil || before.Error() != err.Error()) {
		t.p.opts.Log.Error("events are held back", "error", err)
	}
	select {
	case <-ctx.Done():
	case <-time.After(verifyPause):
	}
	return false
}

// refreshTimeout is how long refresh may hold up what is to be sent again.
const refreshTimeout = time.Second

// refresh looks after a new connection for what may have changed of the stream: how long
// it remembers ids, and how large a message may be. Without an answer it is as before.
func (t *jetStream) refresh(ctx context.Context) {
	if t.cfg.Stream.Mode == StreamOff || t.cfg.Mode == ModeCore {
		return
	}
	js, err := t.jetStreamAPI()
	if err != nil {
		return
	}
	var stream jetstream.Stream
	if err := request(ctx, t.nc, refreshTimeout, func(ctx context.Context) error {
		stream, err = js.Stream(ctx, t.cfg.Stream.Name)
		return err
	}); err != nil {
		return
	}
	cfg := stream.CachedInfo().Config
	t.mu.Lock()
	t.stream.window(cfg.Duplicates, time.Now())
	t.stream.maxMessage = max(int(cfg.MaxMsgSize), 0)
	t.mu.Unlock()
}

// awaitReady waits until the stream has been looked after. A replay does not
// wait longer than for an acknowledgement.
func (t *jetStream) awaitReady(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stream != nil && t.failed == nil {
		return nil
	}
	return t.await(ctx, func() bool { return t.stream != nil })
}

// ready says what a new sensor waits for, that the connection is gone, or why
// nothing has been acknowledged for long.
func (t *jetStream) ready() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case !t.nc.IsConnected():
		return t.disconnected()
	case t.stream != nil && t.used > 0 && time.Since(t.progress) >= 2*t.limits.Load().ack:
		return &NotAcknowledgedError{N: t.p.account.waiting(), Last: t.trouble}
	case t.stream != nil:
		return nil
	case t.notReady != nil:
		return t.notReady
	}
	return errors.New("the stream has not been looked at yet")
}

// reload connects anew if the files of the login hold something else than before, for
// which they are read again. If they are not right the connection stays.
func (t *jetStream) reload() error {
	if _, err := t.cfg.Auth.options(nil); err != nil {
		return err
	}
	now := t.cfg.Auth.digest()
	t.mu.Lock()
	same := now == t.login
	t.login = now
	t.mu.Unlock()
	if len(t.cfg.Servers) == 0 || same {
		return nil
	}
	t.p.opts.Log.Info("the connection to NATS is made anew, because the files of the login have changed")
	if err := t.nc.ForceReconnect(); err != nil && !errors.Is(err, nats.ErrConnectionReconnecting) {
		return fmt.Errorf("reconnect: %w", err)
	}
	return nil
}
