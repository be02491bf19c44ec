package dns

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"flowscope/session"
	"flowscope/session/sessiontest"

	"github.com/google/go-cmp/cmp"
	mdns "github.com/miekg/dns"
	"github.com/vmihailenco/msgpack/v5"
)

const (
	second = session.Timestamp(time.Second)
	start  = 1_700_000_000 * second
)

// step is one datagram, or a pause when there is no payload.
type step struct {
	at      time.Duration
	side    session.Side
	payload []byte
}

func ask(id uint16, name string, typ uint16) []byte {
	m := new(mdns.Msg)
	m.SetQuestion(name, typ)
	m.Id = id
	b, err := m.Pack()
	if err != nil {
		panic(err)
	}
	return b
}

func reply(id uint16, name string, typ uint16) []byte {
	b := ask(id, name, typ)
	b[2] |= 0x80
	return b
}

// bare is a response without question.
func bare(id uint16) []byte {
	return []byte{byte(id >> 8), byte(id), 0x81, 0x81, 0, 0, 0, 0, 0, 0, 0, 0}
}

// summary is what pairing decides about one message.
func summary(tb testing.TB, e *sessiontest.Emission) string {
	var m struct {
		ID      uint16 `msgpack:"id"`
		RTT     *int64 `msgpack:"rtt_ns"`
		Retries int    `msgpack:"retries"`
		CutOff  bool   `msgpack:"cut_off"`
	}
	if err := msgpack.Unmarshal(e.Body, &m); err != nil {
		tb.Fatal(err)
	}
	s := fmt.Sprintf("%v %s %d by %s", time.Duration(e.Time-start), e.Kind, m.ID, e.Side)
	if e.Start != 0 {
		s += fmt.Sprintf(" from %v", time.Duration(e.Start-start))
	}
	if m.RTT != nil {
		s += fmt.Sprintf(" rtt %v", time.Duration(*m.RTT))
	}
	if m.Retries > 0 {
		s += fmt.Sprintf(" retries %d", m.Retries)
	}
	if m.CutOff {
		s += " cut off"
	}
	return s
}

func configured(tb testing.TB, change func(*Config)) session.DatagramParserFactory {
	tb.Helper()
	c := DefaultConfig()
	change(&c)
	f, err := New().WithConfig(&c)
	if err != nil {
		tb.Fatal(err)
	}
	return f.(session.DatagramParserFactory)
}

func TestPairing(t *testing.T) {
	const i, r = session.Initiator, session.Responder
	const name, other = "www.example.com.", "other.example.com."
	two := configured(t, func(c *Config) { c.MaxPending = 2 })
	tests := []struct {
		name  string
		f     session.DatagramParserFactory
		steps []step
		end   session.Reason
		at    time.Duration
		want  []string
		idle  time.Duration
	}{
		{
			name:  "answered",
			steps: []step{{0, i, ask(1, name, 1)}, {30 * time.Millisecond, r, reply(1, name, 1)}},
			end:   session.Idle, at: 11 * time.Second,
			want: []string{"0s query 1 by initiator", "30ms response 1 by responder rtt 30ms"},
			idle: 10 * time.Second,
		},
		{
			name:  "case of the name is not compared",
			steps: []step{{0, i, ask(1, "wWw.eXample.com.", 1)}, {time.Second, r, reply(1, name, 1)}},
			end:   session.Idle, at: 20 * time.Second,
			want: []string{"0s query 1 by initiator", "1s response 1 by responder rtt 1s"},
			idle: 10 * time.Second,
		},
		{
			name:  "type is compared though it looks like a letter",
			steps: []step{{0, i, ask(1, name, 65)}, {time.Second, r, reply(1, name, 97)}},
			end:   session.EndOfInput, at: 2 * time.Second,
			want: []string{"0s query 1 by initiator", "1s response 1 by responder", "2s unanswered 1 by initiator from 0s cut off"},
		},
		{
			name:  "another question is another transaction",
			steps: []step{{0, i, ask(1, name, 1)}, {time.Second, r, reply(1, other, 1)}, {2 * time.Second, r, reply(1, name, 1)}},
			end:   session.Idle, at: 20 * time.Second,
			want: []string{"0s query 1 by initiator", "1s response 1 by responder", "2s response 1 by responder rtt 2s"},
			idle: 10 * time.Second,
		},
		{
			name:  "response without question goes by id",
			steps: []step{{0, i, ask(1, name, 1)}, {0, i, ask(2, other, 1)}, {time.Second, r, bare(2)}, {2 * time.Second, r, bare(3)}},
			end:   session.Shutdown, at: 3 * time.Second,
			want: []string{
				"0s query 1 by initiator", "0s query 2 by initiator", "1s response 2 by responder rtt 1s", "2s response 3 by responder",
				"3s unanswered 1 by initiator from 0s cut off",
			},
		},
		{
			name: "retransmission counts from the first",
			steps: []step{
				{0, i, ask(1, name, 1)},
				{2 * time.Second, i, ask(1, "WWW.example.com.", 1)},
				{4 * time.Second, i, ask(1, name, 1)},
				{5 * time.Second, r, reply(1, name, 1)},
				{6 * time.Second, r, reply(1, name, 1)},
			},
			end: session.Idle, at: 20 * time.Second,
			want: []string{
				"0s query 1 by initiator", "2s query 1 by initiator retries 1", "4s query 1 by initiator retries 2",
				"5s response 1 by responder rtt 5s retries 2", "6s response 1 by responder",
			},
			idle: 10 * time.Second,
		},
		{
			name:  "unanswered at its deadline, before what comes later",
			steps: []step{{0, i, ask(1, name, 1)}, {3 * time.Second, i, ask(2, name, 1)}, {30 * time.Second, r, reply(1, name, 1)}},
			end:   session.Idle, at: 60 * time.Second,
			want: []string{
				"0s query 1 by initiator", "3s query 2 by initiator", "10s unanswered 1 by initiator from 0s",
				"13s unanswered 2 by initiator from 3s", "30s response 1 by responder",
			},
		},
		{
			name:  "both sides ask with the same id",
			steps: []step{{0, i, ask(1, name, 1)}, {time.Second, r, ask(1, name, 1)}, {2 * time.Second, i, reply(1, name, 1)}, {3 * time.Second, r, reply(1, name, 1)}},
			end:   session.Idle, at: 20 * time.Second,
			want: []string{
				"0s query 1 by initiator", "1s query 1 by responder", "2s response 1 by initiator rtt 1s", "3s response 1 by responder rtt 3s",
			},
			idle: 10 * time.Second,
		},
		{
			name:  "one's own side does not answer",
			steps: []step{{0, i, ask(1, name, 1)}, {time.Second, i, reply(1, name, 1)}},
			end:   session.Evicted, at: 2 * time.Second,
			want: []string{"0s query 1 by initiator", "1s response 1 by initiator", "2s unanswered 1 by initiator from 0s"},
		},
		{
			name:  "a transfer has many responses",
			steps: []step{{0, i, ask(1, name, 251)}, {time.Second, r, reply(1, name, 251)}, {2 * time.Second, r, reply(1, name, 251)}},
			end:   session.EndOfInput, at: 3 * time.Second,
			want: []string{"0s query 1 by initiator", "1s response 1 by responder rtt 1s", "2s response 1 by responder rtt 2s"},
		},
		{
			name:  "the oldest goes when too many wait",
			f:     two,
			steps: []step{{0, i, ask(1, name, 1)}, {time.Second, i, ask(2, name, 1)}, {2 * time.Second, i, ask(3, name, 1)}},
			end:   session.EndOfInput, at: 3 * time.Second,
			want: []string{
				"0s query 1 by initiator", "1s query 2 by initiator", "2s unanswered 1 by initiator from 0s", "2s query 3 by initiator",
				"3s unanswered 2 by initiator from 1s cut off", "3s unanswered 3 by initiator from 2s cut off",
			},
		},
		{
			name:  "time runs backwards",
			steps: []step{{5 * time.Second, i, ask(1, name, 1)}, {4 * time.Second, i, ask(2, name, 1)}, {4500 * time.Millisecond, r, reply(1, name, 1)}},
			end:   session.Idle, at: 60 * time.Second,
			want: []string{
				"5s query 1 by initiator", "4s query 2 by initiator", "4.5s response 1 by responder", "14s unanswered 2 by initiator from 4s",
			},
		},
		{
			name:  "mDNS pairs nothing",
			f:     NewMDNS(),
			steps: []step{{0, i, ask(1, name, 1)}, {time.Second, r, reply(1, name, 1)}},
			end:   session.EndOfInput, at: 2 * time.Second,
			want: []string{"0s query 1 by initiator", "1s response 1 by responder"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.f == nil {
				tt.f = New()
			}
			run := sessiontest.NewDatagramRun(tt.f)
			for _, s := range tt.steps {
				if err := run.Feed(sessiontest.Datagram{Time: start.Add(s.at), Side: s.side, Payload: s.payload}); err != nil {
					t.Fatal(err)
				}
			}
			if err := run.AdvanceTo(start.Add(tt.at)); err != nil {
				t.Fatal(err)
			}
			run.Close(tt.end)
			var got []string
			for i := range run.Emissions {
				got = append(got, summary(t, &run.Emissions[i]))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if run.Idle != tt.idle {
				t.Errorf("idle time-out is %v, want %v", run.Idle, tt.idle)
			}
			if len(run.Anomalies) > 0 {
				t.Errorf("anomalies: %v", run.Anomalies)
			}
		})
	}
}

// TestUnansweredRepeatsQuery wants the fields of the query, also of one that is
// kept in part only.
func TestUnansweredRepeatsQuery(t *testing.T) {
	m := new(mdns.Msg)
	m.SetQuestion("example.com.", mdns.TypeSOA)
	m.Id, m.Opcode = 77, mdns.OpcodeUpdate
	for i := range 40 {
		m.Ns = append(m.Ns, mustRR(t, fmt.Sprintf("host%d.example.com. 300 IN A 192.0.2.%d", i, i)))
	}
	m.SetEdns0(1232, false)
	long, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name      string
		payload   []byte
		truncated bool
	}{{"short", benchQuery(t), false}, {"long", long, true}} {
		t.Run(tt.name, func(t *testing.T) {
			run := sessiontest.NewDatagramRun(New())
			if err := run.Feed(sessiontest.Datagram{Payload: tt.payload}); err != nil {
				t.Fatal(err)
			}
			run.Close(session.Idle)
			var q Query
			var u Unanswered
			if err := msgpack.Unmarshal(run.Emissions[0].Body, &q); err != nil {
				t.Fatal(err)
			}
			if err := msgpack.Unmarshal(run.Emissions[1].Body, &u); err != nil {
				t.Fatal(err)
			}
			if run.Emissions[1].Truncated != tt.truncated {
				t.Errorf("truncated is %v", run.Emissions[1].Truncated)
			}
			if tt.truncated {
				n := len(u.Authorities)
				if n == 0 || n >= len(q.Authorities) {
					t.Errorf("%d of %d records are left", n, len(q.Authorities))
				}
				q.Authorities, q.EDNS = q.Authorities[:n], nil
			}
			if diff := cmp.Diff(q.Message, u.Message); diff != "" {
				t.Errorf("(-query +unanswered)\n%s", diff)
			}
		})
	}
}

// TestPendingModel compares the table with a plain list under random traffic
// that is dense enough for collisions of ids and questions.
func TestPendingModel(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 3))
	f := configured(t, func(c *Config) { c.MaxPending = 300 })
	run := sessiontest.NewDatagramRun(f)
	type open struct {
		id    uint16
		name  string
		side  session.Side
		first session.Timestamp
		tries int
	}
	var model []open
	find := func(id uint16, name string, side session.Side) int {
		for i, o := range model {
			if o.id == id && o.name == name && o.side == side {
				return i
			}
		}
		return -1
	}
	now := start
	var want []string
	expect := func(at session.Timestamp, format string, args ...any) {
		want = append(want, fmt.Sprintf("%v ", time.Duration(at-start))+fmt.Sprintf(format, args...))
	}
	retries := func(n int) string {
		if n == 0 {
			return ""
		}
		return fmt.Sprintf(" retries %d", n)
	}
	unanswered := func(at session.Timestamp) {
		o := model[0]
		model = model[1:]
		expect(at, "unanswered %d by %s from %v%s", o.id, o.side, time.Duration(o.first-start), retries(o.tries))
	}
	for n := range 20000 {
		// Alternate between crowded and quiet spells.
		step := session.Timestamp(rnd.IntN(20)+1) * 1e6
		if n/2000%2 == 1 {
			step *= 100
		}
		now += step
		for len(model) > 0 && model[0].first+10*second <= now {
			unanswered(model[0].first + 10*second)
		}
		id, name, side := uint16(rnd.IntN(40)), fmt.Sprintf("n%d.example.", rnd.IntN(8)), session.Side(rnd.IntN(2))
		i := find(id, name, side)
		var payload []byte
		from := side
		switch {
		case rnd.IntN(3) > 0:
			payload = ask(id, name, 1)
			if i >= 0 {
				model[i].tries++
				expect(now, "query %d by %s%s", id, side, retries(model[i].tries))
				break
			}
			if len(model) == 300 {
				unanswered(now)
			}
			model = append(model, open{id, name, side, now, 0})
			expect(now, "query %d by %s", id, side)
		default:
			from = side.Opposite()
			payload = reply(id, name, 1)
			if i < 0 {
				expect(now, "response %d by %s", id, from)
				break
			}
			expect(now, "response %d by %s rtt %v%s", id, from, time.Duration(now-model[i].first), retries(model[i].tries))
			model = append(model[:i:i], model[i+1:]...)
		}
		if err := run.Feed(sessiontest.Datagram{Time: now, Side: from, Payload: payload}); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for i := range run.Emissions {
		got = append(got, summary(t, &run.Emissions[i]))
	}
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Fatalf("event %d of %d: %s, want %s", i, len(got), got[i], want[i])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d events, want %d", len(got), len(want))
	}
}

// BenchmarkCrowded has 1,024 queries of one id open while others come and go.
func BenchmarkCrowded(b *testing.B) {
	d := &sessiontest.Discard{}
	out := session.NewOutput(d)
	p := New().NewDatagramParser()
	payloads := make([][]byte, 4096)
	for i := range payloads {
		payloads[i] = ask(1, fmt.Sprintf("n%d.example.", i), 1)
	}
	b.ReportAllocs()
	for i := range b.N {
		out.Begin(session.Timestamp(i+1), session.Initiator, false)
		_ = p.Parse(payloads[i%len(payloads)], session.Initiator, out)
	}
}

// An old query that gives way is reported while the new one is being dealt with:
// neither may write over the other.
func TestReportingAnOldQueryLeavesTheNewOneAlone(t *testing.T) {
	run := sessiontest.NewDatagramRun(configured(t, func(c *Config) { c.MaxPending = 1 }))
	var names []string
	run.Seen = func(m session.Message) {
		switch m := m.(type) {
		case *Query:
			names = append(names, "query "+m.Questions[0].Name)
		case *Unanswered:
			names = append(names, "unanswered "+m.Questions[0].Name)
		}
	}
	for id, name := range []string{"first-of-them.example.com.", "2.example.net."} {
		if err := run.Feed(sessiontest.Datagram{Payload: ask(uint16(id), name, 1)}); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"query first-of-them.example.com", "unanswered first-of-them.example.com", "query 2.example.net"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
