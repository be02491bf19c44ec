package publish

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"flowscope/publish/embedded"
)

// A sensor whose server is not there says so, with the server and the reason: in its log
// after the connect time-out, when it is asked, and at its end.
func TestServerThatIsNeverReached(t *testing.T) {
	cfg := DefaultConfig()
	url := "nats://" + freePort(t)
	cfg.Servers, cfg.ConnectTimeout = []string{url}, time.Second // by then there were attempts
	logged := &syncBuffer{}
	log := slog.New(slog.NewTextHandler(logged, nil))
	tr, err := DialJetStream(cfg, "test", log)
	if err != nil {
		t.Fatal(err)
	}
	p := runPublisher(t, cfg, Options{Registry: deliveryRegistry(t), Live: true, Log: log}, tr)
	waitFor(t, "a line of the log with the reason", func() bool {
		s := logged.String()
		return strings.Contains(s, "level=WARN") && strings.Contains(s, url) && strings.Contains(s, "connection refused")
	})
	if err := p.Ready(); !errors.Is(err, nats.ErrDisconnected) || !strings.Contains(err.Error(), url+" is not reached: dial tcp") {
		t.Errorf("Ready: %v, want the server and why it is not reached", err)
	}
	sink, m := p.Sink(0), newMaker(p.opts.Registry, 1)
	sink.HandleEvent(m.event(t, "dns", "query"))
	sink.Close()
	if err := p.Close(ended(t)); err == nil || !strings.Contains(err.Error(), url+" is not reached: dial tcp") {
		t.Errorf("Close: %v, want the server and why it is not reached", err)
	}
}

// The log says it after a while, and then rarely; a connection ends it.
func TestUnreachedIsLoggedRarely(t *testing.T) {
	var logged bytes.Buffer
	log, r, begin := slog.New(slog.NewTextHandler(&logged, nil)), new(reach), time.Unix(1000, 0)
	lines := 0
	for after := time.Duration(0); after < 11*time.Minute; after += time.Second {
		connected := after > 10*time.Minute && after < 10*time.Minute+5*time.Second
		r.look(begin.Add(after), connected, 10*time.Second, log, func() error { return nats.ErrDisconnected })
		n := strings.Count(logged.String(), "\n")
		at := after == 10*time.Second || after == 10*time.Second+unreachedInterval || after == 10*time.Minute+15*time.Second
		if (n != lines) != at {
			t.Fatalf("after %v:\n%s", after, logged.String())
		}
		lines = n
	}
}

// What is wrong with the stream is said at the end, too, also after a stop that came in
// the middle of a look at it.
func TestEndNamesTheMissingStream(t *testing.T) {
	srv := startServer(t, embedded.Config{Listen: "127.0.0.1:0"})
	cfg := DefaultConfig()
	cfg.Servers = []string{srv.URL()}
	tr, err := DialJetStream(cfg, "test", nil)
	if err != nil {
		t.Fatal(err)
	}
	p := runPublisher(t, cfg, Options{Registry: deliveryRegistry(t), Live: true}, tr)
	waitFor(t, "a look at the stream", func() bool {
		var wrong *StreamError
		return errors.As(p.Ready(), &wrong)
	})
	sink, m := p.Sink(0), newMaker(p.opts.Registry, 1)
	sink.HandleEvent(m.event(t, "dns", "query"))
	sink.Close()
	if err := tr.(*jetStream).setUp(ended(t)); err == nil {
		t.Error("a look that is cut short succeeds")
	}
	const want = "1 event is not acknowledged: stream FLOWSCOPE does not exist; this would do it: nats stream add"
	if err := p.Close(ended(t)); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("Close: %v, want %s", err, want)
	}
}

// ended is a context that is over.
func ended(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
