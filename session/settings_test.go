package session_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"flowscope/session"
)

func configured(t *testing.T, protocol string, s session.Settings, factories ...session.Factory) *session.Registry {
	t.Helper()
	r, err := registryOf(t, factories...).Configure(protocol, s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// portly is text that says no to what is not on its ports.
type portly struct{ *text }

func (f portly) Probe(s *session.Sample) session.Verdict {
	if !s.OnPort(f.Protocol()) {
		return session.No
	}
	return f.text.Probe(s)
}

func TestSettings(t *testing.T) {
	first, second := newText("first", "text"), newText("second", "text")
	first.protocol.Ports, first.protocol.Buffer = []uint16{7}, 1000
	second.protocol.Buffer = 0
	r := configured(t, "first", session.Settings{Ports: []uint16{9, 10}, Buffer: 2000}, first, second)
	without, err := r.Without("second")
	if err != nil {
		t.Fatal(err)
	}
	with, err := without.With(newText("third", "text"))
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]*session.Registry{"configured": r, "without another": without, "with a third": with} {
		got, _ := r.Settings("first")
		if diff := cmp.Diff(session.Settings{Ports: []uint16{9, 10}, Buffer: 2000}, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	got, _ := r.Settings("second")
	if diff := cmp.Diff(session.Settings{Ports: []uint16{}, Buffer: 65536}, got); diff != "" {
		t.Errorf("second: %s", diff)
	}
	if got := first.Protocol().Ports; len(got) != 1 || got[0] != 7 {
		t.Errorf("the factory's ports have become %v", got)
	}
	if _, err := r.Configure("fourth", got); err == nil {
		t.Error("a protocol that is not there is configured")
	}
	for want, s := range map[string]session.Settings{
		"ports: want 1 to 65535": {Ports: []uint16{0}, Buffer: 1000},
		"ports: 5 is listed":     {Ports: []uint16{5, 6, 5}, Buffer: 1000},
		"buffer: 511":            {Buffer: 511},
		"buffer: 1073741825":     {Buffer: 1<<30 + 1},
	} {
		if _, err := r.Configure("first", s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// TestConfiguredPorts wants probes to see the ports that are configured, and the
// candidates to be ordered by them.
func TestConfiguredPorts(t *testing.T) {
	a, b := newText("a", "text"), newText("b", "text")
	other := newText("a", "other")
	tests := []struct {
		name  string
		ports []uint16 // of b; the flow is on port 7
		a, b  session.Factory
		want  string
	}{
		{"in order", nil, a, b, "a"},
		{"on its port", []uint16{7}, a, b, "b"},
		{"many ports", manyPorts(7), a, b, "b"},
		{"on another", []uint16{8}, a, b, "a"},
		{"asked on its port", []uint16{7}, other, portly{b}, "b"},
		{"asked on another", []uint16{8}, other, portly{b}, "flow"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newStreamRigOf(t, session.DefaultConfig(), syn, configured(t, "b", session.Settings{Ports: tt.ports, Buffer: 1000}, tt.a, tt.b))
			r.data(0, fromI, "text\n")
			if got := r.end()[0]; !strings.HasPrefix(got, tt.want+".started") {
				t.Errorf("first event %q, want one of %s", got, tt.want)
			}
		})
	}
}

// manyPorts returns more ports than there are orders of candidates, the given one
// last.
func manyPorts(last uint16) (ports []uint16) {
	for p := range uint16(1000) {
		ports = append(ports, 1000+p)
	}
	return append(ports, last)
}

func TestConfiguredBuffer(t *testing.T) {
	for _, buffer := range []int{512, 4096} {
		t.Run(fmt.Sprint(buffer), func(t *testing.T) {
			r := newStreamRigOf(t, session.DefaultConfig(), syn, configured(t, "text", session.Settings{Buffer: buffer}, newText("text", "text")))
			r.data(0, fromI, "text\n")
			r.data(time.Second, fromI, strings.Repeat("x", 1000)) // no end of a line
			last := r.log.lines[len(r.log.lines)-1]
			if over := strings.Contains(last, "buffer_overflow"); over != (buffer < 1000) {
				t.Errorf("the last event is %q", last)
			}
		})
	}
}
