package publish

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/netip"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/vmihailenco/msgpack/v5"
	"pgregory.net/rapid"

	"flowscope/flow"
	"flowscope/session"
)

// genBytes draws wire text and bytes, UTF-8 and not.
func genBytes() *rapid.Generator[[]byte] {
	return rapid.OneOf(
		rapid.SliceOfN(rapid.Byte(), 0, 40),
		rapid.Map(rapid.StringN(0, 20, 300), func(s string) []byte { return []byte(s) }),
	)
}

func genText() *rapid.Generator[string] {
	return rapid.Map(genBytes(), func(b []byte) string { return string(b) })
}

func genAddr() *rapid.Generator[netip.Addr] {
	return rapid.Custom(func(t *rapid.T) netip.Addr {
		switch rapid.IntRange(0, 3).Draw(t, "family") {
		case 0:
			return netip.Addr{}
		case 1:
			return netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "v6")))
		default:
			return netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "v4")))
		}
	})
}

func genFlow() *rapid.Generator[*flow.Info] {
	return rapid.Custom(func(t *rapid.T) *flow.Info {
		f := &flow.Info{
			ID:             flow.ID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id")),
			HasCommunityID: rapid.Bool().Draw(t, "has community id"),
			Transport:      flow.Transport(rapid.SampledFrom([]byte{1, 6, 17, 58, 132, 0, 47, 255}).Draw(t, "transport")),
			Src:            netip.AddrPortFrom(genAddr().Draw(t, "src"), rapid.Uint16().Draw(t, "src port")),
			Dst:            netip.AddrPortFrom(genAddr().Draw(t, "dst"), rapid.Uint16().Draw(t, "dst port")),
			VLANs:          rapid.SliceOfN(rapid.Uint16(), 0, 3).Draw(t, "vlans"),
			Source:         genText().Draw(t, "source"),
		}
		if f.HasCommunityID {
			f.CommunityID = flow.CommunityID(rapid.SliceOfN(rapid.Byte(), 20, 20).Draw(t, "community id"))
		}
		for range rapid.IntRange(0, 20).Draw(t, "tunnels") {
			tunnel := flow.Tunnel{Type: genText().Draw(t, "type"), ID: rapid.Uint64().Draw(t, "tunnel id")}
			for side := range tunnel.SideIDs {
				tunnel.SideIDs[side] = rapid.SliceOfN(rapid.Uint32(), 0, 3).Draw(t, "side ids")
			}
			f.Tunnels = append(f.Tunnels, tunnel)
		}
		if rapid.Bool().Draw(t, "quotes") {
			q := &flow.Quoted{
				HasID:          rapid.Bool().Draw(t, "quoted is tracked"),
				HasCommunityID: rapid.Bool().Draw(t, "quoted has community id"),
				Transport:      flow.Transport(rapid.SampledFrom([]byte{1, 6, 17, 58, 132, 0, 47, 255}).Draw(t, "quoted transport")),
				Src:            netip.AddrPortFrom(genAddr().Draw(t, "quoted src"), rapid.Uint16().Draw(t, "quoted src port")),
				Dst:            netip.AddrPortFrom(genAddr().Draw(t, "quoted dst"), rapid.Uint16().Draw(t, "quoted dst port")),
			}
			if q.HasID {
				q.ID = flow.ID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "quoted id"))
			}
			if q.HasCommunityID {
				q.CommunityID = flow.CommunityID(rapid.SliceOfN(rapid.Byte(), 20, 20).Draw(t, "quoted community id"))
			}
			f.Quoted = q
		}
		return f
	})
}

// genTime stays in the years that nanoseconds in 64 bits can hold, less a second
// at either end.
func genTime() *rapid.Generator[int64] { return rapid.Int64Range(-1<<62, 1<<62) }

func genStats() *rapid.Generator[*flow.Stats] {
	return rapid.Custom(func(t *rapid.T) *flow.Stats {
		s := &flow.Stats{
			InitiatorBy: flow.InitiatorBy(rapid.IntRange(0, 2).Draw(t, "by")),
			Midstream:   rapid.Bool().Draw(t, "midstream"),
		}
		setTime(&s.First, genTime().Draw(t, "first"))
		setTime(&s.Last, genTime().Draw(t, "last"))
		for i := range s.Sides {
			side := &s.Sides[i]
			for _, n := range []*uint64{&side.Packets, &side.Bytes, &side.IPBytes, &side.PayloadBytes} {
				*n = rapid.Uint64().Draw(t, "n")
			}
			setTime(&side.Last, genTime().Draw(t, "side last"))
			side.TCPFlags = rapid.Byte().Draw(t, "flags")
		}
		return s
	})
}

func genTCPStats() *rapid.Generator[*flow.TCPStats] {
	return rapid.Custom(func(t *rapid.T) *flow.TCPStats {
		s := &flow.TCPStats{
			History: flow.ParseHistory(rapid.StringOfN(rapid.RuneFrom([]rune("ShADadFfRrTtWwGgCcIiQq^")), 0, 40, -1).Draw(t, "history")),
			State:   flow.ConnState(rapid.IntRange(0, len(flow.ConnStates())-1).Draw(t, "state")),
		}
		for i := range s.Sides {
			side := &s.Sides[i]
			for _, n := range []*uint32{&side.Gaps, &side.Retransmitted, &side.OutOfOrder, &side.OverlapConflicts} {
				*n = rapid.Uint32().Draw(t, "n")
			}
			side.GapBytes, side.AckedUnseenBytes = rapid.Uint64().Draw(t, "gap bytes"), rapid.Uint64().Draw(t, "acked bytes")
			s.HandshakeRTT[i] = time.Duration(rapid.Int64Range(0, 1<<62).Draw(t, "rtt"))
		}
		return s
	})
}

func genEvent(r *session.Registry) *rapid.Generator[*session.SessionEvent] {
	return rapid.Custom(func(t *rapid.T) *session.SessionEvent {
		topic := rapid.IntRange(0, len(r.Topics())-1).Draw(t, "topic")
		tp := r.Topics()[topic]
		ev := &session.SessionEvent{
			Type: tp.Type, Topic: topic, Protocol: tp.Protocol, Kind: tp.Kind, Sensor: genText().Draw(t, "sensor"), Run: genText().Draw(t, "run"),
			Seq: rapid.Uint64().Draw(t, "seq"), Truncated: rapid.Bool().Draw(t, "truncated"),
		}
		setTime(&ev.Time, genTime().Draw(t, "time"))
		if ev.Type == session.Sensor {
			ev.Message = &RawMessage{Name: ev.Kind, Msgpack: object("k", []byte{7})}
			return ev
		}
		ev.Flow = genFlow().Draw(t, "flow")
		ev.HasSide = rapid.Bool().Draw(t, "has side")
		if ev.HasSide {
			ev.Side = flow.Side(rapid.IntRange(0, 1).Draw(t, "side"))
		}
		if w := rapid.IntRange(0, 1<<30).Draw(t, "weight"); w > 1 {
			ev.Weight = w
		}
		switch ev.Type {
		case session.Application:
			setTime(&ev.Start, genTime().Draw(t, "start"))
			if ev.Message = genQuery().Draw(t, "message"); ev.Kind != "query" {
				ev.Message = &mode{kind: ev.Kind, N: rapid.Int().Draw(t, "n")}
			}
			return ev
		case session.Closed, session.Tick:
			ev.Stats, ev.Events = genStats().Draw(t, "stats"), rapid.Uint64().Draw(t, "events")
			if ev.Flow.Transport == flow.TCP {
				ev.TCP = genTCPStats().Draw(t, "tcp")
			} else {
				ev.Stats.History = flow.ParsePackedHistory(rapid.StringOfN(rapid.RuneFrom([]rune("DdCc")), 0, 10, -1).Draw(t, "history"))
			}
			ev.Protocols = rapid.SliceOfN(genText(), 0, 20).Draw(t, "protocols")
		case session.AnomalyEvent:
			ev.Severity, ev.Count = session.Severity(genText().Draw(t, "severity")), rapid.Uint64().Draw(t, "count")
		}
		ev.Reason, ev.Detail = genText().Draw(t, "reason"), genText().Draw(t, "detail")
		return ev
	})
}

func genQuery() *rapid.Generator[session.Message] {
	return rapid.Custom(func(t *rapid.T) session.Message {
		q := &query{
			ID: rapid.Uint16().Draw(t, "id"), RD: rapid.Bool().Draw(t, "rd"), Name: genText().Draw(t, "name"), Body: genBytes().Draw(t, "body"),
			When: time.Unix(rapid.Int64Range(rfc3339First, rfc3339End-1).Draw(t, "sec"), rapid.Int64Range(0, 999999999).Draw(t, "nsec")).UTC(),
		}
		for range rapid.IntRange(0, 20).Draw(t, "questions") {
			q.Questions = append(q.Questions, question{Name: rapid.String().Draw(t, "qname"), Type: "A"})
		}
		return q
	})
}

// TestDecodedEventsEncodeToTheSameBytes runs many events through one encoder, so
// that its cache is full of others'.
func TestDecodedEventsEncodeToTheSameBytes(t *testing.T) {
	r := fakeRegistry(t)
	e := NewEncoder("edge-1", "r1", r.Topics())
	rapid.Check(t, func(t *rapid.T) {
		ev := genEvent(r).Draw(t, "event")
		payload, start, end := e.Append(nil, ev)
		if err := Check(payload); err != nil {
			t.Fatal(err)
		}
		got, err := Decode(payload, r)
		if err != nil {
			t.Fatal(err)
		}
		// Without a name of its own, the event takes the encoder's.
		if id := string(payload[start:end]); id != got.ID() {
			t.Fatalf("id %q, want %q", id, got.ID())
		}
		again, _, _ := NewEncoder(got.Sensor, got.Run, r.Topics()).Append(nil, got)
		if !bytes.Equal(payload, again) {
			t.Fatalf("encoded again:\n%x, want\n%x", again, payload)
		}
	})
}

// rendered is the rule for JSON, told once more over what a general library makes
// of the bytes.
func rendered(v any) any {
	switch v := v.(type) {
	case map[string]any:
		m := map[string]any{}
		for k, e := range v {
			str, bin, notUTF8 := contentsOf(e)
			if !bin || !IsPureBytes(k) && (str || notUTF8) {
				m[k] = rendered(e)
			}
			if bin {
				m[k+"_b64"] = inBase64(e)
			}
		}
		return m
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = rendered(v[i])
		}
		return out
	case []byte:
		return string([]rune(string(v))) // U+FFFD for each byte that is not UTF-8
	case time.Time:
		return v.UTC().Format("2006-01-02T15:04:05.000000000Z07:00")
	default:
		return v
	}
}

func contentsOf(v any) (str, bin, notUTF8 bool) {
	switch v := v.(type) {
	case string:
		return true, false, false
	case []byte:
		return false, true, !utf8.Valid(v)
	case []any:
		for _, e := range v {
			s, b, n := contentsOf(e)
			str, bin, notUTF8 = str || s, bin || b, notUTF8 || n
		}
	}
	return str, bin, notUTF8
}

func inBase64(v any) any {
	switch v := v.(type) {
	case string:
		return base64.StdEncoding.EncodeToString([]byte(v))
	case []byte:
		return base64.StdEncoding.EncodeToString(v)
	case map[string]any:
		return nil
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = inBase64(v[i])
		}
		return out
	default:
		return rendered(v)
	}
}

// genAny draws what a message may hold.
func genAny(depth int) *rapid.Generator[any] {
	kinds := []*rapid.Generator[any]{
		rapid.Just[any](nil),
		rapid.Bool().AsAny(), rapid.Int64().AsAny(), rapid.Uint64().AsAny(), rapid.Float64().AsAny(), rapid.Float32().AsAny(),
		rapid.String().AsAny(), genBytes().AsAny(), genBytes().AsAny(),
		rapid.Custom(func(t *rapid.T) any {
			return time.Unix(rapid.Int64Range(rfc3339First, rfc3339End-1).Draw(t, "sec"), rapid.Int64Range(0, 999999999).Draw(t, "nsec")).UTC()
		}),
	}
	if depth > 0 {
		kinds = append(
			kinds,
			rapid.SliceOfN(genAny(depth-1), 0, 5).AsAny(),
			rapid.MapOfN(rapid.SampledFrom([]string{"a", "body", "\"quoted\"", "é\n"}), genAny(depth-1), 0, 4).AsAny(),
		)
	}
	return rapid.OneOf(kinds...)
}

func TestJSONAgreesWithAGeneralLibrary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		payload, err := msgpack.Marshal(map[string]any{"k": genAny(3).Draw(t, "value"), "l": genAny(2).Draw(t, "second")})
		if err != nil {
			t.Fatal(err)
		}
		var v any
		if err := msgpack.Unmarshal(payload, &v); err != nil {
			t.Fatal(err)
		}
		reference, err := json.Marshal(rendered(v))
		if err != nil {
			t.Fatal(err)
		}
		got, err := AppendJSON(nil, payload)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(parsed(t, reference), parsed(t, got)); d != "" {
			t.Fatalf("(-want +got):\n%s", d)
		}
		if bytes.ContainsFunc(got, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }) {
			t.Fatalf("control characters in %q", got)
		}
	})
}

// parsed reads JSON with numbers as they are written.
func parsed(t *rapid.T, data []byte) (v any) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in %s", err, data)
	}
	return v
}
