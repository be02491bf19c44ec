package publish

import (
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

// unpacked returns a payload as a general msgpack library sees it.
func unpacked(t *testing.T, payload []byte) map[string]any {
	t.Helper()
	var m map[string]any
	if err := msgpack.Unmarshal(payload, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func keysOf(m map[string]any) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	return keys
}

func TestEncoderWritesTheKeysOfEachEvent(t *testing.T) {
	r := fakeRegistry(t)
	flowEvent := func(typ session.EventType, kind string, change func(*session.SessionEvent)) *session.SessionEvent {
		ev := &session.SessionEvent{
			Type: typ, Topic: topicOf(t, r, "dns", kind), Protocol: "dns", Kind: kind,
			Time: 1, Sensor: "edge-1", Run: "r1", Seq: 3, Flow: fakeFlow(),
		}
		change(ev)
		return ev
	}
	always := []string{"v", "id", "ts", "sensor", "run", "event", "protocol", "kind"}
	for _, tt := range []struct {
		name  string
		event *session.SessionEvent
		id    string
		more  []string
	}{
		{
			"started", flowEvent(session.Started, "started", func(e *session.SessionEvent) { e.Seq = 0 }),
			"0bad000000000000000000000000cafe-0",
			[]string{"seq", "flow"},
		},
		{
			"application", queryEvent(t, r),
			"0bad000000000000000000000000cafe-7",
			[]string{"seq", "flow", "start_ts", "side", "message"},
		},
		{
			"application, cut and sampled", flowEvent(session.Application, "query", func(e *session.SessionEvent) {
				e.Message, e.HasSide, e.Side, e.Truncated, e.Weight = fakeQuery(), true, flow.Responder, true, 8
			}),
			"0bad000000000000000000000000cafe-3",
			[]string{"seq", "flow", "side", "message", "truncated", "weight"},
		},
		{
			"parser_closed", flowEvent(session.ParserClosed, "parser_closed", func(e *session.SessionEvent) { e.Reason, e.Detail = "parse_error", "no" }),
			"0bad000000000000000000000000cafe-3",
			[]string{"seq", "flow", "reason", "detail"},
		},
		{
			"closed", closedEvent(t, r),
			"0bad000000000000000000000000cafe-12",
			[]string{"seq", "flow", "reason", "stats", "protocols"},
		},
		{
			"anomaly with everything", flowEvent(session.AnomalyEvent, "anomaly", func(e *session.SessionEvent) {
				e.Reason, e.Detail, e.Severity, e.Count, e.HasSide, e.Weight = "odd", "very", session.Warning, 2, true, 2
			}),
			"0bad000000000000000000000000cafe-3",
			[]string{"seq", "flow", "side", "weight", "reason", "detail", "severity", "count"},
		},
		{
			"tick", flowEvent(session.Tick, "tick", func(e *session.SessionEvent) { e.Stats = &flow.Stats{} }),
			"0bad000000000000000000000000cafe-t3",
			[]string{"flow", "stats"},
		},
		{
			"sensor", &session.SessionEvent{
				Type: session.Sensor, Topic: topicOf(t, r, "sensor", "state"), Protocol: "sensor", Kind: "state",
				Time: 1, Sensor: "edge-1", Run: "r1", Seq: 1234567890123, Message: &mode{kind: "state", N: 1},
			},
			"r1-1234567890123",
			[]string{"message"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := NewEncoder("edge-1", "r1", r.Topics())
			b, start, end := e.Append([]byte("before"), tt.event)
			if got := string(b[start:end]); got != tt.id || tt.event.ID() != tt.id {
				t.Errorf("id %q, event.ID %q, want %q", got, tt.event.ID(), tt.id)
			}
			m := unpacked(t, b[len("before"):])
			want := append(append([]string{}, always...), tt.more...)
			if d := cmp.Diff(want, keysOf(m), cmpopts.SortSlices(strings.Compare)); d != "" {
				t.Errorf("keys (-want +got):\n%s", d)
			}
			if m["id"] != tt.id || m["sensor"] != "edge-1" || m["run"] != "r1" ||
				m["event"] != tt.event.Type.String() || m["protocol"] != tt.event.Protocol || m["kind"] != tt.event.Kind {
				t.Errorf("envelope is %v", m)
			}
		})
	}
}

func TestEncoderWithoutTheTopicsPart(t *testing.T) {
	r := fakeRegistry(t)
	for _, tt := range []struct {
		name   string
		change func(*session.SessionEvent)
	}{
		{"unknown topic", func(e *session.SessionEvent) { e.Topic, e.Protocol, e.Kind = -1, "dns", "later" }},
		{"topic beyond the list", func(e *session.SessionEvent) { e.Topic = 1 << 30 }},
		{"topic of something else", func(e *session.SessionEvent) { e.Topic = 0 }},
		{"another run", func(e *session.SessionEvent) { e.Run = "r2" }},
		{"another sensor", func(e *session.SessionEvent) { e.Sensor = "edge-2" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ev := queryEvent(t, r)
			tt.change(ev)
			b, _, _ := NewEncoder("edge-1", "r1", r.Topics()).Append(nil, ev)
			m := unpacked(t, b)
			if m["protocol"] != ev.Protocol || m["kind"] != ev.Kind || m["run"] != ev.Run || m["sensor"] != ev.Sensor || m["event"] != "application" {
				t.Errorf("envelope is %v", m)
			}
		})
	}
	ev := queryEvent(t, r)
	want, _, _ := NewEncoder("edge-1", "r1", r.Topics()).Append(nil, ev)
	ev.Sensor, ev.Run = "", ""
	got, _, _ := NewEncoder("edge-1", "r1", r.Topics()).Append(nil, ev)
	if string(got) != string(want) {
		t.Error("an event without sensor and run does not take the encoder's")
	}
}

func TestEncoderFlow(t *testing.T) {
	addr := netip.MustParseAddrPort
	for _, tt := range []struct {
		name string
		flow flow.Info
		want map[string]any
	}{
		{
			"tcp with port 0",
			flow.Info{Transport: flow.TCP, Src: addr("10.0.0.1:0"), Dst: addr("10.0.0.2:80")},
			map[string]any{"transport": "tcp", "src_ip": "10.0.0.1", "src_port": int8(0), "dst_ip": "10.0.0.2", "dst_port": int8(80)},
		},
		{
			"icmp has type and code",
			flow.Info{Transport: flow.ICMP, Src: addr("10.0.0.1:8"), Dst: addr("10.0.0.2:0")},
			map[string]any{"transport": "icmp", "src_ip": "10.0.0.1", "src_port": int8(8), "dst_ip": "10.0.0.2", "dst_port": int8(0)},
		},
		{
			"a transport by number has no ports",
			flow.Info{Transport: 89, Src: addr("10.0.0.1:0"), Dst: addr("224.0.0.5:0")},
			map[string]any{"transport": "89", "src_ip": "10.0.0.1", "dst_ip": "224.0.0.5"},
		},
		{
			"IPv6, the longest form, with VLANs and tunnels",
			flow.Info{
				Transport: flow.SCTP, Src: addr("[2001:db8:1111:2222:3333:4444:5555:6666]:1"), Dst: addr("[::1]:65535"),
				VLANs: []uint16{100, 4094}, Tunnels: []flow.Tunnel{{Type: "vxlan", ID: 5001}, {Type: "ipip"}},
			},
			map[string]any{
				"transport": "sctp", "src_ip": "2001:db8:1111:2222:3333:4444:5555:6666", "src_port": int8(1), "dst_ip": "::1", "dst_port": uint16(65535),
				"vlan":    []any{int8(100), uint16(4094)},
				"tunnels": []any{map[string]any{"type": "vxlan", "id": uint16(5001)}, map[string]any{"type": "ipip"}},
			},
		},
		{
			"no address",
			flow.Info{Transport: flow.UDP},
			map[string]any{"transport": "udp", "src_port": int8(0), "dst_port": int8(0)},
		},
		{
			"a path that is not UTF-8",
			flow.Info{Transport: 50, Source: "\xff.pcap"},
			map[string]any{"transport": "50", "source": []byte("\xff.pcap")},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.flow.ID = flow.ID{1, 2, 3}
			tt.want["id"] = "01020300000000000000000000000000"
			e := NewEncoder("s", "r", nil)
			for _, round := range []string{"first", "cached"} {
				b, _, _ := e.Append(nil, &session.SessionEvent{Flow: &tt.flow, Protocol: "x", Kind: "started"})
				if d := cmp.Diff(any(tt.want), unpacked(t, b)["flow"]); d != "" {
					t.Errorf("%s (-want +got):\n%s", round, d)
				}
			}
		})
	}
}

func TestEncoderTellsFlowsApart(t *testing.T) {
	e := NewEncoder("s", "r", nil)
	source := func(f *flow.Info) string {
		b, _, _ := e.Append(nil, &session.SessionEvent{Flow: f, Protocol: "x", Kind: "started"})
		return unpacked(t, b)["flow"].(map[string]any)["source"].(string)
	}
	long := strings.Repeat("p", 1000)
	for _, tt := range []struct {
		name string
		flow flow.Info
	}{
		{"one", flow.Info{ID: flow.ID{1}, Source: "one"}},
		{"another", flow.Info{ID: flow.ID{1, 15: 1}, Source: "two"}},
		{"the first again", flow.Info{ID: flow.ID{1}, Source: "one"}},
		{"a long one", flow.Info{ID: flow.ID{1, 15: 2}, Source: long}},
		{"the first after the long one", flow.Info{ID: flow.ID{1}, Source: "one"}},
		{"the long one again", flow.Info{ID: flow.ID{1, 15: 2}, Source: long}},
		{"without id", flow.Info{Source: "three"}},
		{"another without id", flow.Info{Source: "four"}},
	} {
		if got := source(&tt.flow); got != tt.flow.Source {
			t.Errorf("%s: source %q, want %q", tt.name, got, tt.flow.Source)
		}
	}
}

func TestEncoderStats(t *testing.T) {
	stats := func(s *flow.Stats, tcp *flow.TCPStats, events uint64) map[string]any {
		info := fakeFlow()
		if tcp != nil {
			info.Transport = flow.TCP
		}
		b, _, _ := NewEncoder("s", "r", nil).Append(nil, &session.SessionEvent{
			Type: session.Closed, Flow: info, Protocol: "x", Kind: "closed", Stats: s, TCP: tcp, Events: events,
		})
		m := unpacked(t, b)["stats"].(map[string]any)
		for k, v := range m {
			if ts, ok := v.(interface{ UnixNano() int64 }); ok {
				m[k] = ts.UnixNano()
			}
		}
		return m
	}
	for _, tt := range []struct {
		name   string
		stats  flow.Stats
		tcp    *flow.TCPStats
		events uint64
		want   map[string]any
	}{
		{
			"nothing counted",
			flow.Stats{},
			nil,
			0,
			map[string]any{
				"packets_initiator": int8(0), "packets_responder": int8(0), "bytes_initiator": int8(0), "bytes_responder": int8(0),
				"first_ts": int64(0), "last_ts": int64(0), "duration_ns": int8(0), "initiator_by": "first_seen",
				"conn_state": "OTH",
			},
		},
		{
			"everything",
			flow.Stats{
				First: 1_000_000_001, Last: 3_000_000_002, InitiatorBy: flow.BySynAck, Midstream: true,
				Sides: [2]flow.SideStats{
					{Packets: 1, Bytes: 2, IPBytes: 3, PayloadBytes: 4, Last: 5, TCPFlags: 0x1b},
					{Packets: 1 << 40, Bytes: 1 << 41, IPBytes: 1 << 42, PayloadBytes: 1 << 43, Last: 6, TCPFlags: 0xff},
				},
			},
			&flow.TCPStats{
				HandshakeRTT: [2]time.Duration{1_000_000, 70_000},
				History:      flow.ParseHistory("^hADdFaf"), State: flow.ConnRSTOS0,
				Sides: [2]flow.TCPSideStats{
					{GapBytes: 1 << 40, AckedUnseenBytes: 1, Gaps: 2, Retransmitted: 3, OutOfOrder: 4, OverlapConflicts: 5},
					{GapBytes: 6, AckedUnseenBytes: 1 << 33, Gaps: 7, Retransmitted: 8, OutOfOrder: 9, OverlapConflicts: 10},
				},
			},
			14,
			map[string]any{
				"packets_initiator": int8(1), "packets_responder": uint64(1 << 40), "bytes_initiator": int8(2), "bytes_responder": uint64(1 << 41),
				"ip_bytes_initiator": int8(3), "ip_bytes_responder": uint64(1 << 42), "payload_bytes_initiator": int8(4), "payload_bytes_responder": uint64(1 << 43),
				"first_ts": int64(1_000_000_001), "last_ts": int64(3_000_000_002), "last_ts_initiator": int64(5), "last_ts_responder": int64(6),
				"duration_ns": uint32(2_000_000_001), "tcp_flags_initiator": int8(0x1b), "tcp_flags_responder": uint8(0xff),
				"initiator_by": "synack", "midstream": true, "events": int8(14),
				"history": "^hADdFaf", "conn_state": "RSTOS0",
				"handshake_rtt_initiator_ns": uint32(1_000_000), "handshake_rtt_responder_ns": uint32(70_000),
				"retransmitted_initiator": int8(3), "retransmitted_responder": int8(8),
				"out_of_order_initiator": int8(4), "out_of_order_responder": int8(9),
				"overlap_conflicts_initiator": int8(5), "overlap_conflicts_responder": int8(10),
				"gaps_initiator": int8(2), "gaps_responder": int8(7),
				"gap_bytes_initiator": uint64(1 << 40), "gap_bytes_responder": int8(6),
				"acked_unseen_bytes_initiator": int8(1), "acked_unseen_bytes_responder": uint64(1 << 33),
			},
		},
		{
			"initiator by syn",
			flow.Stats{InitiatorBy: flow.BySyn},
			&flow.TCPStats{},
			1,
			map[string]any{
				"packets_initiator": int8(0), "packets_responder": int8(0), "bytes_initiator": int8(0), "bytes_responder": int8(0),
				"first_ts": int64(0), "last_ts": int64(0), "duration_ns": int8(0), "initiator_by": "syn", "events": int8(1),
				"conn_state": "OTH",
			},
		},
		{
			"datagrams",
			flow.Stats{Sides: [2]flow.SideStats{{Packets: 1}, {Packets: 2}}, History: flow.ParsePackedHistory("DdcC")},
			nil,
			1,
			map[string]any{
				"packets_initiator": int8(1), "packets_responder": int8(2), "bytes_initiator": int8(0), "bytes_responder": int8(0),
				"first_ts": int64(0), "last_ts": int64(0), "duration_ns": int8(0), "initiator_by": "first_seen", "events": int8(1),
				"history": "DdcC", "conn_state": "SF",
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if d := cmp.Diff(tt.want, stats(&tt.stats, tt.tcp, tt.events)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestEncoderAllocatesNothing(t *testing.T) {
	r := fakeRegistry(t)
	unnamed, long := queryEvent(t, r), queryEvent(t, r)
	unnamed.Flow.ID = flow.ID{}
	long.Flow.Source = strings.Repeat("p", 1000)
	for _, tt := range []struct {
		name  string
		event *session.SessionEvent
	}{
		{"message", queryEvent(t, r)},
		{"closed", closedEvent(t, r)},
		{"flow encoded each time", unnamed},
		{"flow with a long source", long},
	} {
		e := NewEncoder("edge-1", "r1", r.Topics())
		buf := make([]byte, 0, 4*envelopeSpace)
		if n := testing.AllocsPerRun(100, func() { buf, _, _ = e.Append(buf[:0], tt.event) }); n != 0 {
			t.Errorf("%s: %v allocations", tt.name, n)
		}
	}
}
