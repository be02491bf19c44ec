package session_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"flowscope/session"
)

// TestHang is run by TestWatchdog, in a process of its own: its parser never
// returns. The limit is set at first, or later.
func TestHang(t *testing.T) {
	if os.Getenv("SESSION_HANG") == "" {
		t.Skip("nobody asks for a parser that hangs")
	}
	r := newStreamRig(t, session.DefaultConfig(), syn, hanging{newText("text", "text")})
	w := session.NewWatchdog(time.Second, r.driver)
	if os.Getenv("SESSION_HANG") == "later" {
		w = session.NewWatchdog(0, r.driver)
		time.AfterFunc(100*time.Millisecond, func() { w.SetLimit(time.Second) })
	}
	go func() {
		if err := w.Run(t.Context()); err != nil {
			fmt.Println(err)
			os.Exit(7)
		}
	}()
	r.data(0, fromI, "text\nloop\n")
}

// hanging is text whose parsers loop when told to.
type hanging struct{ *text }

func (f hanging) NewSessionParser() session.SessionParser { return &hangingParser{} }

type hangingParser struct{ textParser }

func (p *hangingParser) FeedInitiator(data []byte, out *session.Output) (int, error) {
	for strings.HasSuffix(string(data), "loop\n") {
	}
	return p.feed(data, out)
}

// TestWatchdog wants a parser that does not return to be named.
func TestWatchdog(t *testing.T) {
	for _, limit := range []string{"first", "later"} {
		t.Run(limit, func(t *testing.T) { watchHang(t, limit) })
	}
}

func watchHang(t *testing.T, limit string) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHang$")
	cmd.Env = append(os.Environ(), "SESSION_HANG="+limit)
	out, err := cmd.CombinedOutput()
	var failed *exec.ExitError
	if !errors.As(err, &failed) || failed.ExitCode() != 7 {
		t.Errorf("%v, want exit status 7", err)
	}
	for _, want := range []string{"a parser of text has not returned for 1s, on flow ", "(tcp 10.0.0.1:1000 > 10.0.0.2:7)"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
}

// TestWatchdogWaits wants a parser whose messages wait for the sink not to be
// blamed, however long that takes.
func TestWatchdogWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newStreamRig(t, session.DefaultConfig(), syn, newText("text", "text"))
		w := session.NewWatchdog(time.Second, r.driver)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- w.Run(ctx) }()
		r.log.slow = time.Minute
		r.data(0, fromI, "text\nagain\nLOUD\n")
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if n := len(r.log.lines); n != 4 {
			t.Errorf("%d events, want started, two messages and an anomaly", n)
		}
	})
}
