package publish

import (
	"net/netip"
	"testing"
	"time"

	"flowscope/flow"
	"flowscope/session"
	"flowscope/session/pack"
)

// query is a message type as parsers have them: it appends itself, and carries
// tags for those who unpack it.
type query struct {
	ID        uint16     `msgpack:"id"`
	RD        bool       `msgpack:"rd"`
	Questions []question `msgpack:"questions"`
	Name      string     `msgpack:"name"`
	When      time.Time  `msgpack:"when"`
	Body      []byte     `msgpack:"body"`
}

type question struct {
	Name string `msgpack:"name"`
	Type string `msgpack:"type"`
}

func (*query) Kind() string { return "query" }

func (q *query) AppendMsgpack(b []byte) []byte {
	m := pack.BeginMap(b)
	m.Uint("id", uint64(q.ID))
	m.Bool("rd", q.RD)
	m.Key("questions")
	m.B = pack.ArrayHeader(m.B, len(q.Questions))
	for i := range q.Questions {
		m.B = pack.MapHeader(m.B, 2)
		m.B = pack.String(pack.String(m.B, "name"), q.Questions[i].Name)
		m.B = pack.String(pack.String(m.B, "type"), q.Questions[i].Type)
	}
	m.Key("name")
	m.B = pack.TextString(m.B, q.Name)
	m.Key("when")
	m.B = pack.TimeOf(m.B, q.When)
	m.Key("body")
	m.B = pack.Bytes(m.B, q.Body)
	return m.End()
}

// mode is one type with several kinds, told apart by its prototype.
type mode struct {
	kind string
	N    int `msgpack:"n"`
}

func (m *mode) Kind() string { return m.kind }

func (m *mode) AppendMsgpack(b []byte) []byte {
	return pack.Int(pack.String(pack.MapHeader(b, 1), "n"), int64(m.N))
}

// fixedMessage takes no time to encode, so that benchmarks see the envelope.
type fixedMessage struct{}

func (fixedMessage) Kind() string                  { return "query" }
func (fixedMessage) AppendMsgpack(b []byte) []byte { return append(b, 0x80) }

type fakeFactory struct{ protocol session.Protocol }

func (f *fakeFactory) Protocol() *session.Protocol               { return &f.protocol }
func (f *fakeFactory) Probe(*session.Sample) session.Verdict     { return session.No }
func (f *fakeFactory) NewDatagramParser() session.DatagramParser { return nil }
func (f *fakeFactory) NewSessionParser() session.SessionParser   { return nil }
func (f *fakeFactory) with(m ...session.Message) *fakeFactory    { f.protocol.Messages = m; return f }

func newFakeFactory(name string, m ...session.Message) *fakeFactory {
	f := &fakeFactory{session.Protocol{Name: name, Transports: []flow.Transport{flow.UDP}}}
	return f.with(m...)
}

// fakeRegistry knows dns.query, ntp.client and ntp.server.
func fakeRegistry(t testing.TB) *session.Registry {
	t.Helper()
	r, err := session.NewRegistry(
		newFakeFactory("dns", &query{}),
		newFakeFactory("ntp", &mode{kind: "client"}, &mode{kind: "server"}),
	)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func fakeFlow() *flow.Info {
	return &flow.Info{
		ID:             flow.ID{0: 0x0b, 1: 0xad, 14: 0xca, 15: 0xfe},
		CommunityID:    flow.CommunityID{0: 1, 19: 2},
		HasCommunityID: true,
		Transport:      flow.UDP,
		Src:            netip.MustParseAddrPort("192.0.2.1:5353"),
		Dst:            netip.MustParseAddrPort("192.0.2.53:53"),
		Source:         "eth0",
	}
}

func fakeAddr(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func fakeQuery() *query {
	return &query{
		ID: 4711, RD: true, Name: "caf\xe9", Body: []byte{0, 0xff},
		Questions: []question{{"example.com", "A"}},
		When:      time.Date(2026, 11, 23, 10, 0, 0, 5, time.UTC),
	}
}

// topicOf returns the number of a topic that must be there.
func topicOf(t testing.TB, r *session.Registry, protocol, kind string) int {
	t.Helper()
	n, ok := r.TopicOf(protocol, kind)
	if !ok {
		t.Fatalf("no topic %s.%s", protocol, kind)
	}
	return n
}

func queryEvent(t testing.TB, r *session.Registry) *session.SessionEvent {
	t.Helper()
	return &session.SessionEvent{
		Type: session.Application, Topic: topicOf(t, r, "dns", "query"), Protocol: "dns", Kind: "query",
		Time: 1795428930123456789, Start: 1795428930000000000, Sensor: "edge-1", Run: "r1", Seq: 7,
		Flow: fakeFlow(), HasSide: true, Message: fakeQuery(),
	}
}

func closedEvent(t testing.TB, r *session.Registry) *session.SessionEvent {
	t.Helper()
	return &session.SessionEvent{
		Type: session.Closed, Topic: topicOf(t, r, "dns", "closed"), Protocol: "dns", Kind: "closed",
		Time: 1795428930123456789, Sensor: "edge-1", Run: "r1", Seq: 12, Reason: "idle",
		Flow: fakeFlow(), Events: 13, Protocols: []string{"dns"},
		Stats: &flow.Stats{
			First: 1795428920000000000, Last: 1795428930123456789,
			Sides: [2]flow.SideStats{
				{Packets: 10, Bytes: 700, IPBytes: 560, PayloadBytes: 280, Last: 1795428930123456789},
				{Packets: 9, Bytes: 3000, IPBytes: 2874, PayloadBytes: 2622, Last: 1795428930000000001},
			},
			History: flow.ParsePackedHistory("Dd"),
		},
	}
}
