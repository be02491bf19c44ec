package publish

import (
	"strings"
	"testing"
	"unicode"

	"flowscope/flow"
	"flowscope/session"
	"flowscope/session/pack"
)

func TestAppendText(t *testing.T) {
	r := fakeRegistry(t)
	raw := func(b []byte) *session.SessionEvent {
		return &session.SessionEvent{Protocol: "x", Kind: "y", Type: session.Application, Flow: fakeFlow(), Message: &RawMessage{Name: "y", Msgpack: b}}
	}
	reply := queryEvent(t, r)
	reply.Side, reply.Truncated, reply.Message = flow.Responder, true, &mode{kind: "query", N: -2}
	v6 := raw([]byte{0x80})
	v6.Flow.Transport = flow.ICMPv6
	v6.Flow.Src, v6.Flow.Dst = fakeAddr("[2001:db8::1]:128"), fakeAddr("[ff02::1]:0")
	noPorts := raw([]byte{0x80})
	noPorts.Flow.Transport, noPorts.Flow.Src, noPorts.Flow.Dst = 89, fakeAddr("10.0.0.1:0"), fakeAddr("[2001:db8::1]:0")
	const epoch = "1970-01-01T00:00:00.000000000Z "
	const ends = "192.0.2.1:5353 → 192.0.2.53:53"
	for _, tt := range []struct {
		name  string
		event *session.SessionEvent
		want  string
	}{
		{
			"query", queryEvent(t, r),
			`2026-11-23T10:15:30.123456789Z dns.query ` + ends + ` id=4711 rd questions=[{name=example.com type=A}] name="caf\xe9" when=2026-11-23T10:00:00.000000005Z body="\x00\xff"`,
		},
		{"reply", reply, `2026-11-23T10:15:30.123456789Z dns.query 192.0.2.1:5353 ← 192.0.2.53:53 truncated n=-2`},
		{"ICMPv6", v6, epoch + "x.y [2001:db8::1]:128 → [ff02::1]:0 transport=icmp6"},
		{"no ports", noPorts, epoch + "x.y 10.0.0.1 → 2001:db8::1 transport=89"},
		{
			"anomaly", &session.SessionEvent{
				Type: session.AnomalyEvent, Protocol: "dns", Kind: "anomaly", Flow: fakeFlow(), Reason: "odd", Detail: "two words", Severity: session.Info, Count: 2, Weight: 3,
			},
			epoch + `dns.anomaly ` + ends + ` reason=odd severity=info count=2 detail="two words" weight=3`,
		},
		{
			"tick", &session.SessionEvent{
				Type: session.Tick, Protocol: "dns", Kind: "tick", Flow: fakeFlow(), Stats: &flow.Stats{Last: 5},
			},
			epoch + `dns.tick ` + ends + ` packets_initiator=0 packets_responder=0 bytes_initiator=0 bytes_responder=0 first_ts=1970-01-01T00:00:00.000000000Z last_ts=1970-01-01T00:00:00.000000005Z duration_ns=5 conn_state=OTH initiator_by=first_seen`,
		},
		{
			"sensor", &session.SessionEvent{Type: session.Sensor, Protocol: "sensor", Kind: "state", Sensor: "edge-1", Run: "r", Message: &mode{kind: "state", N: 1}},
			epoch + `sensor.state sensor=edge-1 n=1`,
		},
		{"terminal escapes", raw(object("k", pack.String(nil, "\x1b]0;owned\a\u009b2J\u202e\n"))), epoch + `x.y ` + ends + ` k="\x1b]0;owned\a\u009b2J\u202e\n"`},
		{"terminal escapes in a key", raw(object("\x1b[2J", pack.Int(nil, 1))), epoch + `x.y ` + ends + ` "\x1b[2J"=1`},
		{"delimiters are quoted", raw(object("k", list(pack.String(nil, "a=b"), pack.String(nil, "]"), pack.String(nil, ""), pack.String(nil, `\`), pack.String(nil, "é")))), epoch + `x.y ` + ends + ` k=["a=b" "]" "" "\\" "é"]`},
		{"booleans in a list", raw(object("k", list(pack.Bool(nil, true), pack.Bool(nil, false), pack.Nil(nil)))), epoch + `x.y ` + ends + ` k=[true false null]`},
		{"false is absent", raw(object("k", pack.Bool(nil, false))), epoch + `x.y ` + ends},
		{"empty map", raw(object("k", []byte{0x80})), epoch + `x.y ` + ends + ` k={}`},
		{"floats", raw(object("k", list(pack.Float(nil, 0.5), []byte{0xca, 0x3f, 0, 0, 0}))), epoch + `x.y ` + ends + ` k=[0.5 0.5]`},
		{"long", raw(object("k", pack.String(nil, strings.Repeat("a", 300)))), epoch + `x.y ` + ends + ` k=` + strings.Repeat("a", 256) + "…"},
		{"long, cut before a character", raw(object("k", pack.String(nil, strings.Repeat("a", 255)+"é"))), epoch + `x.y ` + ends + ` k=` + strings.Repeat("a", 255) + "…"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			payload, _, _ := NewEncoder("edge-1", "r1", r.Topics()).Append(nil, tt.event)
			got, err := AppendText([]byte("$ "), payload)
			if err != nil || string(got) != "$ "+tt.want {
				t.Errorf("got  %s, %v\nwant $ %s", got, err, tt.want)
			}
		})
	}
}

func TestAppendTextRefuses(t *testing.T) {
	for _, tt := range []struct {
		name    string
		payload []byte
	}{
		{"nothing", nil},
		{"a list", list()},
		{"a key that is a number", []byte{0x81, 1, 1}},
		{"a flow that is no map", object("flow", []byte{1})},
		{"a message that is no map", object("message", []byte{1})},
		{"an unknown extension", object("message", object("k", []byte{0xd4, 5, 0}))},
	} {
		if got, err := AppendText([]byte("x"), tt.payload); err == nil || string(got) != "x" {
			t.Errorf("%s: %q, %v", tt.name, got, err)
		}
	}
	if got, err := AppendText(nil, []byte{0x80}); err != nil || string(got) != "? ?.?" {
		t.Errorf("empty map: %q, %v", got, err)
	}
}

// controls returns the characters of s that a terminal might obey.
func controls(s string) (found []rune) {
	for _, r := range s {
		if !unicode.IsPrint(r) {
			found = append(found, r)
		}
	}
	return found
}
