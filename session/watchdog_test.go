package session_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"flowscope/session"
)

// TestHang is run by TestWatchdog, in a process of its own: its parser never
// returns.
func TestHang(t *testing.T) {
	what := os.Getenv("SESSION_HANG")
	if what == "" {
		t.Skip("nobody asks for a parser that hangs")
	}
	f := hanging{newText("text", "text")}
	r := newStreamRig(t, session.DefaultConfig(), syn, f)
	w := session.NewWatchdog(time.Second, r.driver)
	go func() {
		if err := w.Run(t.Context()); err != nil {
			fmt.Println(err)
			os.Exit(7)
		}
	}()
	if what == "sink" {
		r.log.slow = 1500 * time.Millisecond
	}
	r.data(0, fromI, "text\n"+what+"\n")
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

// TestWatchdog wants a parser that does not return to be named, and one whose
// messages wait for the sink not to be.
func TestWatchdog(t *testing.T) {
	for what, want := range map[string]string{
		"loop": "a parser of text has not returned for 1s, on flow ",
		"sink": "PASS",
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHang$")
			cmd.Env = append(os.Environ(), "SESSION_HANG="+what)
			out, err := cmd.CombinedOutput()
			var failed *exec.ExitError
			if ended := errors.As(err, &failed) && failed.ExitCode() == 7; ended != (what == "loop") || !strings.Contains(string(out), want) {
				t.Errorf("%v, want %q:\n%s", err, want, out)
			}
			if what == "loop" && !strings.Contains(string(out), "(tcp 10.0.0.1:1000 > 10.0.0.2:7)") {
				t.Errorf("the flow is not named:\n%s", out)
			}
		})
	}
}
