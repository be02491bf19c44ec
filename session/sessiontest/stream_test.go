package sessiontest

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"flowscope/flow"
	"flowscope/session"

	"github.com/google/go-cmp/cmp"
)

// lines is a protocol of lines; the fault is what one of its parsers does wrong.
type lines struct {
	protocol session.Protocol
	fault    string
}

func newLines(fault string) *lines {
	return &lines{session.Protocol{
		Name: "lines", Transports: []flow.Transport{flow.TCP}, Messages: []session.Message{new(said)},
		Resyncs: true, Buffer: 100,
	}, fault}
}

func (f *lines) Protocol() *session.Protocol { return &f.protocol }

// Probe knows that lines begin with HELLO.
func (f *lines) Probe(s *session.Sample) session.Verdict {
	const start = "HELLO"
	switch {
	case f.fault == "probe" && len(s.Data) < len(start):
		return session.No
	case bytes.HasPrefix(s.Data, []byte(start)):
		return session.Match
	case strings.HasPrefix(start, string(s.Data)):
		return session.More
	default:
		return session.No
	}
}

func (f *lines) NewSessionParser() session.SessionParser { return &linesParser{fault: f.fault} }

type linesParser struct {
	fault    string
	message  said
	skipping [2]bool // to the end of a line whose beginning is missing
	started  [2]session.Timestamp
	kept     []byte
	count    int
}

func (p *linesParser) FeedInitiator(data []byte, out *session.Output) (int, error) {
	return p.feed(flow.Initiator, data, out)
}

func (p *linesParser) FeedResponder(data []byte, out *session.Output) (int, error) {
	return p.feed(flow.Responder, data, out)
}

func (p *linesParser) feed(side flow.Side, data []byte, out *session.Output) (int, error) {
	if p.started[side] == 0 {
		p.started[side] = out.Now()
	}
	used := 0
	for {
		n := bytes.IndexByte(data[used:], '\n')
		if n < 0 {
			if p.fault == "tail" && len(data) > used {
				p.emit(side, data[used:], out)
			}
			return used, nil
		}
		line := data[used : used+n]
		used += n + 1
		if p.fault == "keeps" && len(p.kept) > 0 {
			p.emit(side, p.kept, out)
		}
		if p.fault == "keeps" {
			p.kept = line
		}
		if !p.skipping[side] {
			p.emit(side, line, out)
		}
		p.skipping[side] = false
		p.started[side] = out.Now()
		if p.fault == "one" {
			return used, nil
		}
		if used == len(data) {
			p.started[side] = 0
		}
	}
}

func (p *linesParser) emit(side flow.Side, text []byte, out *session.Output) {
	p.count++
	p.message = said{Text: text}
	if p.fault == "reset" {
		p.message.N = p.count
	}
	if p.fault == "undescribed" {
		p.message.Text = append(bytes.Clone(text), make([]byte, 256)...)
	}
	out.EmitWith(session.Emission{Message: &p.message, Side: side, Start: p.started[side]})
}

func (p *linesParser) Gap(side flow.Side, _ int, out *session.Output) session.GapAction {
	if p.fault == "gap" {
		p.emit(side, bytes.Repeat([]byte("x"), 3<<20), out)
	}
	p.skipping[side], p.started[side] = true, 0
	return session.Continue
}

func (p *linesParser) Fin(side flow.Side, rest []byte, out *session.Output) error {
	if len(rest) > 0 && !p.skipping[side] {
		p.emit(side, rest, out)
	}
	if p.fault == "panic" && len(rest) == 3 {
		panic("three left")
	}
	return nil
}

func (p *linesParser) Reset() {
	*p = linesParser{fault: p.fault, count: p.count}
	if p.fault != "reset" {
		p.count = 0
	}
}

// talk has whole lines, lines in pieces, and a last one without its end.
var talk = []Stream{
	Text("talk", "HELLO\nhow are you\n", "fine\n", "go", "good", " on\nand on", "\nbye"),
	{Name: "ends", Segments: []Segment{
		{Time: base, Data: []byte("HELLO\nabc")},
		{Time: base.Add(time.Second), Fin: true},
		{Side: flow.Responder, Data: []byte("x\n"), Fin: true},
	}},
	{Name: "a gap", Segments: []Segment{
		{Data: []byte("HELLO\nabc")}, {Gap: 3, Data: []byte("def\nghi\n")}, {Gap: -1, Data: []byte("jk\nl\n"), Rst: true},
	}},
}

func TestStreamContractHolds(t *testing.T) { TestSessionParser(t, newLines(""), 0, talk...) }

// TestFaultyParser is run by TestStreamContractFails, in a process of its own.
func TestFaultyParser(t *testing.T) {
	fault := os.Getenv("SESSIONTEST_FAULT")
	if fault == "" {
		t.Skip("no fault is asked for")
	}
	TestSessionParser(t, newLines(fault), 0, talk[:2]...)
}

// TestStreamContractFails wants each fault to be found.
func TestStreamContractFails(t *testing.T) {
	tests := map[string]string{
		"tail":        "emits differently",
		"keeps":       "emits differently",
		"one":         "emits differently",
		"reset":       "after Reset",
		"undescribed": "decode",
		"gap":         "more than",
		"panic":       "three left",
		"probe":       "the probe refuses",
	}
	for fault, want := range tests {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFaultyParser$")
			cmd.Env = append(os.Environ(), "SESSIONTEST_FAULT="+fault)
			out, err := cmd.CombinedOutput()
			var failed *exec.ExitError
			if !errors.As(err, &failed) || !strings.Contains(string(out), want) {
				t.Errorf("%v, without %q:\n%s", err, want, out)
			}
		})
	}
}

// TestStreamRun wants what the driver does: a tail that is presented again, a
// limit to it, nothing after the end.
func TestStreamRun(t *testing.T) {
	r := NewStreamRun(newLines(""))
	if err := r.Play(Text("", "HEL", "a\n", "LO\nx", "b")); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range r.Emissions {
		got = append(got, e.Side.String()+" "+string(e.Body[8:]))
	}
	if diff := cmp.Diff([]string{"responder a", "initiator HELLO"}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if e := r.Emissions[1]; e.Start != base.Add(time.Millisecond) || e.Time != base.Add(3*time.Millisecond) {
		t.Errorf("HELLO is of %d to %d", e.Start-base, e.Time-base)
	}
	if err := r.Feed(Segment{Data: make([]byte, 100)}); err != ErrOverflow {
		t.Errorf("101 bytes unread: %v", err)
	}
	calls := r.Calls
	if err := r.Feed(Segment{Data: []byte("\n")}); err != ErrOverflow || r.Calls != calls {
		t.Errorf("fed after its end: %v", err)
	}
}

// TestTCP wants the bytes that tshark follows a connection to.
func TestTCP(t *testing.T) {
	file := filepath.Join(Corpus(t, "../../../shared/captures"), "load",
		"seladb+PcapPlusPlus_Tests_Pcap++Test_PcapExamples_four_ipv6_http_streams.pcap")
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skipf("tshark: %v", err)
	}
	streams := TCP(t, file)
	if len(streams) != 4 {
		t.Fatalf("%d connections, want 4", len(streams))
	}
	for i, s := range streams {
		out, err := exec.CommandContext(t.Context(), "tshark", "-r", file, "-q", "-z", fmt.Sprintf("follow,tcp,raw,%d", i)).Output()
		if err != nil {
			t.Fatalf("tshark: %v", err)
		}
		var want, got [2]string
		for line := range strings.Lines(string(out)) {
			side := flow.Initiator
			if strings.HasPrefix(line, "\t") {
				side = flow.Responder
			}
			if raw, err := hex.DecodeString(strings.TrimSpace(line)); err == nil {
				want[side] += string(raw)
			}
		}
		for _, segment := range s.Segments {
			got[segment.Side] += string(segment.Data)
			if segment.Gap != 0 {
				t.Errorf("%s: gap of %d", s.Name, segment.Gap)
			}
		}
		if want != got {
			t.Errorf("%s: %d and %d bytes, tshark has %d and %d", s.Name, len(got[0]), len(got[1]), len(want[0]), len(want[1]))
		}
		if s.DstPort != 80 || s.Midstream {
			t.Errorf("%s: port %d, midstream %v", s.Name, s.DstPort, s.Midstream)
		}
	}
}
