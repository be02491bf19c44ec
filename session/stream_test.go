package session_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"flowscope/flow"
	"flowscope/ingest"
	"flowscope/session"

	"github.com/google/go-cmp/cmp"
)

// text is a stream protocol whose flows begin with a word, and whose messages are
// lines.
type text struct {
	protocol session.Protocol
	start    string
	made     *int
}

func newText(name, start string, ports ...uint16) *text {
	return &text{protocol: session.Protocol{
		Name: name, Transports: []flow.Transport{flow.TCP}, Ports: ports, Buffer: 1000,
		Messages: []session.Message{&word{}}, Anomalies: []*session.AnomalyType{loud},
	}, start: start, made: new(int)}
}

func (f *text) with(change func(*session.Protocol)) *text {
	change(&f.protocol)
	return f
}

func (f *text) Protocol() *session.Protocol { return &f.protocol }

func (f *text) Probe(s *session.Sample) session.Verdict {
	switch {
	case s.Midstream && bytes.Contains(s.Data, []byte(f.start)):
		return session.Match
	case bytes.HasPrefix(s.Data, []byte(f.start)):
		return session.Match
	case strings.HasPrefix(f.start, string(s.Data)):
		return session.More
	case string(s.Data) == "probe panic":
		panic("as asked")
	default:
		return session.No
	}
}

func (f *text) NewSessionParser() session.SessionParser {
	*f.made++
	return &textParser{}
}

// textParser does what its lines say.
type textParser struct{ lines int }

func (p *textParser) FeedInitiator(data []byte, out *session.Output) (int, error) {
	return p.feed(data, out)
}

func (p *textParser) FeedResponder(data []byte, out *session.Output) (int, error) {
	return p.feed(data, out)
}

func (p *textParser) feed(data []byte, out *session.Output) (int, error) {
	used := 0
	for {
		n := bytes.IndexByte(data[used:], '\n')
		if n < 0 {
			return used, nil
		}
		line := string(data[used : used+n])
		used += n + 1
		p.lines++
		switch {
		case strings.HasSuffix(line, "panic"):
			panic("as asked")
		case strings.HasSuffix(line, "error"):
			return used, errors.New("as asked")
		case strings.HasSuffix(line, "done"):
			return used, session.ErrDone
		case strings.HasSuffix(line, "flood"):
			for {
				out.Emit(&word{"again"})
			}
		case strings.HasSuffix(line, "too much"):
			return used + 1000, nil
		case strings.HasSuffix(line, "wake"):
			out.WakeAt(out.Now().Add(3 * time.Second))
		case strings.HasSuffix(line, "LOUD"):
			out.Anomaly(loud, line)
		default:
			out.Emit(&word{line})
		}
	}
}

func (p *textParser) Gap(side flow.Side, n int, out *session.Output) session.GapAction {
	out.Emit(&word{fmt.Sprintf("gap %d", n)})
	if n == 99 {
		return session.Stop
	}
	return session.Continue
}

func (p *textParser) Fin(_ flow.Side, rest []byte, out *session.Output) error {
	out.Emit(&word{"fin " + string(rest)})
	return nil
}

func (p *textParser) Rst(_ flow.Side, out *session.Output) { out.Emit(&word{"rst"}) }

func (p *textParser) Wake(out *session.Output) error {
	out.Emit(&word{"woken"})
	return nil
}

func (p *textParser) Close(reason flow.Reason, out *session.Output) {
	out.Emit(&word{fmt.Sprintf("close %v after %d", reason, p.lines)})
}

func (p *textParser) Reset() { *p = textParser{} }

// plain is text without any optional ability.
type plain struct{ *text }

func (f plain) NewSessionParser() session.SessionParser { return &plainParser{} }

type plainParser struct{ p textParser }

func (p *plainParser) FeedInitiator(data []byte, out *session.Output) (int, error) {
	return p.p.feed(data, out)
}

func (p *plainParser) FeedResponder(data []byte, out *session.Output) (int, error) {
	return p.p.feed(data, out)
}

// streamRig gives a driver events of one TCP flow, as a table would.
type streamRig struct {
	t      testing.TB
	log    log
	driver *session.Driver
	table  *flow.Table
	opened flow.Event
	given  uint64
}

// HandleEvent lets pass what the table makes without payload.
func (r *streamRig) HandleEvent(e *flow.Event) {
	if e.Kind == flow.Opened {
		r.opened = *e
	}
	r.driver.HandleEvent(e)
}
func (r *streamRig) Tick(now ingest.Timestamp) { r.driver.Tick(now) }
func (r *streamRig) Close()                    { r.driver.Close() }

const (
	syn = 2
	ack = 16
)

// newStreamRig opens a flow from port 1000 to port 7 by a segment with these flags.
func newStreamRig(t testing.TB, cfg session.Config, flags byte, factories ...session.Factory) *streamRig {
	t.Helper()
	return newStreamRigOf(t, cfg, flags, registryOf(t, factories...))
}

func newStreamRigOf(t testing.TB, cfg session.Config, flags byte, registry *session.Registry) *streamRig {
	t.Helper()
	r, err := &streamRig{t: t}, error(nil)
	r.driver, err = session.NewDriver(cfg, registry, session.Identity{Sensor: "s", Run: "r"}, &r.log)
	if err != nil {
		t.Fatal(err)
	}
	r.table, err = flow.NewTable(flow.DefaultConfig(), "s", r)
	if err != nil {
		t.Fatal(err)
	}
	r.segment(0, flags)
	return r
}

// segment hands the table a segment without data, so that it knows the time.
func (r *streamRig) segment(at time.Duration, flags byte) {
	b := make([]byte, 40)
	b[0], b[8], b[9] = 0x45, 64, 6
	binary.BigEndian.PutUint16(b[2:], 40)
	copy(b[12:], []byte{10, 0, 0, 1, 10, 0, 0, 2})
	binary.BigEndian.PutUint16(b[20:], 1000)
	binary.BigEndian.PutUint16(b[22:], 7)
	if flags&(syn|ack) == syn|ack { // from the responder
		copy(b[12:], []byte{10, 0, 0, 2, 10, 0, 0, 1})
		binary.BigEndian.PutUint16(b[20:], 7)
		binary.BigEndian.PutUint16(b[22:], 1000)
	}
	b[32], b[33] = 5<<4, flags
	t := start.Add(at)
	r.table.HandlePackets([]ingest.Packet{{Data: b, Length: 40, Time: t, Clock: t, Interface: raw}})
}

// event gives the driver an event of the flow.
func (r *streamRig) event(at time.Duration, kind flow.EventKind, side flow.Side, change func(*flow.Event)) {
	r.segment(at, ack)
	e := r.opened
	e.Kind, e.Side, e.Time = kind, side, start.Add(at)
	if change != nil {
		change(&e)
	}
	r.driver.HandleEvent(&e)
}

func (r *streamRig) data(at time.Duration, side flow.Side, text string) {
	b := []byte(text)
	r.given += uint64(len(b))
	r.event(at, flow.Data, side, func(e *flow.Event) { e.Data, e.Length = b, len(b) })
	for i := range b {
		b[i] = 'X'
	}
}

func (r *streamRig) gap(at time.Duration, side flow.Side, n int) {
	r.event(at, flow.Gap, side, func(e *flow.Event) { e.Length = n })
}

// end closes the input and checks that every payload byte is accounted for.
func (r *streamRig) end() []string {
	r.table.Close(nil)
	s := r.driver.Stats()
	if got := s.PayloadDelivered + s.PayloadNoParser + s.PayloadBuffered; got != r.given {
		r.t.Errorf("payload: %d handed up, %d accounted for (%+v)", r.given, got, s)
	}
	if s.PayloadBuffered != 0 || s.BufferBytes != 0 {
		r.t.Errorf("%d bytes still held at the end, %d of buffers", s.PayloadBuffered, s.BufferBytes)
	}
	return r.log.lines
}

const (
	fromI = flow.Initiator
	fromR = flow.Responder
	sec   = time.Second
)

func TestStreams(t *testing.T) {
	tests := map[string]struct {
		send func(r *streamRig)
		want []string
	}{
		"lines of both sides": {
			func(r *streamRig) {
				r.data(0, fromI, "text 1\nte")
				r.data(sec, fromR, "reply\n")
				r.data(2*sec, fromI, "xt 2\n")
			},
			[]string{
				"text.started 0 0s", "text.word 1 0s initiator text 1", "text.word 2 1s responder reply", "text.word 3 2s initiator text 2",
				"text.word 4 2s initiator close end_of_input after 3", "text.closed 5 2s end_of_input", "end",
			},
		},
		"another protocol": {
			func(r *streamRig) { r.data(0, fromI, "something else") },
			[]string{"flow.started 0 0s", "flow.closed 1 0s end_of_input", "end"},
		},
		"nothing": {func(*streamRig) {}, []string{"flow.started 0 0s", "flow.closed 1 0s end_of_input", "end"}},
		"one byte at a time": {
			func(r *streamRig) {
				for i, c := range "text 1\n" {
					r.data(time.Duration(i), fromI, string(c))
				}
			},
			[]string{
				"text.started 0 0s", "text.word 1 6ns initiator text 1",
				"text.word 2 6ns initiator close end_of_input after 1", "text.closed 3 6ns end_of_input", "end",
			},
		},
		"held with its times, the end of a side too": {
			func(r *streamRig) {
				r.data(0, fromI, "t")
				r.data(sec, fromR, "reply\n")
				r.event(2*sec, flow.Finished, fromR, nil)
				r.data(3*sec, fromI, "ext\n")
			},
			[]string{
				"text.started 0 0s", "text.word 1 1s responder reply", "text.word 2 2s responder fin ", "text.word 3 3s initiator text",
				"text.word 4 3s initiator close end_of_input after 2", "text.closed 5 3s end_of_input", "end",
			},
		},
		"held too long in time": {
			func(r *streamRig) {
				r.data(sec, fromI, "t")
				r.data(7*sec, fromI, "ext\n")
			},
			[]string{"flow.started 0 0s", "flow.closed 1 7s end_of_input", "end"},
		},
		"a gap seals what the probes see": {
			func(r *streamRig) {
				r.data(0, fromI, "te")
				r.gap(1, fromI, 3)
				r.data(2, fromI, "xt\n")
				r.data(6*sec, fromI, "text\n")
			},
			[]string{"flow.started 0 0s", "flow.closed 1 6s end_of_input", "end"},
		},
		"a gap drops what was not consumed": {
			func(r *streamRig) {
				r.data(0, fromI, "text\nhalf")
				r.gap(1, fromI, 3)
				r.data(2, fromI, "other\n")
			},
			[]string{
				"text.started 0 0s", "text.word 1 0s initiator text", "text.word 2 1ns initiator gap 3", "text.word 3 2ns initiator other",
				"text.word 4 2ns initiator close end_of_input after 2", "text.closed 5 2ns end_of_input", "end",
			},
		},
		"a gap that stops": {
			func(r *streamRig) {
				r.data(0, fromI, "text\nhalf")
				r.gap(1, fromI, 99)
				r.data(2, fromI, "other\n")
			},
			[]string{
				"text.started 0 0s", "text.word 1 0s initiator text", "text.word 2 1ns initiator gap 99",
				"text.parser_closed 3 1ns gap", "text.closed 4 2ns end_of_input", "end",
			},
		},
		"ends": {
			func(r *streamRig) {
				r.data(0, fromI, "text\nhalf")
				r.event(1, flow.Finished, fromI, nil)
				r.data(2, fromR, "reply\n")
				r.event(3, flow.Aborted, fromR, nil)
			},
			[]string{
				"text.started 0 0s", "text.word 1 0s initiator text", "text.word 2 1ns initiator fin half", "text.word 3 2ns responder reply",
				"text.word 4 3ns responder rst", "text.word 5 3ns initiator close end_of_input after 2", "text.closed 6 3ns end_of_input", "end",
			},
		},
		"reset while it is not clear": {
			func(r *streamRig) {
				r.data(0, fromI, "te")
				r.event(1, flow.Aborted, fromR, nil)
			},
			[]string{"flow.started 0 0s", "flow.closed 1 1ns end_of_input", "end"},
		},
		"panic ends the parser, not the flow": {
			func(r *streamRig) { r.data(0, fromI, "text\ntext panic\n"); r.data(1, fromI, "more\n") },
			[]string{"text.started 0 0s", "text.word 1 0s initiator text", "text.parser_closed 2 0s panic as asked", "text.closed 3 1ns end_of_input", "end"},
		},
		"error on the very first bytes": {
			func(r *streamRig) { r.data(0, fromI, "text error\n"); r.data(1, fromI, "more\n") },
			[]string{"text.started 0 0s", "text.parser_closed 1 0s parse_error as asked", "text.closed 2 1ns end_of_input", "end"},
		},
		"done": {
			func(r *streamRig) { r.data(0, fromI, "text done\nrest"); r.data(1, fromR, "more\n") },
			[]string{"text.started 0 0s", "text.parser_closed 1 0s done", "text.closed 2 1ns end_of_input", "end"},
		},
		"more consumed than there was": {
			func(r *streamRig) { r.data(0, fromI, "text too much\n") },
			[]string{"text.started 0 0s", "text.parser_closed 1 0s panic parser says that it has consumed 1014 of 14 bytes", "text.closed 2 0s end_of_input", "end"},
		},
		"held back for ever": {
			func(r *streamRig) {
				r.data(0, fromI, "text\n")
				for i := range 11 {
					r.data(time.Duration(i), fromI, strings.Repeat("x", 100))
				}
				r.data(sec, fromI, "\n")
			},
			[]string{
				"text.started 0 0s", "text.word 1 0s initiator text",
				"text.parser_closed 2 10ns buffer_overflow more bytes unread than the protocol's buffer holds", "text.closed 3 1s end_of_input", "end",
			},
		},
		"wake-up": {
			func(r *streamRig) { r.data(0, fromI, "text wake\n"); r.data(10*sec, fromI, "text\n") },
			[]string{
				"text.started 0 0s", "text.word 1 3s initiator woken", "text.word 2 10s initiator text",
				"text.word 3 10s initiator close end_of_input after 2", "text.closed 4 10s end_of_input", "end",
			},
		},
		"what the flow stage notices comes after started": {
			func(r *streamRig) {
				odd := &flow.AnomalyType{Name: "odd", Severity: flow.SeverityInfo}
				notice := func(at time.Duration) {
					r.event(at, flow.Anomalous, fromR, func(e *flow.Event) { e.Anomaly, e.Detail = odd, "bits" })
				}
				notice(0)
				notice(1)
				r.data(2, fromI, "text LOUD\n")
				notice(3)
				notice(2 * sec)
				r.event(2*sec, flow.Ticked, 0, nil)
				r.event(3*sec, flow.Ticked, 0, nil)
			},
			[]string{
				"text.started 0 0s", "text.anomaly 1 1ns odd bits x2", "text.anomaly 2 2ns loud text LOUD x1", "text.anomaly 3 2s odd bits x2",
				"text.tick 0 2s", "text.tick 1 3s",
				"text.word 4 3s initiator close end_of_input after 1", "text.closed 5 3s end_of_input", "end",
			},
		},
		"a probe that panics": {
			func(r *streamRig) { r.data(0, fromI, "probe panic") },
			[]string{"flow.started 0 0s", "flow.closed 1 0s end_of_input", "end"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := newStreamRig(t, session.DefaultConfig(), syn, newText("text", "text", 7))
			test.send(r)
			if diff := cmp.Diff(test.want, r.end()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestPlainStream is about a parser without abilities: a gap ends its side.
func TestPlainStream(t *testing.T) {
	r := newStreamRig(t, session.DefaultConfig(), syn, plain{newText("text", "text")})
	r.data(0, fromI, "text\nha")
	r.gap(1, fromI, 3)
	r.data(2, fromI, "unread\n")
	r.data(3, fromR, "reply\n")
	r.event(4, flow.Finished, fromR, nil)
	r.gap(5, fromI, 3)
	want := []string{
		"text.started 0 0s", "text.word 1 0s initiator text", "text.word 2 3ns responder reply", "text.closed 3 5ns end_of_input", "end",
	}
	if diff := cmp.Diff(want, r.end()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	r = newStreamRig(t, session.DefaultConfig(), syn, plain{newText("text", "text")})
	r.data(0, fromI, "text\n")
	r.gap(1, fromI, 3)
	r.gap(2, fromR, 3)
	want = []string{"text.started 0 0s", "text.word 1 0s initiator text", "text.parser_closed 2 2ns gap", "text.closed 3 2ns end_of_input", "end"}
	if diff := cmp.Diff(want, r.end()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestDetection is about which of several protocols a flow is of.
func TestDetection(t *testing.T) {
	decides := func(p *session.Protocol) { p.PortDecides = true }
	resyncs := func(p *session.Protocol) { p.Resyncs = true }
	type list []session.Factory
	tests := map[string]struct {
		flags     byte
		factories list
		data      []string
		want      string
	}{
		"content goes before ports":   {syn, list{newText("a", "aaa", 7), newText("b", "bbb", 8)}, []string{"bbb"}, "b"},
		"of two that match the first": {syn, list{newText("a", "aa"), newText("b", "aa")}, []string{"aa"}, "a"},
		"or the one on its port":      {syn, list{newText("a", "aa"), newText("b", "aa", 7)}, []string{"aa"}, "b"},
		"half a match is waited for":  {syn, list{newText("a", "aabb"), newText("b", "aa")}, []string{"aa", "bb"}, "a"},
		"and so it is at once":        {syn, list{newText("a", "aabb"), newText("b", "aa")}, []string{"aabb"}, "a"},
		"half a match that breaks":    {syn, list{newText("a", "aabb"), newText("b", "aa")}, []string{"aa", "cc"}, "b"},
		"half a match to the end":     {syn, list{newText("a", "aabb"), newText("b", "aa")}, []string{"aa"}, "b"},
		"half a match later in line":  {syn, list{newText("a", "aa"), newText("b", "aabb")}, []string{"a", "a", "bb"}, "a"},
		"a port alone":                {syn, list{newText("a", "aabb", 7)}, []string{"aa"}, "flow"},
		"a port that decides":         {syn, list{newText("a", "aabb", 7).with(decides)}, []string{"aa"}, "a"},
		"but not against the content": {syn, list{newText("a", "aabb", 7).with(decides)}, []string{"bb"}, "flow"},
		"nor before a match":          {syn, list{newText("a", "aabb", 7).with(decides), newText("b", "aa")}, []string{"aa", "x"}, "b"},
		"the middle of a stream":      {ack, list{newText("a", "aa")}, []string{"aa"}, "flow"},
		"one that resynchronises":     {ack, list{newText("a", "aa"), newText("b", "aa").with(resyncs)}, []string{"xaa"}, "b"},
		"a SYN+ACK is no middle":      {syn | ack, list{newText("a", "aa")}, []string{"aa"}, "a"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := newStreamRig(t, session.DefaultConfig(), test.flags, test.factories...)
			for i, d := range test.data {
				r.data(time.Duration(i), fromI, d)
			}
			if got := r.end()[0]; got != test.want+".started 0 0s" {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

// TestResync wants a parser that begins in the middle to be told so, for each side.
func TestResync(t *testing.T) {
	r := newStreamRig(t, session.DefaultConfig(), ack, newText("text", "text").with(func(p *session.Protocol) { p.Resyncs = true }))
	r.data(0, fromI, "...\ntext\n")
	r.data(1, fromR, "reply\n")
	r.data(2, fromR, "reply\n")
	want := []string{
		"text.started 0 0s", "text.word 1 0s initiator gap 0", "text.word 2 0s initiator ...", "text.word 3 0s initiator text",
		"text.word 4 1ns responder gap 0", "text.word 5 1ns responder reply", "text.word 6 2ns responder reply",
	}
	if diff := cmp.Diff(want, r.end()[:7]); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestParallel has two parsers on one flow.
func TestParallel(t *testing.T) {
	cfg := session.DefaultConfig()
	cfg.Parallel = true
	r := newStreamRig(t, cfg, syn, newText("a", "text"), newText("b", "text wake"), newText("c", "text done"), newText("d", "text d"))
	r.data(0, fromI, "text wa")
	r.data(1, fromI, "ke\ndone\n")
	r.data(10*sec, fromI, "more\n")
	want := []string{
		"a.started 0 0s", "a.parser_closed 1 1ns done", "b.parser_closed 2 1ns done", "a.closed 3 10s end_of_input", "end",
	}
	if diff := cmp.Diff(want, r.end()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]string{"a", "b"}, r.log.protocols); diff != "" {
		t.Errorf("protocols: -want +got:\n%s", diff)
	}
	r = newStreamRig(t, cfg, syn, newText("a", "text"), newText("b", "text wake"))
	r.data(0, fromI, "text wake\n")
	r.data(10*sec, fromI, "LOUD\n")
	want = []string{
		"a.started 0 0s", "a.word 1 3s initiator woken", "b.word 2 3s initiator woken",
		"a.anomaly 3 10s loud LOUD x1", "b.anomaly 4 10s loud LOUD x1",
		"a.word 5 10s initiator close end_of_input after 2", "b.word 6 10s initiator close end_of_input after 2",
		"a.closed 7 10s end_of_input", "end",
	}
	if diff := cmp.Diff(want, r.end()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestBufferTotal is about memory: parsers that hold back share a limit.
func TestBufferTotal(t *testing.T) {
	cfg := session.DefaultConfig()
	cfg.BufferTotal = 1 << 20
	r := newStreamRig(t, cfg, syn, newText("text", "text").with(func(p *session.Protocol) { p.Buffer = 1 << 30 }))
	r.data(0, fromI, "text\n")
	piece := strings.Repeat("x", 64<<10)
	for range 20 {
		r.data(1, fromI, piece)
		if used := r.driver.Stats().BufferBytes; used > 2<<20 {
			t.Fatalf("%d bytes of buffers", used)
		}
	}
	want := "text.parser_closed 2 1ns buffer_overflow all parsers together leave more unread than session.buffer_total"
	if got := r.end(); got[2] != want {
		t.Errorf("got %s", got)
	}
}

func TestSensorAnomaly(t *testing.T) {
	r := newStreamRig(t, session.DefaultConfig(), syn, newText("text", "text"))
	odd := &flow.AnomalyType{Name: "odd", Severity: flow.SeverityInfo}
	for _, at := range []time.Duration{0, 1, sec} {
		r.driver.HandleEvent(&flow.Event{Kind: flow.Anomalous, Time: start.Add(at), Anomaly: odd, Detail: "bits"})
	}
	want := []string{"sensor.anomaly 0 0s odd bits x1", "sensor.anomaly 0 1s odd bits x2"}
	if diff := cmp.Diff(want, r.end()[:2]); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestProtocolCounters(t *testing.T) {
	r := newStreamRig(t, session.DefaultConfig(), syn, newText("other", "other"), newText("text", "text"))
	r.data(0, fromI, "text\na\n")
	r.gap(1, fromI, 5)
	r.data(2, fromI, "error\n")
	r.end()
	want := []session.ProtocolCounters{{Name: "other"}, {Name: "text", Flows: 1, Messages: 3, Errors: 1, Gaps: 1, Bytes: 13}}
	got := r.driver.Stats()
	if diff := cmp.Diff(want, got.Protocols); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	var sum session.Counters
	sum.Add(&got)
	sum.Add(&got)
	if sum.Protocols[1].Bytes != 26 || sum.ParserErrors != 2 {
		t.Errorf("two drivers: %+v", sum)
	}
}
