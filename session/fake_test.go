package session_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"flowscope/flow"
	"flowscope/ingest"
	"flowscope/session"
	"flowscope/session/pack"
)

// word is the message of the toy protocol: the text of a datagram.
type word struct{ Text string }

func (w *word) Kind() string { return "word" }
func (w *word) AppendMsgpack(b []byte) []byte {
	m := pack.BeginMap(b)
	m.String("text", w.Text)
	return m.End()
}

var loud = &session.AnomalyType{Name: "loud", Severity: session.Warning, Meaning: "upper case"}

// toy is a protocol whose datagrams begin with "toy"; "to" is not enough to tell.
type toy struct {
	protocol session.Protocol
	made     *int
}

func newToy(name string, ports ...uint16) *toy {
	return &toy{protocol: session.Protocol{
		Name: name, Transports: []flow.Transport{flow.UDP}, Ports: ports,
		Messages: []session.Message{&word{}}, Anomalies: []*session.AnomalyType{loud},
	}, made: new(int)}
}

func (f *toy) Protocol() *session.Protocol { return &f.protocol }

func (f *toy) Probe(s *session.Sample) session.Verdict {
	switch {
	case strings.HasPrefix(string(s.Data), "toy"):
		return session.Match
	case strings.HasPrefix("toy", string(s.Data)):
		return session.More
	default:
		return session.No
	}
}

func (f *toy) NewDatagramParser() session.DatagramParser {
	*f.made++
	return &toyParser{}
}

type toyParser struct {
	seen     int
	restless bool // asks for the next wake-up at once
}

func (p *toyParser) Parse(payload []byte, _ flow.Side, out *session.Output) error {
	p.seen++
	switch text := string(payload); {
	case strings.HasSuffix(text, "panic"):
		panic("as asked")
	case strings.HasSuffix(text, "error"):
		return errors.New("as asked")
	case strings.HasSuffix(text, "done"):
		return session.ErrDone
	case strings.HasSuffix(text, "flood"):
		for {
			out.Emit(&word{"again"})
		}
	case strings.HasSuffix(text, "wake"):
		out.WakeAt(out.Now().Add(3 * time.Second))
	case strings.HasSuffix(text, "restless"):
		p.restless = true
		out.WakeAt(out.Now())
	case strings.HasSuffix(text, "LOUD"):
		out.Anomaly(loud, text)
	default:
		out.Emit(&word{text})
	}
	return nil
}

func (p *toyParser) Wake(out *session.Output) error {
	if p.restless {
		p.seen++
		out.WakeAt(out.Now())
		return nil
	}
	out.EmitWith(session.Emission{Message: &word{"woken"}, Side: flow.Responder})
	return nil
}

func (p *toyParser) Close(reason flow.Reason, out *session.Output) {
	out.Emit(&word{fmt.Sprintf("close %v after %d", reason, p.seen)})
}

func (p *toyParser) Reset() { *p = toyParser{} }

// log is a sink that writes one line per event.
type log struct {
	lines     []string
	ids       map[string]bool
	protocols []string // of the last flow that closed
	slow      time.Duration
}

func (l *log) HandleEvent(e *session.SessionEvent) {
	time.Sleep(l.slow)
	line := fmt.Sprintf("%s.%s %d %v", e.Protocol, e.Kind, e.Seq, e.Time.Sub(start))
	if e.Message != nil {
		line += fmt.Sprintf(" %v %s", e.Side, strings.TrimLeft(string(e.Message.AppendMsgpack(nil)[9:]), ""))
	}
	if e.Reason != "" {
		line += " " + e.Reason
	}
	if e.Detail != "" {
		line += " " + e.Detail
	}
	if e.Count > 0 {
		line += fmt.Sprintf(" x%d", e.Count)
	}
	if l.ids == nil {
		l.ids = map[string]bool{}
	}
	if e.Type == session.Closed {
		l.protocols = slices.Clone(e.Protocols)
	}
	if id := e.ID(); e.Type != session.Sensor && l.ids[id] {
		line += " DUPLICATE ID " + id
	} else {
		l.ids[id] = true
	}
	l.lines = append(l.lines, line)
}
func (l *log) Tick(time.Time) {}
func (l *log) Close()         { l.lines = append(l.lines, "end") }

const start = ingest.Timestamp(1_700_000_000_000_000_000)

// rig is a table and a driver over some factories.
type rig struct {
	t      *testing.T
	log    log
	table  *flow.Table
	driver *session.Driver
}

func newRig(t *testing.T, cfg session.Config, factories ...session.Factory) *rig {
	t.Helper()
	r := &rig{t: t}
	registry, err := session.NewRegistry(factories...)
	if err != nil {
		t.Fatal(err)
	}
	r.driver, err = session.NewDriver(cfg, registry, session.Identity{Sensor: "s", Run: "r"}, &r.log)
	if err != nil {
		t.Fatal(err)
	}
	r.table, err = flow.NewTable(flow.DefaultConfig(), "s", r.driver)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var raw = &ingest.Interface{Name: "test", LinkType: 101}

// send hands one datagram from 10.0.0.1:1000 (or back) to the table.
func (r *rig) send(at time.Duration, dport uint16, payload string) {
	r.packet(at, 1000, dport, payload)
}

func (r *rig) packet(at time.Duration, sport, dport uint16, payload string) {
	n := 28 + len(payload)
	b := make([]byte, n)
	b[0], b[8], b[9] = 0x45, 64, 17
	binary.BigEndian.PutUint16(b[2:], uint16(n))
	copy(b[12:], []byte{10, 0, 0, 1, 10, 0, 0, 2})
	binary.BigEndian.PutUint16(b[20:], sport)
	binary.BigEndian.PutUint16(b[22:], dport)
	binary.BigEndian.PutUint16(b[24:], uint16(n-20))
	copy(b[28:], payload)
	t := start.Add(at)
	r.table.HandlePackets([]ingest.Packet{{Data: b, Length: n, Time: t, Clock: t, Interface: raw}})
	for i := range b {
		b[i] = 'X'
	}
}

// end closes the input and checks that every payload byte is accounted for.
func (r *rig) end() []string {
	r.table.Close(nil)
	f, s := r.table.Stats(), r.driver.Stats()
	if got := s.PayloadDelivered + s.PayloadNoParser + s.PayloadBuffered; got != f.PayloadUp {
		r.t.Errorf("payload: %d handed up, %d accounted for (%+v)", f.PayloadUp, got, s)
	}
	if s.PayloadBuffered != 0 {
		r.t.Errorf("%d bytes still held at the end", s.PayloadBuffered)
	}
	return r.log.lines
}
