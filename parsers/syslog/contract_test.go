package syslog

import (
	"strings"
	"testing"

	"flowscope/session/sessiontest"
)

const corpusFolder = "../../../shared/captures"

const (
	newFormat = `<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog 7 ID47 [exampleSDID@32473 iut="3" text="a \"b\""][x@1 class="high"] An entry`
	oldFormat = "<34>Oct 11 22:14:15 mymachine su[42]: 'su root' failed for lonvick on /dev/pts/8"
)

func conversations() []sessiontest.Conversation {
	var list []sessiontest.Conversation
	for _, text := range []string{newFormat, oldFormat, "Use the BFG!", `<13>1 - - - - - [a b="c`} {
		list = append(list, sessiontest.Conversation{Name: text[:8], Datagrams: []sessiontest.Datagram{{Payload: []byte(text)}, {Payload: []byte(text)}}})
	}
	return list
}

func streams() []sessiontest.Stream {
	list := []sessiontest.Stream{
		sessiontest.Text("lines", oldFormat+"\n"+newFormat+"\n"),
		sessiontest.Text("counted", "9 <13>a bcd10 <13>a\nbcde"),
		sessiontest.Text("both", "9 <13>a bcd"+oldFormat+"\n9 <13>e fgh"),
	}
	for i := range list {
		list[i].SrcPort, list[i].DstPort = 40000, 514
		list[i].Segments = append(list[i].Segments, sessiontest.Segment{Fin: true})
	}
	return list
}

func TestDatagramContract(t *testing.T) {
	sessiontest.TestDatagramParser(t, New(), 0, conversations()...)
}

func TestStreamContract(t *testing.T) {
	sessiontest.TestSessionParser(t, New(), 0, streams()...)
}

// TestContractOnCorpus holds the contracts against captured flows.
func TestContractOnCorpus(t *testing.T) {
	folder := sessiontest.Corpus(t, corpusFolder)
	n := 0
	for _, file := range sessiontest.Captures(t, folder) {
		if !strings.Contains(file, "syslog") {
			continue
		}
		for _, d := range sessiontest.UDP(t, file) {
			if d.DstPort == 514 {
				n++
				sessiontest.TestDatagramParser(t, New(), 0, sessiontest.Conversation{Name: d.Flow, Datagrams: []sessiontest.Datagram{d.Datagram}})
			}
		}
		for _, s := range sessiontest.TCP(t, file) {
			if s.DstPort == 514 {
				n++
				sessiontest.TestSessionParser(t, New(), 0, s)
			}
		}
	}
	if n < 6 {
		t.Errorf("only %d datagrams and streams", n)
	}
}

// FuzzParse feeds anything as datagram and as stream, in two pieces.
func FuzzParse(f *testing.F) {
	for _, c := range conversations() {
		f.Add(c.Datagrams[0].Payload, uint16(7))
	}
	for _, s := range streams() {
		f.Add(s.Segments[0].Data, uint16(20))
	}
	folder := sessiontest.Corpus(f, corpusFolder)
	for _, file := range sessiontest.Captures(f, folder) {
		if strings.Contains(file, "syslog") {
			for _, d := range sessiontest.UDP(f, file) {
				f.Add(d.Payload, uint16(3))
			}
			for _, s := range sessiontest.TCP(f, file) {
				for _, seg := range s.Segments {
					f.Add(seg.Data, uint16(5))
				}
			}
		}
	}
	protocol := New().Protocol()
	f.Fuzz(func(t *testing.T, b []byte, cut uint16) {
		if len(b) > 65535 {
			return
		}
		datagram := sessiontest.NewDatagramRun(New())
		if err := datagram.Feed(sessiontest.Datagram{Payload: b}); err != nil {
			t.Fatal(err)
		}
		whole, pieces := sessiontest.NewStreamRun(New()), sessiontest.NewStreamRun(New())
		at := min(int(cut), len(b))
		fin := sessiontest.Segment{Fin: true}
		_ = whole.Play(sessiontest.Stream{Segments: []sessiontest.Segment{{Data: b}, fin}})
		_ = pieces.Play(sessiontest.Stream{Segments: []sessiontest.Segment{{Data: b[:at]}, {Data: b[at:]}, fin}})
		if len(whole.Emissions) != len(pieces.Emissions) {
			t.Fatalf("%d messages, cut at %d %d", len(whole.Emissions), at, len(pieces.Emissions))
		}
		for i := range whole.Emissions {
			if string(whole.Emissions[i].Body) != string(pieces.Emissions[i].Body) {
				t.Fatalf("message %d differs when cut at %d", i, at)
			}
		}
		for _, list := range [][]sessiontest.Emission{datagram.Emissions, whole.Emissions} {
			for i := range list {
				if err := sessiontest.CheckMessage(protocol, list[i].Kind, list[i].Body); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

// BenchmarkNewFormat reads and encodes a message of RFC 5424 with structured
// data.
func BenchmarkNewFormat(b *testing.B) { benchmark(b, newFormat) }

// BenchmarkOldFormat reads and encodes a message of RFC 3164.
func BenchmarkOldFormat(b *testing.B) { benchmark(b, oldFormat) }

func benchmark(b *testing.B, text string) {
	s, payload := new(scratch), []byte(text)
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		s.decode(payload)
		out = s.message.AppendMsgpack(out[:0])
	}
}
