package dns

import (
	"encoding/binary"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"flowscope/session"
	"flowscope/session/sessiontest"

	"github.com/google/go-cmp/cmp"
	mdns "github.com/miekg/dns"
)

// framed puts the length in front of each message (RFC 1035 section 4.2.2).
func framed(messages ...[]byte) (b []byte) {
	for _, m := range messages {
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(m))), m...)
	}
	return b
}

func TestStreams(t *testing.T) {
	const i, r = session.Initiator, session.Responder
	const name, other = "www.example.com.", "other.example.com."
	type segments []sessiontest.Segment
	seg := func(at time.Duration, side session.Side, data []byte) sessiontest.Segment {
		return sessiontest.Segment{Time: start.Add(at), Side: side, Data: data}
	}
	query, response := framed(ask(1, name, 1)), framed(reply(1, name, 1))
	tests := []struct {
		name      string
		midstream bool
		segments  segments
		want      []string
		anomalies int
	}{
		{
			"pipelined, answered in another order", false,
			segments{seg(0, i, framed(ask(1, name, 1), ask(2, other, 1))), seg(time.Second, r, framed(reply(2, other, 1), reply(1, name, 1)))},
			[]string{"0s query 1 by initiator", "0s query 2 by initiator", "1s response 2 by responder rtt 1s", "1s response 1 by responder rtt 1s"},
			0,
		},
		{
			"in pieces", false,
			segments{seg(0, i, query[:1]), seg(time.Second, i, query[1:9]), seg(2*time.Second, i, query[9:]), seg(3*time.Second, r, response)},
			[]string{"2s query 1 by initiator from 0s", "3s response 1 by responder rtt 1s"},
			0,
		},
		{
			"the second begins where the first ends", false,
			segments{seg(0, i, slices.Concat(query, query[:5])), seg(time.Second, i, query[5:])},
			[]string{"0s query 1 by initiator", "1s query 1 by initiator from 0s retries 1", "2s unanswered 1 by initiator from 0s retries 1 cut off"},
			0,
		},
		{
			"a transfer has many responses", false,
			segments{seg(0, i, framed(ask(1, name, 252))), seg(time.Second, r, framed(reply(1, name, 252), bare(1))), seg(2*time.Second, r, framed(bare(1)))},
			[]string{"0s query 1 by initiator", "1s response 1 by responder rtt 1s", "1s response 1 by responder rtt 1s", "2s response 1 by responder rtt 2s"},
			0,
		},
		{
			"no answer", false,
			segments{seg(0, i, query), seg(20*time.Second, r, response)},
			[]string{"0s query 1 by initiator", "10s unanswered 1 by initiator from 0s", "20s response 1 by responder"},
			0,
		},
		{
			"ends inside a message", false,
			segments{seg(0, i, query), seg(time.Second, r, response[:len(response)-2]), {Time: start.Add(2 * time.Second), Side: r, Fin: true}},
			[]string{"0s query 1 by initiator", "2s unanswered 1 by initiator from 0s cut off"},
			1,
		},
		{
			"gap inside a message", false,
			segments{seg(0, i, query[:10]), {Time: start.Add(time.Second), Side: i, Gap: 4, Data: slices.Concat(query[14:], framed(ask(2, other, 1)))}},
			[]string{"1s query 2 by initiator", "2s unanswered 2 by initiator from 1s cut off"},
			0,
		},
		{
			"gap across messages", false,
			segments{seg(0, i, query[:10]), {Time: start.Add(time.Second), Side: i, Gap: 400, Data: slices.Concat(query[14:], framed(ask(2, other, 1)))}},
			[]string{"1s query 2 by initiator", "2s unanswered 2 by initiator from 1s cut off"},
			0,
		},
		{
			"midstream", true,
			segments{seg(0, r, slices.Concat(response[7:], framed(reply(2, other, 1))))},
			[]string{"0s response 2 by responder"},
			0,
		},
		{
			"length of nothing", false,
			segments{seg(0, i, slices.Concat([]byte{0, 0}, query)), seg(time.Second, r, response)},
			[]string{"0s query 1 by initiator", "1s response 1 by responder rtt 1s"},
			1,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			run := sessiontest.NewStreamRun(New())
			if err := run.Play(sessiontest.Stream{Midstream: tt.midstream, Segments: tt.segments}); err != nil {
				t.Fatal(err)
			}
			last := tt.segments[len(tt.segments)-1].Time
			if err := run.AdvanceTo(max(last, start.Add(2*time.Second))); err != nil {
				t.Fatal(err)
			}
			run.Close(session.EndOfInput)
			var got []string
			for k := range run.Emissions {
				got = append(got, summary(t, &run.Emissions[k]))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if len(run.Anomalies) != tt.anomalies {
				t.Errorf("anomalies are %v, want %d", run.Anomalies, tt.anomalies)
			}
			if run.Idle != 0 {
				t.Errorf("idle time-out of a connection is set to %v", run.Idle)
			}
		})
	}
}

func streamConversations(tb testing.TB) []sessiontest.Stream {
	transfer := newPacked(tb, func(m *mdns.Msg) { m.SetAxfr("example.com."); m.Id = 5 })
	part := newPacked(tb, func(m *mdns.Msg) { m.SetAxfr("example.com."); m.Id, m.Response = 5, true })
	query, response := benchQuery(tb), benchResponse(tb)
	both := func(name string, a, b []byte) sessiontest.Stream {
		return sessiontest.Stream{Name: name, SrcPort: 40000, DstPort: 53, Segments: []sessiontest.Segment{
			{Data: a}, {Side: session.Responder, Data: b}, {Fin: true}, {Side: session.Responder, Fin: true},
		}}
	}
	return []sessiontest.Stream{
		both("answered", framed(query), framed(response)),
		both("pipelined", framed(query, ask(2, "a.example.", 1)), framed(reply(2, "a.example.", 1), response)),
		both("transfer", framed(transfer), framed(part, part, bare(5))),
		both("large", framed(ask(4711, "example.com.", mdns.TypeMX)), framed(benchLarge(tb))),
		both("damaged", framed(query[:7], query, query[:20]), framed(response[:40], response)),
		both("ends early", framed(query), framed(response)[:50]),
	}
}

func TestStreamContract(t *testing.T) {
	sessiontest.TestSessionParser(t, New(), 0, streamConversations(t)...)
}

// TestStreamCorpus reads the DNS over TCP of all captures: every message that the
// oracle can read, as the oracle reads it.
func TestStreamCorpus(t *testing.T) {
	folder, files := corpusFiles(t)
	messages := 0
	for _, file := range files {
		name, _ := filepath.Rel(folder, file)
		for _, s := range sessiontest.TCP(t, file) {
			if s.SrcPort != 53 && s.DstPort != 53 {
				continue
			}
			run := sessiontest.NewStreamRun(New())
			if err := run.Play(s); err != nil {
				t.Errorf("%s %s: %v", name, s.Name, err)
			}
			run.Close(session.EndOfInput)
			want := countFramed(s)
			got := 0
			for _, e := range run.Emissions {
				if e.Kind != "unanswered" {
					got++
				}
			}
			if got < want {
				t.Errorf("%s %s: %d messages, want %d", name, s.Name, got, want)
			}
			messages += got
		}
	}
	t.Logf("%d messages", messages)
	if messages < 2000 {
		t.Errorf("only %d messages", messages)
	}
}

// countFramed counts the messages of a stream without gaps that the oracle can
// read; 0 of others.
func countFramed(s sessiontest.Stream) (n int) {
	var sides [2][]byte
	for _, seg := range s.Segments {
		if seg.Gap != 0 || s.Midstream {
			return 0
		}
		sides[seg.Side] = append(sides[seg.Side], seg.Data...)
	}
	for _, b := range sides {
		for len(b) >= 2 && len(b) >= 2+int(binary.BigEndian.Uint16(b)) {
			size := int(binary.BigEndian.Uint16(b))
			if new(mdns.Msg).Unpack(b[2:2+size]) == nil {
				n++
			}
			b = b[2+size:]
		}
	}
	return n
}

func TestStreamProbe(t *testing.T) {
	query := framed(benchQuery(t))
	tests := []struct {
		name string
		data []byte
		port uint16
		want session.Verdict
	}{
		{"one octet", query[:1], 53, session.More},
		{"length", query[:2], 53, session.More},
		{"header", query[:14], 53, session.Match},
		{"query", query, 53, session.Match},
		{"query elsewhere", query, 5300, session.Match},
		{"beginning of a query elsewhere", query[:20], 5300, session.More},
		{"damaged elsewhere", slices.Concat(query[:len(query)-1], []byte{99}), 5300, session.No},
		{"HTTP", []byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), 53, session.No},
		{"TLS", []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00\x00\x00\x00\x00"), 5300, session.No},
		{"SSH", []byte("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"), 5300, session.No},
		{"length of nothing", []byte{0, 0, 0, 0}, 53, session.No},
	}
	for _, tt := range tests {
		s := &session.Sample{Data: tt.data, SrcPort: 40000, DstPort: tt.port, Transport: session.TCP}
		if got := New().Probe(s); got != tt.want {
			t.Errorf("%s: verdict %d, want %d", tt.name, got, tt.want)
		}
	}
}

// TestStreamDetection runs the streams of all captures past the probe: on other
// ports than 53 nothing is taken for DNS that the oracle cannot read.
func TestStreamDetection(t *testing.T) {
	_, files := corpusFiles(t)
	f, matched := New(), 0
	for _, file := range files {
		for _, s := range sessiontest.TCP(t, file) {
			known := s.SrcPort == 53 || s.DstPort == 53
			var seen [2][]byte
			for _, seg := range s.Segments {
				seen[seg.Side] = append(seen[seg.Side], seg.Data...)
				if len(seg.Data) == 0 || len(seen[seg.Side]) > 4096 {
					continue
				}
				v := f.Probe(&session.Sample{
					Data: seen[seg.Side], Side: seg.Side, Other: seen[seg.Side.Opposite()],
					SrcPort: s.SrcPort, DstPort: s.DstPort, Transport: session.TCP, Midstream: s.Midstream,
				})
				if v == session.Match {
					matched++
				}
				if v == session.Match && !known && new(mdns.Msg).Unpack(seen[0][2:]) != nil {
					t.Errorf("%s %s: taken for DNS", file, s.Name)
				}
				if v != session.More {
					break
				}
			}
		}
	}
	if matched < 20 {
		t.Errorf("only %d streams matched", matched)
	}
}

// FuzzStream feeds anything, whole and in two pieces.
func FuzzStream(f *testing.F) {
	for _, s := range streamConversations(f) {
		f.Add(s.Segments[0].Data, s.Segments[1].Data, uint16(9))
	}
	_, files := corpusFiles(f)
	for _, file := range files {
		n := 0
		for _, s := range sessiontest.TCP(f, file) {
			if (s.SrcPort == 53 || s.DstPort == 53) && len(s.Segments) > 1 && n < 4 {
				f.Add(s.Segments[0].Data, s.Segments[1].Data, uint16(3))
				n++
			}
		}
	}
	protocol := New().Protocol()
	f.Fuzz(func(t *testing.T, a, b []byte, cut uint16) {
		if len(a)+len(b) > 65535 {
			return
		}
		at := min(int(cut), len(a))
		r := session.Responder
		var runs [2]*sessiontest.StreamRun
		for i, segments := range [][]sessiontest.Segment{
			{{Data: a}, {Side: r, Data: b}, {Side: r, Gap: 3, Data: b}, {Fin: true}},
			{{Data: a[:at]}, {Data: a[at:]}, {Side: r, Data: b}, {Side: r, Gap: 3, Data: b}, {Fin: true}},
		} {
			runs[i] = sessiontest.NewStreamRun(New())
			_ = runs[i].Play(sessiontest.Stream{Segments: segments})
			runs[i].Close(session.Shutdown)
			for _, e := range runs[i].Emissions {
				if err := sessiontest.CheckMessage(protocol, e.Kind, e.Body); err != nil {
					t.Fatal(err)
				}
			}
		}
		if len(runs[0].Emissions) != len(runs[1].Emissions) {
			t.Fatalf("%d messages, cut at %d %d", len(runs[0].Emissions), at, len(runs[1].Emissions))
		}
	})
}

// BenchmarkStream is BenchmarkTransaction over TCP: per message.
func BenchmarkStream(b *testing.B) {
	d := &sessiontest.Discard{}
	out := session.NewOutput(d)
	p := New().NewSessionParser()
	payloads := [2][]byte{framed(benchQuery(b)), framed(benchResponse(b))}
	b.ReportAllocs()
	for i := range b.N {
		side := session.Side(i % 2)
		out.Begin(session.Timestamp(i+1)*1000, side, false)
		if side == session.Initiator {
			_, _ = p.FeedInitiator(payloads[side], out)
		} else {
			_, _ = p.FeedResponder(payloads[side], out)
		}
	}
	if d.Messages < b.N {
		b.Fatalf("%d messages of %d", d.Messages, b.N)
	}
}
