package publish

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"flowscope/flow"
	"flowscope/session"
)

var update = flag.Bool("update", false, "write testdata/*.msgpack anew, and testdata/*.json from them with python3-msgpack")

// goldenEvents has an event of each type, and of what is unusual in one.
func goldenEvents(t *testing.T, r *session.Registry) map[string]*session.SessionEvent {
	about := func(typ session.EventType, protocol, kind string, seq uint64) *session.SessionEvent {
		return &session.SessionEvent{
			Type: typ, Topic: topicOf(t, r, protocol, kind), Protocol: protocol, Kind: kind,
			Time: 1795428930000000000, Sensor: "edge-1", Run: "r1", Seq: seq, Flow: fakeFlow(),
		}
	}
	started := about(session.Started, "dns", "started", 0)
	v6 := about(session.Started, "flow", "started", 0)
	v6.Flow = &flow.Info{
		ID: flow.ID{15: 1}, Transport: flow.TCP, Src: fakeAddr("[2001:db8::1]:40000"), Dst: fakeAddr("[2001:db8::2]:0"),
		VLANs: []uint16{100, 200}, Tunnels: []flow.Tunnel{{Type: "vxlan", ID: 5001}, {Type: "ipip"}}, Source: "r\xe9seau.pcap",
	}
	icmp := about(session.Started, "flow", "started", 0)
	icmp.Flow = &flow.Info{ID: flow.ID{15: 2}, Transport: flow.ICMP, Src: fakeAddr("192.0.2.1:8"), Dst: fakeAddr("192.0.2.2:0"), Source: "eth0"}
	quoting := about(session.Started, "flow", "started", 0)
	quoting.Flow = &flow.Info{
		ID: flow.ID{15: 4}, Transport: flow.ICMP, Src: fakeAddr("192.0.2.1:3"), Dst: fakeAddr("192.0.2.2:3"), Source: "eth0",
		Tunnels: []flow.Tunnel{
			{Type: "mpls", SideIDs: [2][]uint32{{16, 1048575}, {17}}},
			{Type: "gtpu", SideIDs: [2][]uint32{{0xfedcba98}, {1}}},
		},
		Quoted: &flow.Quoted{
			ID: flow.ID{15: 5}, HasID: true, CommunityID: flow.CommunityID{19: 1}, HasCommunityID: true,
			Transport: flow.UDP, Src: fakeAddr("192.0.2.2:40000"), Dst: fakeAddr("192.0.2.1:53"),
		},
	}
	other := about(session.Started, "flow", "started", 0)
	other.Flow = &flow.Info{ID: flow.ID{15: 3}, Transport: 89, Src: fakeAddr("192.0.2.1:0"), Dst: fakeAddr("224.0.0.5:0"), Source: "eth0"}
	parserClosed := about(session.ParserClosed, "dns", "parser_closed", 3)
	parserClosed.Reason, parserClosed.Detail = "parse_error", "label of 64 bytes"
	anomaly := about(session.AnomalyEvent, "dns", "anomaly", 4)
	anomaly.HasSide, anomaly.Side = true, flow.Responder
	anomaly.Reason, anomaly.Detail, anomaly.Severity, anomaly.Count = "name_loop", "at <0x0c> & 'on'", session.Warning, 2
	anomaly.Truncated, anomaly.Weight = true, 16
	tcp := closedEvent(t, r)
	tcp.Reason, tcp.Protocols = "rst", []string{"dns", "ntp"}
	tcp.Flow.Transport, tcp.Stats.InitiatorBy, tcp.Stats.Midstream = flow.TCP, flow.BySynAck, true
	tcp.Stats.Sides[0].TCPFlags, tcp.Stats.Sides[1].TCPFlags = 0x1a, 0x14
	tcp.Stats.Sides[1].Bytes = 1 << 40
	tcp.TCP = &flow.TCPStats{
		HandshakeRTT: [2]time.Duration{1_200_300, 45_000_000}, History: flow.ParseHistory("^hADtdaTR"), State: flow.ConnRSTO,
		Sides: [2]flow.TCPSideStats{{Retransmitted: 70000, OutOfOrder: 1}, {Retransmitted: 1, Gaps: 2, GapBytes: 1 << 32, AckedUnseenBytes: 1460, OverlapConflicts: 3}},
	}
	tick := closedEvent(t, r)
	tick.Type, tick.Topic, tick.Kind, tick.Seq, tick.Reason, tick.Protocols = session.Tick, topicOf(t, r, "dns", "tick"), "tick", 2, "", nil
	tick.Stats.Sides[1] = flow.SideStats{}
	sensor := about(session.Sensor, "sensor", "heartbeat", 70000)
	sensor.Flow, sensor.Message = nil, &mode{kind: "heartbeat", N: -40000}
	return map[string]*session.SessionEvent{
		"started": started, "started_ipv6_tunnels": v6, "started_icmp": icmp, "started_other_transport": other, "started_quoting": quoting,
		"application": queryEvent(t, r), "parser_closed": parserClosed, "anomaly": anomaly,
		"closed": closedEvent(t, r), "closed_tcp": tcp, "tick": tick, "sensor": sensor,
	}
}

// TestGoldenVectors holds the encoding still. Where it is meant to change, see the
// rules on compatibility, and run with -update.
func TestGoldenVectors(t *testing.T) {
	r := fakeRegistry(t)
	for name, ev := range goldenEvents(t, r) {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join("testdata", name+".msgpack")
			payload, _, _ := NewEncoder("edge-1", "r1", r.Topics()).Append(nil, ev)
			if *update {
				writeFile(t, path, payload)
				writeFile(t, filepath.Join("testdata", name+".json"), indented(t, pythonRenders(t, path)))
			}
			want := readFile(t, path)
			if !bytes.Equal(payload, want) {
				t.Errorf("encoded\n%x, want\n%x", payload, want)
			}
			compact := compacted(t, readFile(t, filepath.Join("testdata", name+".json")))
			got, err := AppendJSON(nil, want)
			if err != nil || !bytes.Equal(got, compact) {
				t.Errorf("JSON\n%s, %v, want\n%s", got, err, compact)
			}
		})
	}
}

// TestGoldenVectorsInPython reads the vectors with another implementation of
// msgpack, in another language.
func TestGoldenVectorsInPython(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.msgpack")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no vectors: %v", err)
	}
	lines := bytes.Split(bytes.TrimSuffix(pythonRenders(t, paths...), []byte("\n")), []byte("\n"))
	if len(lines) != len(paths) {
		t.Fatalf("%d lines for %d vectors", len(lines), len(paths))
	}
	for i, path := range paths {
		want := compacted(t, readFile(t, path[:len(path)-len("msgpack")]+"json"))
		if d := cmp.Diff(string(want), string(lines[i])); d != "" {
			t.Errorf("%s (-want +got):\n%s", path, d)
		}
	}
}

// pythonRenders returns what testdata/render.py prints for the vectors.
func pythonRenders(t *testing.T, paths ...string) []byte {
	t.Helper()
	for _, python := range []string{"python3", "/usr/bin/python3"} { // the first may be one without Debian's packages
		if exec.Command(python, "-c", "import msgpack").Run() != nil {
			continue
		}
		cmd := exec.Command(python, append([]string{"testdata/render.py"}, paths...)...)
		cmd.Env = append(os.Environ(), "PYTHONIOENCODING=utf-8", "PYTHONDONTWRITEBYTECODE=1")
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", cmd, err)
		}
		return out
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("python3 with msgpack is missing (Debian: python3-msgpack)")
	}
	t.Skip("python3 with msgpack is missing (Debian: python3-msgpack)")
	return nil
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func writeFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func indented(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := json.Indent(&b, bytes.TrimSpace(data), "", "  "); err != nil {
		t.Fatal(err)
	}
	b.WriteByte('\n')
	return b.Bytes()
}

func compacted(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, data); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
