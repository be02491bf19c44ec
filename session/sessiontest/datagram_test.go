package sessiontest

import (
	"errors"
	"strings"
	"testing"
	"time"

	"flowscope/flow"
	"flowscope/ingest"
	"flowscope/session"

	"github.com/google/go-cmp/cmp"
)

// echo is a protocol whose messages repeat their payload and then, one second
// later, say how long it was.
type echo struct{ protocol session.Protocol }

func newEcho() *echo {
	return &echo{session.Protocol{Name: "echo", Transports: []flow.Transport{flow.UDP}, Messages: []session.Message{new(said)}}}
}

func (e *echo) Protocol() *session.Protocol             { return &e.protocol }
func (*echo) Probe(*session.Sample) session.Verdict     { return session.Match }
func (*echo) NewDatagramParser() session.DatagramParser { return new(echoParser) }

type said struct {
	Text []byte `msgpack:"text,omitempty"`
	N    int    `msgpack:"n,omitempty"`
}

func (*said) Kind() string { return "said" }

// AppendMsgpack writes the text as bin with a length of one byte, and n as one
// byte: what this protocol says is short.
func (s *said) AppendMsgpack(b []byte) []byte {
	start := len(b)
	b = append(b, 0x80)
	if len(s.Text) > 0 {
		b[start]++
		b = append(append(b, "\xa4text\xc4"...), byte(len(s.Text)))
		b = append(b, s.Text...)
	}
	if s.N != 0 {
		b[start]++
		b = append(append(b, "\xa1n"...), byte(s.N))
	}
	return b
}

type echoParser struct {
	message said
	lengths []int
}

var errEcho = errors.New("not a thing to say")

func (p *echoParser) Parse(payload []byte, _ flow.Side, out *session.Output) error {
	if len(payload) == 1 {
		return errEcho
	}
	p.message = said{Text: payload}
	out.Emit(&p.message)
	p.lengths = append(p.lengths, len(payload))
	out.WakeAt(out.Now().Add(time.Second))
	return nil
}

func (p *echoParser) Wake(out *session.Output) error {
	for _, n := range p.lengths {
		p.message = said{N: n}
		out.Emit(&p.message)
	}
	p.lengths = p.lengths[:0]
	return nil
}

func (p *echoParser) Reset() { *p = echoParser{} }

func TestContractHolds(t *testing.T) {
	TestDatagramParser(t, newEcho(), 2, Conversation{Name: "talk", Datagrams: []Datagram{
		{Payload: []byte("hello")}, {Side: flow.Responder, Payload: []byte("\xff\xfe")},
	}})
}

// TestRunWakes wants wake-ups before what comes later, at their own time.
func TestRunWakes(t *testing.T) {
	const start = ingest.Timestamp(time.Hour)
	r := NewDatagramRun(newEcho())
	for _, at := range []time.Duration{0, 500 * time.Millisecond, 3 * time.Second} {
		if err := r.Feed(Datagram{Time: start.Add(at), Payload: []byte("hello")}); err != nil {
			t.Fatal(err)
		}
	}
	var got []time.Duration
	for _, e := range r.Emissions {
		got = append(got, time.Duration(e.Time-start))
	}
	want := []time.Duration{0, 500 * time.Millisecond, 1500 * time.Millisecond, 1500 * time.Millisecond, 3 * time.Second}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if err := r.Feed(Datagram{Payload: []byte("x")}); !errors.Is(err, errEcho) {
		t.Errorf("error is %v", err)
	}
}

func TestCheckMessage(t *testing.T) {
	p := newEcho().Protocol()
	tests := []struct {
		name, kind string
		body       []byte
		want       string
	}{
		{"good", "said", (&said{N: 5}).AppendMsgpack(nil), ""},
		{"undeclared kind", "sung", []byte("\x80"), "not declared"},
		{"no msgpack", "said", []byte{0xc1}, "decode"},
		{"a key that the type lacks", "said", []byte("\x82\xa4text\xc4\x05hello\xa1m\x05"), "appended again"},
		{"a value that the type leaves out", "said", []byte("\x81\xa1n\x00"), "appended again"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := CheckMessage(p, tt.kind, tt.body)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("error is %v, want %q", err, tt.want)
			}
		})
	}
}
