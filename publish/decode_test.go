package publish

import (
	"bytes"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vmihailenco/msgpack/v5"

	"flowscope/flow"
	"flowscope/session"
)

// compareAddrs lets go-cmp see into addresses and messages.
var compareAddrs = cmp.Options{
	cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }),
	cmp.AllowUnexported(mode{}),
	cmpopts.IgnoreUnexported(flow.Info{}),
}

func TestDecodeReturnsTheEvent(t *testing.T) {
	r := fakeRegistry(t)
	typed := queryEvent(t, r)
	typed.Flow.VLANs, typed.Flow.Tunnels = []uint16{7}, []flow.Tunnel{{Type: "gre", ID: 9}, {Type: "ipip"}}
	ntp := &session.SessionEvent{
		Type: session.Application, Topic: topicOf(t, r, "ntp", "server"), Protocol: "ntp", Kind: "server", Time: 1, Sensor: "s", Run: "r",
		Flow: fakeFlow(), HasSide: true, Side: flow.Responder, Message: &mode{kind: "server", N: -3}, Truncated: true, Weight: 4,
	}
	foreign := &session.SessionEvent{
		Type: session.Application, Topic: -1, Protocol: "gopher", Kind: "menu", Time: 1, Sensor: "s", Run: "r",
		Flow: fakeFlow(), Message: &RawMessage{Name: "menu", Msgpack: []byte{0x81, 0xa1, 'n', 5}},
	}
	sensor := &session.SessionEvent{
		Type: session.Sensor, Topic: topicOf(t, r, "sensor", "state"), Protocol: "sensor", Kind: "state", Time: 1, Sensor: "s", Run: "run-2", Seq: 99,
		Message: &RawMessage{Name: "state", Msgpack: []byte{0x80}},
	}
	anomaly := &session.SessionEvent{
		Type: session.AnomalyEvent, Topic: topicOf(t, r, "ntp", "anomaly"), Protocol: "ntp", Kind: "anomaly", Time: -5, Sensor: "s", Run: "r", Seq: 1 << 60,
		Flow: &flow.Info{ID: flow.ID{1}, Transport: 89, Source: "\xff.pcap"}, Reason: "odd", Detail: "caf\xe9", Severity: session.Warning, Count: 3,
	}
	tick := closedEvent(t, r)
	tick.Type, tick.Topic, tick.Kind, tick.Reason, tick.Protocols = session.Tick, topicOf(t, r, "dns", "tick"), "tick", "", nil
	for _, tt := range []struct {
		name  string
		event *session.SessionEvent
	}{
		{"typed message", typed},
		{"type with several kinds", ntp},
		{"foreign protocol", foreign},
		{"sensor", sensor},
		{"anomaly", anomaly},
		{"closed", closedEvent(t, r)},
		{"tick", tick},
	} {
		t.Run(tt.name, func(t *testing.T) {
			payload, _, _ := NewEncoder("x", "y", r.Topics()).Append(nil, tt.event)
			original := bytes.Clone(payload)
			got, err := Decode(payload, r)
			if err != nil {
				t.Fatal(err)
			}
			for i := range payload { // what was decoded must not share memory
				payload[i] = 0xee
			}
			if d := cmp.Diff(tt.event, got, compareAddrs); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			again, _, _ := NewEncoder("x", "y", r.Topics()).Append(nil, got)
			if !bytes.Equal(again, original) {
				t.Errorf("encoded again:\n%x, want\n%x", again, original)
			}
		})
	}
}

// time.Local is not time.UTC even where both show the same.
func TestDecodeGivesTimesInUTC(t *testing.T) {
	r := fakeRegistry(t)
	payload, _, _ := NewEncoder("s", "r", r.Topics()).Append(nil, queryEvent(t, r))
	ev, err := Decode(payload, r)
	if err != nil {
		t.Fatal(err)
	}
	if when := ev.Message.(*query).When; when.Location() != time.UTC || !when.Equal(fakeQuery().When) {
		t.Errorf("the message's time is %v", when)
	}
}

// envelopeWith returns an event as another program might write it, with one key
// changed; nil takes the key away.
func envelopeWith(t *testing.T, key string, value any) []byte {
	t.Helper()
	m := map[string]any{
		"v": 1, "id": "01000000000000000000000000000000-2", "ts": time.Unix(1, 0), "event": "started", "protocol": "dns", "kind": "started", "seq": 2,
		"flow": map[string]any{"id": "01000000000000000000000000000000", "transport": "udp"},
	}
	if m[key] = value; value == nil {
		delete(m, key)
	}
	b, err := msgpack.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDecodeReadsWhatOthersWrite(t *testing.T) {
	type flowMap = map[string]any
	const id = "01000000000000000000000000000000"
	for _, tt := range []struct {
		name  string
		key   string
		value any
		err   string // "" is none
	}{
		{"as it is", "seq", 2, ""},
		{"unknown key", "later", map[string]any{"a": []int{1}}, ""},
		{"unknown key of the flow", "flow", flowMap{"id": id, "mtu": 1500}, ""},
		{"unknown key of a tunnel", "flow", flowMap{"id": id, "tunnels": []any{flowMap{"type": "gre", "x": 1}}}, ""},
		{"unknown key of the statistics", "stats", flowMap{"retransmitted_initiator": 4}, ""},
		{"version 2", "v", 2, "another version"},
		{"version as text", "v", "1", "want an integer, have a str"},
		{"no version", "v", nil, "some are missing"},
		{"no id", "id", nil, "some are missing"},
		{"no time", "ts", nil, "some are missing"},
		{"no event", "event", nil, "some are missing"},
		{"no kind", "kind", nil, "some are missing"},
		{"id of another flow", "id", "02000000000000000000000000000000-2", "does not belong"},
		{"id of another seq", "id", id + "-3", "does not belong"},
		{"time as a number", "ts", 12345, `key "ts": want an extension, have an integer`},
		{"time beyond int64 nanoseconds", "ts", time.Date(2300, 1, 1, 0, 0, 0, 0, time.UTC), "out of range"},
		{"unknown event", "event", "sung", `unknown event type "sung"`},
		{"negative seq", "seq", -1, "have a negative integer"},
		{"side", "side", "left", "want initiator or responder"},
		{"flow that is no map", "flow", 1, `key "flow": want a map`},
		{"flow without id", "flow", flowMap{}, "a flow without id"},
		{"flow id too short", "flow", flowMap{"id": "01"}, "want 32 hex digits"},
		{"flow id of other letters", "flow", flowMap{"id": strings.Repeat("g", 32)}, "invalid byte"},
		{"flow id in capitals", "flow", flowMap{"id": strings.Repeat("A", 32)}, "does not belong"},
		{"port", "flow", flowMap{"id": id, "src_port": 65536}, "65536 is more than 65535"},
		{"vlan", "flow", flowMap{"id": id, "vlan": []int{65536}}, "65536 is more than 65535"},
		{"vlan that is no list", "flow", flowMap{"id": id, "vlan": 1}, "want an array"},
		{"address", "flow", flowMap{"id": id, "dst_ip": "example.com"}, `key "dst_ip"`},
		{"transport", "flow", flowMap{"id": id, "transport": "256"}, "want a transport's name or number"},
		{"Community ID of another version", "flow", flowMap{"id": id, "community_id": "2:x"}, "want a Community ID"},
		{"Community ID too short", "flow", flowMap{"id": id, "community_id": "1:AQ=="}, "want a Community ID"},
		{"message that is no map", "message", []int{1}, `key "message": want a map, have an array`},
		{"TCP flags", "stats", flowMap{"tcp_flags_initiator": 256}, "256 is more than 255"},
		{"initiator_by", "stats", flowMap{"initiator_by": "guess"}, "unknown way"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ev, err := Decode(envelopeWith(t, tt.key, tt.value), fakeRegistry(t))
			switch {
			case tt.err == "" && (err != nil || ev.Seq != 2 || ev.Flow.ID != flow.ID{1}):
				t.Errorf("Decode = %+v, %v", ev, err)
			case tt.err != "" && (err == nil || ev != nil || !strings.Contains(err.Error(), tt.err)):
				t.Errorf("Decode = %+v, %v, want error %q", ev, err, tt.err)
			}
		})
	}
	if _, err := Decode(envelopeWith(t, "v", 2), nil); !errors.Is(err, ErrVersion) {
		t.Errorf("version 2: %v", err)
	}
}

func TestDecodeOfAMessageOfAnotherShape(t *testing.T) {
	b, err := msgpack.Marshal(map[string]any{
		"v": 1, "id": "01000000000000000000000000000000-2", "ts": time.Unix(1, 0), "event": "application", "protocol": "dns", "kind": "query", "seq": 2,
		"flow":    map[string]any{"id": "01000000000000000000000000000000"},
		"message": map[string]any{"id": "text"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Decode(b, fakeRegistry(t)); err == nil || !strings.Contains(err.Error(), "message dns.query") {
		t.Errorf("Decode: %v", err)
	}
	ev, err := Decode(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, ok := ev.Message.(*RawMessage)
	if !ok || raw.Kind() != "query" {
		t.Fatalf("message is %#v", ev.Message)
	}
	var m map[string]string
	if err := raw.Unmarshal(&m); err != nil || m["id"] != "text" {
		t.Errorf("Unmarshal: %v, %v", m, err)
	}
	if err := (&RawMessage{Name: "x", Msgpack: []byte{0xdd, 0x7f, 0xff, 0xff, 0xff}}).Unmarshal(&m); !errors.Is(err, ErrCutShort) {
		t.Errorf("forged: %v", err)
	}
}

func TestDecodeRefusesWhatWouldEndTheProcess(t *testing.T) {
	for _, tt := range []struct {
		name string
		data []byte
	}{
		{"forged array", []byte{0xdd, 0x7f, 0xff, 0xff, 0xff}},
		{"forged array in a message", append(object("message", []byte{0xdd, 0x7f, 0xff, 0xff, 0xff}), 0)},
		{"nesting", bytes.Repeat([]byte{0x91}, 1<<20)},
		{"nesting of maps", bytes.Repeat([]byte{0x81, 0xa0}, 1<<20)},
	} {
		if ev, err := Decode(tt.data, nil); err == nil {
			t.Errorf("%s: %v", tt.name, ev)
		}
	}
}

func TestDecodeAll(t *testing.T) {
	r := fakeRegistry(t)
	e := NewEncoder("edge-1", "r1", r.Topics())
	first, _, _ := e.Append(nil, queryEvent(t, r))
	both, _, _ := e.Append(bytes.Clone(first), closedEvent(t, r))
	for _, tt := range []struct {
		name string
		data []byte
		want []uint64 // seq
		err  error
	}{
		{"nothing", nil, nil, nil},
		{"one", first, []uint64{7}, nil},
		{"two", both, []uint64{7, 12}, nil},
		{"cut in the second", both[:len(both)-1], []uint64{7}, ErrCutShort},
		{"something else behind", append(bytes.Clone(first), 0xc1), []uint64{7}, ErrReserved},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []uint64
			var failed error
			for ev, err := range DecodeAll(tt.data, r) {
				if err != nil {
					failed = err
					continue
				}
				got = append(got, ev.Seq)
			}
			if d := cmp.Diff(tt.want, got); d != "" || !errors.Is(failed, tt.err) {
				t.Errorf("error %v, want %v; (-want +got):\n%s", failed, tt.err, d)
			}
		})
	}
	for ev, err := range DecodeAll(both, r) {
		if ev == nil || err != nil {
			t.Error(err)
		}
		break
	}
}
