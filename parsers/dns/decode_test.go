package dns

import (
	"strings"
	"testing"

	"flowscope/session"

	"flowscope/session/sessiontest"

	"github.com/google/go-cmp/cmp"
	"github.com/vmihailenco/msgpack/v5"
)

// TestHeader checks each bit of the header (RFC 1035 section 4.1.1).
func TestHeader(t *testing.T) {
	base := Message{ID: 0xabcd, Opcode: "QUERY", Size: 12}
	with := func(f func(*Message)) Message { m := base; f(&m); return m }
	tests := []struct {
		name string
		bits string
		want Message
	}{
		{"nothing", "0000", base},
		{"aa", "0400", with(func(m *Message) { m.AA = true })},
		{"tc", "0200", with(func(m *Message) { m.TC = true })},
		{"rd", "0100", with(func(m *Message) { m.RD = true })},
		{"ra", "0080", with(func(m *Message) { m.RA = true })},
		{"z", "0040", with(func(m *Message) { m.Z = true })},
		{"ad", "0020", with(func(m *Message) { m.AD = true })},
		{"cd", "0010", with(func(m *Message) { m.CD = true })},
		{"rcode in a query", "0005", with(func(m *Message) { m.Rcode = "REFUSED" })},
		{"response", "8000", with(func(m *Message) { m.Rcode = "NOERROR" })},
		{"name error", "8003", with(func(m *Message) { m.Rcode = "NXDOMAIN" })},
		{"unassigned rcode", "800f", with(func(m *Message) { m.Rcode = "RCODE15" })},
		{"update", "2800", with(func(m *Message) { m.Opcode = "UPDATE" })},
		{"stateful", "3000", with(func(m *Message) { m.Opcode = "DSO" })},
		{"unassigned opcode", "7800", with(func(m *Message) { m.Opcode = "OPCODE15" })},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, problem, ok := decodeOwned(t, unhex(t, "abcd"+tt.bits+"0000000000000000"), false)
			if !ok || problem != "" {
				t.Fatalf("readable %v, problem %q", ok, problem)
			}
			if diff := cmp.Diff(tt.want, m); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestDamage says what becomes of messages that are cut or wrong.
func TestDamage(t *testing.T) {
	const question = " 0161 00 0001 0001 "
	const answer = " c00c 0001 0001 00000001 0004 01020304 "
	tests := []struct {
		name      string
		msg       string
		problem   string // "" is none
		emitted   bool
		truncated bool
		answers   int
	}{
		{"flawless", "0001 8000 0001 0001 0000 0000" + question + answer, "", true, false, 1},
		{"empty", "", problemHeader, false, false, 0},
		{"half a header", "0001 8000 0001", problemHeader, false, false, 0},
		{"no question", "0001 8000 0001 0000 0000 0000", problemCounts, false, false, 0},
		{"half a question", "0001 8000 0001 0000 0000 0000 0161 00 0001", problemShort, false, false, 0},
		{"bad label in the question", "0001 8000 0001 0000 0000 0000 8161 00 0001 0001", problemName, false, false, 0},
		{"second question missing", "0001 8000 0002 0000 0000 0000" + question, problemCounts, true, true, 0},
		{"answer missing", "0001 8000 0001 0002 0000 0000" + question + answer, problemCounts, true, true, 1},
		{"data past the end", "0001 8000 0001 0001 0000 0000" + question + "c00c 0001 0001 00000001 0005 01020304", problemShort, true, true, 0},
		{"absurd counts", "0001 8000 0001 ffff ffff ffff" + question + answer, problemCounts, true, true, 1},
		{"trailing octets", "0001 8000 0001 0001 0000 0000" + question + answer + "00", problemTrailing, true, false, 1},
		{"bad data", "0001 8000 0001 0001 0000 0000" + question + "c00c 0001 0001 00000001 0003 010203", problemData, true, false, 1},
		{"stateful operations carry more", "0001 3000 0000 0000 0000 0000 0001 0008 0000000000000000", "", true, false, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			run := sessiontest.NewDatagramRun(New())
			if err := run.Feed(sessiontest.Datagram{Side: session.Responder, Payload: unhex(t, tt.msg)}); err != nil {
				t.Fatal(err)
			}
			var details []string
			for _, a := range run.Anomalies {
				details = append(details, a.Name+": "+a.Detail)
			}
			want := "dns_malformed: " + tt.problem
			if got := strings.Join(details, "; "); tt.problem == "" && got != "" || tt.problem != "" && got != want {
				t.Errorf("anomalies %q, want %q", got, want)
			}
			if len(run.Emissions) != count(tt.emitted) {
				t.Fatalf("%d messages", len(run.Emissions))
			}
			if !tt.emitted {
				return
			}
			var r Response
			if err := msgpack.Unmarshal(run.Emissions[0].Body, &r); err != nil {
				t.Fatal(err)
			}
			if len(r.Answers) != tt.answers || run.Emissions[0].Truncated != tt.truncated {
				t.Errorf("%d answers, truncated %v", len(r.Answers), run.Emissions[0].Truncated)
			}
		})
	}
}

// TestMulticastBits takes the top bit of the class for what RFC 6762 sections
// 5.4 and 10.2 say, in mDNS only.
func TestMulticastBits(t *testing.T) {
	msg := unhex(t, "0000 8400 0001 0001 0000 0000 0161 05 6c6f63616c 00 0001 8001 c00c 0001 8001 00000078 0004 c0000201")
	m, _, _ := decodeOwned(t, msg, true)
	if q, a := m.Questions[0], m.Answers[0]; q.Class != "IN" || !q.UnicastResponse || a.Class != "IN" || !a.CacheFlush {
		t.Errorf("mDNS: %+v", m)
	}
	m, _, _ = decodeOwned(t, msg, false)
	if q, a := m.Questions[0], m.Answers[0]; q.Class != "CLASS32769" || q.UnicastResponse || a.Class != "CLASS32769" || a.CacheFlush {
		t.Errorf("DNS: %+v", m)
	}
}

// TestDynamicUpdate has records without data (RFC 2136 section 2.5.2).
func TestDynamicUpdate(t *testing.T) {
	m, problem, _ := decodeOwned(t, unhex(t, "0001 2800 0001 0000 0001 0000 0161 00 0006 0001 c00c 00ff 00ff 00000000 0000"), false)
	want := []Record{{Name: "a", Type: "ANY", Class: "ANY"}}
	if diff := cmp.Diff(want, m.Authorities); diff != "" || problem != "" {
		t.Errorf("problem %q (-want +got)\n%s", problem, diff)
	}
}
