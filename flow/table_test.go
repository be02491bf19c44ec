package flow

import (
	"context"
	"fmt"
	"testing"
	"time"

	"flowscope/ingest"

	"github.com/google/go-cmp/cmp"
)

func TestUDPFlow(t *testing.T) {
	f := newFeed(t, DefaultConfig())
	f.packet(second(0), udpFrame(t, "10.0.0.2", 9, "10.0.0.1", 53, "ask"))
	f.packet(second(1), udpFrame(t, "10.0.0.1", 53, "10.0.0.2", 9, "answer"))
	f.packet(second(100), udpFrame(t, "10.0.0.3", 9, "10.0.0.1", 53, "other"))
	var got []string
	for _, e := range f.log.events {
		got = append(got, fmt.Sprintf("%v %v %q %v", e.kind, e.side, e.data, e.time.Sub(second(0))))
	}
	want := []string{
		`opened initiator "" 0s`,
		`data initiator "ask" 0s`,
		`data responder "answer" 1s`,
		`closed initiator "" 1m1s`, // at its deadline, before the packet of 100 s
		`opened initiator "" 1m40s`,
		`data initiator "other" 1m40s`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	c := f.log.of(Closed)[0]
	if c.reason != Idle || c.stats.Last != second(1) || c.info.Src.String() != "10.0.0.2:9" || c.info.Dst.String() != "10.0.0.1:53" || c.info.Source != "test0" {
		t.Errorf("closed: %+v", c)
	}
	for side, want := range []SideStats{
		{Packets: 1, Bytes: 60, IPBytes: 31, PayloadBytes: 3, Last: second(0)},
		{Packets: 1, Bytes: 60, IPBytes: 34, PayloadBytes: 6, Last: second(1)},
	} {
		if diff := cmp.Diff(want, c.stats.Sides[side]); diff != "" {
			t.Errorf("%v: -want +got:\n%s", Side(side), diff)
		}
	}
	f.close()
}

func TestInitiator(t *testing.T) {
	tests := map[string]struct {
		flags    string
		src      string
		by       InitiatorBy
		midsteam bool
	}{
		"syn":        {"S", "10.0.0.1:1", BySyn, false},
		"syn+ack":    {"SA", "10.0.0.2:2", BySynAck, true},
		"first seen": {"A", "10.0.0.1:1", ByFirstSeen, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFeed(t, DefaultConfig())
			f.packet(second(0), tcpFrame(t, "10.0.0.1", 1, "10.0.0.2", 2, test.flags, 5, ""))
			f.close()
			e := f.log.of(Closed)[0]
			if e.info.Src.String() != test.src || e.stats.InitiatorBy != test.by || e.stats.Midstream != test.midsteam {
				t.Errorf("src %v by %v midstream %v", e.info.Src, e.stats.InitiatorBy, e.stats.Midstream)
			}
		})
	}
}

// tcpStep is one segment of a scenario between a (10.0.0.1:1) and b (10.0.0.2:2).
type tcpStep struct {
	at    float64
	from  string
	flags string
	seq   uint32
}

func (f *feed) tcp(steps ...tcpStep) {
	for _, s := range steps {
		if s.from == "a" {
			f.packet(second(s.at), tcpFrame(f.t, "10.0.0.1", 1, "10.0.0.2", 2, s.flags, s.seq, ""))
		} else {
			f.packet(second(s.at), tcpFrame(f.t, "10.0.0.2", 2, "10.0.0.1", 1, s.flags, s.seq, ""))
		}
	}
}

func TestTCPEnds(t *testing.T) {
	handshake := []tcpStep{{0, "a", "S", 1}, {0.1, "b", "SA", 100}, {0.2, "a", "A", 2}}
	tests := map[string]struct {
		steps []tcpStep
		want  []string // reason, when decided, last packet
	}{
		"both finish": {
			append(handshake, tcpStep{1, "a", "FA", 2}, tcpStep{1.5, "b", "FA", 101}, tcpStep{1.6, "a", "A", 3}, tcpStep{60, "b", "A", 1}),
			[]string{"fin 6.5s 1.6s", "end_of_input 1m0s 1m0s"},
		},
		"reset": {
			append(handshake, tcpStep{1, "b", "R", 101}, tcpStep{2, "a", "A", 2}, tcpStep{30, "a", "S", 7}),
			[]string{"rst 6s 2s", "end_of_input 30s 30s"},
		},
		"reused while closing": {
			append(handshake, tcpStep{1, "b", "R", 101}, tcpStep{2, "a", "S", 900}),
			[]string{"reused 2s 1s", "end_of_input 2s 2s"},
		},
		"syn sent again is no reuse": {
			append(handshake, tcpStep{1, "b", "R", 101}, tcpStep{2, "a", "S", 1}),
			[]string{"rst 2s 2s"},
		},
		"late syn of a connection seen from its syn+ack on is no reuse": { // acknowledged: 0
			[]tcpStep{{0, "b", "SA", 100}, {1, "b", "R", 101}, {2, "a", "S", 0xffffffff}},
			[]string{"rst 2s 2s"},
		},
		"another syn after a connection seen from its syn+ack on": {
			[]tcpStep{{0, "b", "SA", 100}, {1, "b", "R", 101}, {2, "a", "S", 900}},
			[]string{"reused 2s 1s", "end_of_input 2s 2s"},
		},
		"never established": {
			[]tcpStep{{0, "a", "S", 1}, {1, "a", "S", 1}, {100, "b", "A", 1}},
			[]string{"idle 21s 1s", "end_of_input 1m40s 1m40s"},
		},
		"established and silent": {
			append(handshake, tcpStep{301, "a", "A", 2}),
			[]string{"idle 5m0.2s 200ms", "end_of_input 5m1s 5m1s"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFeed(t, DefaultConfig())
			f.tcp(test.steps...)
			f.close()
			var got []string
			for _, e := range f.log.of(Closed) {
				got = append(got, fmt.Sprintf("%v %v %v", e.reason, e.time.Sub(second(0)), e.stats.Last.Sub(second(0))))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestWakeUps(t *testing.T) {
	f := newFeed(t, DefaultConfig())
	f.log.onData = func(e *Event) { e.Flow.WakeAt(e.Time.Add(10 * time.Second)) }
	f.packet(second(0), udpFrame(t, "10.0.0.1", 1, "10.0.0.2", 2, "x"))
	f.packet(second(5), udpFrame(t, "10.0.0.1", 1, "10.0.0.2", 2, "x")) // moves the wake-up to 15 s
	f.packet(second(40), udpFrame(t, "10.0.0.9", 1, "10.0.0.2", 2, "x"))
	woken := f.log.of(Woken)
	if len(woken) != 1 || woken[0].time != second(15) {
		t.Errorf("woken %v, want once at 15s", woken)
	}
	f.table.Tick(second(49.9))
	if n := len(f.log.of(Woken)); n != 1 {
		t.Errorf("woken %d times by 49.9 s, want 1", n)
	}
	f.table.Tick(second(50))
	if n := len(f.log.of(Woken)); n != 2 {
		t.Errorf("woken %d times by 50 s, want 2", n)
	}
	f.close()
}

func TestEvictionTakesLeastRecentlyUsed(t *testing.T) {
	cfg := DefaultConfig()
	cfg.MaxFlows = 3
	f := newFeed(t, cfg)
	send := func(at float64, host int) {
		f.packet(second(at), udpFrame(t, fmt.Sprintf("10.0.0.%d", host), 1, "10.0.1.1", 2, "x"))
	}
	send(0, 1)
	send(1, 2)
	send(2, 3)
	send(3, 1) // 2 is now the oldest
	send(4, 4)
	send(5, 3)
	send(6, 5) // and now 1
	var evicted []string
	for _, e := range f.log.of(Closed) {
		evicted = append(evicted, fmt.Sprint(e.reason, " ", e.info.Src.Addr()))
	}
	if diff := cmp.Diff([]string{"evicted 10.0.0.2", "evicted 10.0.0.1"}, evicted); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	f.close()
}

func TestTimeBackwards(t *testing.T) {
	f := newFeed(t, DefaultConfig())
	f.packet(second(100), udpFrame(t, "10.0.0.1", 1, "10.0.0.2", 2, "x"))
	f.packet(second(20), udpFrame(t, "10.0.0.1", 1, "10.0.0.2", 2, "y"))
	data := f.log.of(Data)
	if len(data) != 2 || data[1].time != second(20) {
		t.Fatalf("data %+v: want the packet's own time", data)
	}
	f.packet(second(161), udpFrame(t, "10.0.0.9", 1, "10.0.0.2", 2, "z"))
	if c := f.log.of(Closed); len(c) != 1 || c[0].time != second(160) {
		t.Errorf("closed %+v, want at 160 s of the clock", c)
	}
	f.close()
}

func TestInputBeginsAnew(t *testing.T) {
	f := newFeed(t, DefaultConfig())
	frame := udpFrame(t, "10.0.0.1", 1, "10.0.0.2", 2, "x")
	f.packet(second(0), frame)
	f.packet(second(1000), udpFrame(t, "10.0.0.3", 1, "10.0.0.2", 2, "x"))
	f.table.Tick(second(0))
	f.clock = second(0)
	f.packet(second(0), frame)
	f.close()
	var got []string
	ids := map[ID]bool{}
	for _, e := range f.log.of(Closed) {
		got = append(got, fmt.Sprintf("%v %v", e.reason, e.time.Sub(second(0))))
		ids[e.info.ID] = true
	}
	want := []string{"idle 1m0s", "end_of_input 16m40s", "end_of_input 0s"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if len(ids) != 3 {
		t.Errorf("%d ids for 3 flows, two of which had the same key and start", len(ids))
	}
}

// The id is what its documentation says: computed here from the description with
// plain code over a literal layout.
func TestIDsDependOnPacketsAndSensorAlone(t *testing.T) {
	run := func(sensor string, i *ingest.Interface) ID {
		log := &recorder{}
		table, err := NewTable(DefaultConfig(), sensor, log)
		if err != nil {
			t.Fatal(err)
		}
		f := &feed{t: t, table: table, log: log}
		f.packetOf(i, second(0), udpFrame(t, "10.0.0.1", 1, "10.0.0.2", 2, "x"))
		f.close()
		return log.events[0].info.ID
	}
	a := run("a", ethernetInterface)
	if b := run("a", &ingest.Interface{Name: "elsewhere", LinkType: linkEthernet}); a != b {
		t.Error("id depends on the interface")
	}
	if b := run("b", ethernetInterface); a == b {
		t.Error("two sensors gave the same id")
	}
}

func TestShutdownReason(t *testing.T) {
	f := newFeed(t, DefaultConfig())
	f.packet(second(0), udpFrame(t, "10.0.0.1", 1, "10.0.0.2", 2, "x"))
	f.table.Close(context.Canceled)
	if c := f.log.of(Closed); len(c) != 1 || c[0].reason != Shutdown || !f.log.closed {
		t.Errorf("closed %+v", c)
	}
}

func TestIgnoredFlowsAreCountedAndNotHandedUp(t *testing.T) {
	f := newFeed(t, DefaultConfig())
	f.log.onData = func(e *Event) { e.Flow.Ignore() }
	for i := range 3 {
		f.packet(second(float64(i)), udpFrame(t, "10.0.0.1", 1, "10.0.0.2", 2, "12345"))
	}
	f.close()
	c := f.table.Stats()
	if c.PayloadUp != 5 || c.PayloadNoParser != 10 || len(f.log.of(Data)) != 1 {
		t.Errorf("up %d, unread %d bytes", c.PayloadUp, c.PayloadNoParser)
	}
}
