package session_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"flowscope/flow"
	"flowscope/session"
)

// tagged is a toy that has an option: what its messages begin with.
type tagged struct {
	*toy
	tag string
}

func (f *tagged) NewDatagramParser() session.DatagramParser { return &taggedParser{tag: f.tag} }

type taggedParser struct{ tag string }

func (p *taggedParser) Parse(payload []byte, _ flow.Side, out *session.Output) error {
	out.Emit(&word{p.tag + " " + string(payload)})
	return nil
}

func (p *taggedParser) Reset() {}

// said are the messages in a log.
func (l *log) said() (messages []string) {
	for _, line := range l.lines {
		if _, message, ok := strings.Cut(line, "initiator "); ok {
			messages = append(messages, message)
		}
	}
	return messages
}

// TestReconfigureProtocols gives a protocol another option in the middle: flows whose
// parser runs keep the old one, others get the new one, and no parser with the old
// one is used again.
func TestReconfigureProtocols(t *testing.T) {
	protocol := newToy("toy")
	r := newRig(t, session.DefaultConfig(), &tagged{protocol, "old"})
	registry := registryOf(t, &tagged{protocol, "new"})
	r.packet(0, 1, 9, "toy one")
	r.packet(0, 2, 9, "to") // what it is has yet to be seen
	r.packet(0, 3, 9, "toy three")
	if err := r.driver.Reconfigure(session.DefaultConfig(), registry); err != nil {
		t.Fatal(err)
	}
	r.table.Tick(start.Add(time.Second))
	r.packet(time.Second, 1, 9, "toy again")
	r.packet(time.Second, 2, 9, "toy two")
	r.packet(2*time.Minute, 4, 9, "toy four") // the others have ended
	r.packet(2*time.Minute, 5, 9, "toy five")
	r.packet(2*time.Minute, 6, 9, "toy six")
	r.packet(2*time.Minute, 7, 9, "toy seven")
	r.end()
	want := []string{
		"old toy one", "old toy three", "old toy again", "new to", "new toy two",
		"new toy four", "new toy five", "new toy six", "new toy seven",
	}
	if diff := cmp.Diff(want, r.log.said()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	counts := r.driver.Stats().Protocols
	if len(counts) != 1 || counts[0].Flows != 7 || counts[0].Messages != 9 {
		t.Errorf("counted %+v", counts)
	}
}

// TestReconfigureDisabled switches a protocol off and on: the parser that runs goes
// on, and no flow is taken for it meanwhile.
func TestReconfigureDisabled(t *testing.T) {
	on := registryOf(t, newToy("toy"))
	off, err := on.Configure("toy", session.Settings{Buffer: 512, Disabled: true})
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, session.DefaultConfig(), newToy("toy"))
	for i, registry := range []*session.Registry{on, off, on} {
		if err := r.driver.Reconfigure(session.DefaultConfig(), registry); err != nil {
			t.Fatal(err)
		}
		at := time.Duration(i) * time.Second
		r.table.Tick(start.Add(at))
		r.packet(at, 1, 9, fmt.Sprint("toy first ", i))
		r.packet(at, uint16(i+2), 9, fmt.Sprint("toy other ", i))
	}
	want := []string{"toy first 0", "toy other 0", "toy first 1", "toy first 2", "toy other 2"}
	if diff := cmp.Diff(want, r.log.said()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	r.end()
}

// TestReconfigureStreams does the same with a stream and the buffer of its protocol.
func TestReconfigureStreams(t *testing.T) {
	long := strings.Repeat("x", 700)
	for name, reconfigured := range map[string]bool{"before": false, "after": true} {
		t.Run(name, func(t *testing.T) {
			r := newStreamRig(t, session.DefaultConfig(), syn, newText("text", "text"))
			if !reconfigured {
				r.data(0, fromI, "text\n")
			}
			registry := registryOf(t, newText("text", "text"))
			registry, err := registry.Configure("text", session.Settings{Buffer: 512})
			if err != nil {
				t.Fatal(err)
			}
			if err := r.driver.Reconfigure(session.DefaultConfig(), registry); err != nil {
				t.Fatal(err)
			}
			r.driver.Tick(start)
			if reconfigured {
				r.data(0, fromI, "text\n")
			}
			r.data(1, fromI, long)
			if got := strings.Contains(fmt.Sprint(r.log.lines), "buffer_overflow"); got != reconfigured {
				t.Errorf("700 bytes wait, of 512 allowed %s: %v", name, r.log.lines)
			}
		})
	}
}

func TestReconfigureLimits(t *testing.T) {
	cfg := session.DefaultConfig()
	r := newRig(t, cfg, newToy("toy"))
	r.packet(0, 1, 9, "to")
	cfg.ProbePackets = 2
	if err := r.driver.Reconfigure(cfg, registryOf(t, newToy("toy"))); err != nil {
		t.Fatal(err)
	}
	r.table.Tick(start)
	r.packet(0, 1, 9, "to")
	r.packet(0, 1, 9, "toy late")
	if lines := r.end(); lines[0] != "flow.started 0 0s" {
		t.Errorf("%v", lines)
	}
	if err := r.driver.Reconfigure(cfg, registryOf(t, newToy("other"))); err == nil || !strings.Contains(err.Error(), "restart") {
		t.Errorf("other protocols: %v", err)
	}
	cfg.ProbePackets = 0
	if err := r.driver.Reconfigure(cfg, registryOf(t, newToy("toy"))); err == nil {
		t.Error("limits that are wrong are taken")
	}
}
