package session_test

import (
	"testing"
	"time"

	"flowscope/session"

	"github.com/google/go-cmp/cmp"
)

func TestDriver(t *testing.T) {
	type datagram struct {
		at      time.Duration
		payload string
	}
	tests := map[string]struct {
		send []datagram
		want []string
	}{
		"messages in order": {
			[]datagram{{0, "toy 1"}, {time.Second, "toy 2"}},
			[]string{
				"toy.started 0 0s", "toy.word 1 0s initiator toy 1", "toy.word 2 1s initiator toy 2",
				"toy.word 3 1s initiator close end_of_input after 2", "toy.closed 4 1s end_of_input", "end",
			},
		},
		"not the protocol": {
			[]datagram{{0, "something else"}, {time.Second, "toy comes too late"}},
			[]string{"flow.started 0 0s", "flow.closed 1 1s end_of_input", "end"},
		},
		"held until it is clear": {
			[]datagram{{0, "to"}, {time.Second, "t"}, {2 * time.Second, "toy at last"}},
			[]string{
				"toy.started 0 0s", "toy.word 1 0s initiator to", "toy.word 2 1s initiator t", "toy.word 3 2s initiator toy at last",
				"toy.word 4 2s initiator close end_of_input after 3", "toy.closed 5 2s end_of_input", "end",
			},
		},
		"held too long in packets": {
			[]datagram{{0, "to"}, {1, "to"}, {2, "to"}, {3, "to"}, {4, "toy"}},
			[]string{"flow.started 0 0s", "flow.closed 1 4ns end_of_input", "end"},
		},
		"held too long in time": {
			[]datagram{{0, "to"}, {6 * time.Second, "toy"}},
			[]string{"flow.started 0 0s", "flow.closed 1 6s end_of_input", "end"},
		},
		"held to the end": {
			[]datagram{{0, "to"}},
			[]string{"flow.started 0 0s", "flow.closed 1 0s end_of_input", "end"},
		},
		"panic ends the parser, not the flow": {
			[]datagram{{0, "toy panic"}, {time.Second, "toy 2"}},
			[]string{"toy.started 0 0s", "toy.parser_closed 1 0s panic as asked", "toy.closed 2 1s end_of_input", "end"},
		},
		"error ends the parser, not the flow": {
			[]datagram{{0, "toy 1"}, {time.Second, "toy error"}, {2 * time.Second, "toy 2"}},
			[]string{"toy.started 0 0s", "toy.word 1 0s initiator toy 1", "toy.parser_closed 2 1s parse_error as asked", "toy.closed 3 2s end_of_input", "end"},
		},
		"done": {
			[]datagram{{0, "toy done"}, {time.Second, "toy 2"}},
			[]string{"toy.started 0 0s", "toy.parser_closed 1 0s done", "toy.closed 2 1s end_of_input", "end"},
		},
		"wake-up": {
			[]datagram{{0, "toy wake"}, {10 * time.Second, "toy 2"}},
			[]string{
				"toy.started 0 0s", "toy.word 1 3s responder woken", "toy.word 2 10s initiator toy 2",
				"toy.word 3 10s initiator close end_of_input after 2", "toy.closed 4 10s end_of_input", "end",
			},
		},
		"a parser that always wants to be woken at once": {
			[]datagram{{0, "toy restless"}, {20 * time.Millisecond, "toy 2"}},
			[]string{
				"toy.started 0 0s", "toy.word 1 20ms initiator toy 2",
				"toy.word 2 20ms initiator close end_of_input after 22", "toy.closed 3 20ms end_of_input", "end",
			},
		},
		"anomalies are folded": {
			[]datagram{{0, "toy LOUD"}, {1, "toy LOUD"}, {2, "toy LOUD"}, {2 * time.Second, "toy LOUD"}, {2*time.Second + 1, "toy LOUD"}},
			[]string{
				"toy.started 0 0s", "toy.anomaly 1 0s loud toy LOUD x1", "toy.anomaly 2 2s loud toy LOUD x3",
				"toy.word 3 2.000000001s initiator close end_of_input after 5",
				"toy.anomaly 4 2.000000001s loud toy LOUD x1", "toy.closed 5 2.000000001s end_of_input", "end",
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, session.DefaultConfig(), newToy("toy", 7))
			for _, d := range test.send {
				r.send(d.at, 7, d.payload)
			}
			if diff := cmp.Diff(test.want, r.end()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestParserThatFloodsIsEnded(t *testing.T) {
	cfg := session.DefaultConfig()
	cfg.MessagesPerCall = 3
	r := newRig(t, cfg, newToy("toy"))
	r.send(0, 7, "toy flood")
	want := []string{
		"toy.started 0 0s",
		"toy.word 1 0s initiator again", "toy.word 2 0s initiator again", "toy.word 3 0s initiator again",
		"toy.parser_closed 4 0s parse_error parser emitted more than 3 messages in one call",
		"toy.closed 5 0s end_of_input", "end",
	}
	if diff := cmp.Diff(want, r.end()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestPortsOrderTheCandidates(t *testing.T) {
	r := newRig(t, session.DefaultConfig(), newToy("first", 1), newToy("second", 2))
	r.packet(0, 1000, 2, "toy")
	r.packet(0, 2, 1001, "toy")
	r.packet(0, 1000, 3, "toy")
	r.packet(0, 2, 1, "toy")
	var got []string
	for _, l := range r.end() {
		if len(l) > 12 && l[len(l)-4:] == "0 0s" {
			got = append(got, l)
		}
	}
	want := []string{"second.started 0 0s", "second.started 0 0s", "first.started 0 0s", "first.started 0 0s"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestParsersAreReused(t *testing.T) {
	f := newToy("toy", 7)
	r := newRig(t, session.DefaultConfig(), f)
	for i := range 50 {
		r.send(time.Duration(i)*time.Hour, 7, "toy")
	}
	r.end()
	if *f.made != 1 {
		t.Errorf("%d parsers made for 50 flows one after another, want 1", *f.made)
	}
}

func TestRegistryRefuses(t *testing.T) {
	bad := func(change func(*session.Protocol)) session.Factory {
		f := newToy("toy")
		change(&f.protocol)
		return f
	}
	tests := map[string]struct {
		factories []session.Factory
		want      string
	}{
		"duplicate":     {[]session.Factory{newToy("a"), newToy("a")}, `registry: protocol "a" is registered twice`},
		"reserved":      {[]session.Factory{newToy("sensor")}, `registry: protocol name "sensor" is reserved`},
		"bad name":      {[]session.Factory{newToy("a.b")}, `registry: protocol name "a.b": want letters a-z, digits and _`},
		"no name":       {[]session.Factory{newToy("")}, `registry: protocol name "": want letters a-z, digits and _`},
		"no transport":  {[]session.Factory{bad(func(p *session.Protocol) { p.Transports = nil })}, `registry: protocol "toy" names no transport`},
		"kind twice":    {[]session.Factory{bad(func(p *session.Protocol) { p.Messages = append(p.Messages, &word{}) })}, `registry: protocol "toy": message kind "word" is listed twice`},
		"reserved kind": {[]session.Factory{bad(func(p *session.Protocol) { p.Messages = append(p.Messages, closedMessage{}) })}, `registry: protocol "toy": message kind "closed" is reserved`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := session.NewRegistry(test.factories...)
			if err == nil || err.Error() != test.want {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

type closedMessage struct{}

func (closedMessage) Kind() string                  { return "closed" }
func (closedMessage) AppendMsgpack(b []byte) []byte { return b }

func TestRegistrySelects(t *testing.T) {
	r, err := session.NewRegistry(newToy("a"), newToy("b"), newToy("c"))
	if err != nil {
		t.Fatal(err)
	}
	only, err := r.Only("c", "a")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "c"}, only.Names()); diff != "" {
		t.Errorf("only: -want +got:\n%s", diff)
	}
	without, err := r.Without("b")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "c"}, without.Names()); diff != "" {
		t.Errorf("without: -want +got:\n%s", diff)
	}
	if _, err := r.Only("d"); err == nil || err.Error() != `unknown protocol "d": known are a, b, c` {
		t.Errorf("only d: %v", err)
	}
}
