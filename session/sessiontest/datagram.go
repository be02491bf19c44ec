package sessiontest

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"flowscope/flow"
	"flowscope/ingest"
	"flowscope/session"

	"github.com/google/go-cmp/cmp"
	"github.com/vmihailenco/msgpack/v5"
)

// Datagram is one payload of a conversation.
type Datagram struct {
	// Time is its capture time; 0 is one millisecond after the one before.
	Time ingest.Timestamp
	// Side sent it.
	Side flow.Side
	// Payload is never changed.
	Payload []byte
	// Truncated says that the capture cut the payload short.
	Truncated bool
}

// Conversation is what one parser gets: the datagrams of one flow in order.
type Conversation struct {
	// Name names the subtest.
	Name string
	// Datagrams are not empty.
	Datagrams []Datagram
}

// base is the time of the first datagram that has none.
const base = ingest.Timestamp(1_700_000_000_000_000_000)

// outputLimit is how many octets of messages one call may emit for a payload.
func outputLimit(payload int) int { return 1<<20 + 256*payload }

// DatagramRun feeds datagrams to one parser as the driver does: wake-ups that
// are due come first, at their own time.
type DatagramRun struct {
	Recorder
	parser session.DatagramParser
	out    *session.Output
	now    ingest.Timestamp
	buf    []byte
}

// NewDatagramRun returns a run with a fresh parser.
func NewDatagramRun(f session.DatagramParserFactory) *DatagramRun {
	r := &DatagramRun{parser: f.NewDatagramParser(), now: base}
	r.out = session.NewOutput(&r.Recorder)
	return r
}

// Feed hands one datagram to the parser, in a buffer that is scribbled over once
// the parser has returned.
func (r *DatagramRun) Feed(d Datagram) error {
	at := d.Time
	if at == 0 {
		at = r.now.Add(time.Millisecond)
	}
	if err := r.AdvanceTo(at); err != nil {
		return err
	}
	r.buf = append(r.buf[:0], d.Payload...)
	r.out.Begin(at, d.Side, d.Truncated)
	err := r.parser.Parse(r.buf[:len(d.Payload):len(d.Payload)], d.Side, r.out)
	scribble(r.buf)
	return err
}

// AdvanceTo moves the clock to t and wakes the parser whenever it asked for it
// until then.
func (r *DatagramRun) AdvanceTo(t ingest.Timestamp) error {
	for r.Due != 0 && r.Due <= t {
		at := r.Due
		r.Due = 0
		if err := wake(r.parser, at, &r.Due, r.out); err != nil {
			return err
		}
	}
	r.now = max(r.now, t)
	return nil
}

// Close ends the flow at the run's clock.
func (r *DatagramRun) Close(reason flow.Reason) {
	r.out.Begin(r.now, flow.Initiator, false)
	if c, ok := r.parser.(session.Closer); ok {
		c.Close(reason, r.out)
	}
}

// Reset makes the parser as good as new, if it can, and forgets what was
// recorded. It reports whether the parser can.
func (r *DatagramRun) Reset() bool {
	c, ok := r.parser.(session.Resetter)
	if ok {
		c.Reset()
		r.now, r.Recorder = base, Recorder{Seen: r.Seen}
	}
	return ok
}

// Play feeds a whole conversation and returns the first error, which ends the
// parser.
func (r *DatagramRun) Play(c Conversation) error {
	for i := range c.Datagrams {
		if err := r.Feed(c.Datagrams[i]); err != nil {
			return err
		}
	}
	return nil
}

// TestDatagramParser checks what every datagram parser promises, on each of the
// conversations: it keeps nothing of its input and its messages nothing either;
// any prefix of a payload is met without a panic and with bounded output; the
// same input gives the same output, after Reset too; Close is possible after any
// datagram; wake-ups come in order; messages are of declared kinds, and each has
// one description: what it appends decodes into the declared type and, appended
// again, gives the same bytes. In steady state one datagram takes at most the
// given number of allocations.
func TestDatagramParser(t *testing.T, f session.DatagramParserFactory, allocations float64, conversations ...Conversation) {
	t.Helper()
	if len(conversations) == 0 {
		t.Fatal("no conversations to test with")
	}
	for _, c := range conversations {
		t.Run(c.Name, func(t *testing.T) {
			t.Run("messages", func(t *testing.T) { checkMessages(t, f, c) })
			t.Run("repeatable", func(t *testing.T) { checkRepeatable(t, f, c) })
			t.Run("prefixes", func(t *testing.T) { checkPrefixes(t, f, c) })
			t.Run("close", func(t *testing.T) { checkClose(t, f, c) })
			t.Run("allocations", func(t *testing.T) { checkAllocations(t, f, c, allocations) })
		})
	}
}

// play runs a conversation to the end of its flow.
func play(f session.DatagramParserFactory, c Conversation, reason flow.Reason) *DatagramRun {
	r := NewDatagramRun(f)
	if r.Play(c) == nil {
		r.Close(reason)
	}
	return r
}

func checkMessages(t *testing.T, f session.DatagramParserFactory, c Conversation) {
	r := play(f, c, flow.EndOfInput)
	checkRecorded(t, f.Protocol(), &r.Recorder)
}

// checkRecorded wants something recorded, all of it declared and well-formed.
func checkRecorded(t *testing.T, p *session.Protocol, r *Recorder) {
	t.Helper()
	if len(r.Emissions)+len(r.Anomalies) == 0 {
		t.Error("the conversation gives neither messages nor anomalies")
	}
	for i := range r.Emissions {
		e := &r.Emissions[i]
		if err := CheckMessage(p, e.Kind, e.Body); err != nil {
			t.Errorf("message %d: %v", i, err)
		}
		if e.Time == 0 || e.Start > e.Time {
			t.Errorf("message %d: starts at %d, is of %d", i, e.Start, e.Time)
		}
	}
	for _, a := range r.Anomalies {
		if !slices.ContainsFunc(p.Anomalies, func(t *session.AnomalyType) bool { return t.Name == a.Name }) {
			t.Errorf("anomaly %q is not declared", a.Name)
		}
		if a.Detail == "" {
			t.Errorf("anomaly %q has no detail", a.Name)
		}
	}
}

// CheckMessage says what is wrong with a message of a protocol: its kind is not
// declared, or its bytes are not what the declared type would append.
func CheckMessage(p *session.Protocol, kind string, body []byte) error {
	i := slices.Index(p.Kinds(), kind)
	if i < 0 {
		return fmt.Errorf("kind %q is not declared", kind)
	}
	m := reflect.New(reflect.TypeOf(p.Messages[i]).Elem()).Interface().(session.Message)
	if err := msgpack.Unmarshal(body, m); err != nil {
		return fmt.Errorf("%s: decode into %T: %w", kind, m, err)
	}
	again := m.AppendMsgpack(nil)
	if string(again) == string(body) {
		return nil
	}
	var had, has any
	if err := msgpack.Unmarshal(body, &had); err != nil {
		return fmt.Errorf("%s: decode: %w", kind, err)
	}
	if err := msgpack.Unmarshal(again, &has); err != nil {
		return fmt.Errorf("%s: decode what was appended again: %w", kind, err)
	}
	return fmt.Errorf("%s: decoded into %T and appended again (-was +is, order may differ too):\n%s", kind, m, cmp.Diff(had, has))
}

func checkRepeatable(t *testing.T, f session.DatagramParserFactory, c Conversation) {
	want := play(f, c, flow.EndOfInput)
	again := play(f, c, flow.EndOfInput)
	compare(t, "a second parser", &want.Recorder, &again.Recorder)
	if again.Reset() {
		if again.Play(c) == nil {
			again.Close(flow.EndOfInput)
		}
		compare(t, "the same parser after Reset", &want.Recorder, &again.Recorder)
	}
}

func compare(t *testing.T, what string, want, got *Recorder) {
	t.Helper()
	if slices.EqualFunc(want.Emissions, got.Emissions, sameEmission) && slices.Equal(want.Anomalies, got.Anomalies) {
		return
	}
	if diff := cmp.Diff(want.Emissions, got.Emissions); diff != "" {
		t.Errorf("%s emits differently (-first +second):\n%s", what, diff)
	}
	if diff := cmp.Diff(want.Anomalies, got.Anomalies); diff != "" {
		t.Errorf("%s raises other anomalies (-first +second):\n%s", what, diff)
	}
}

func sameEmission(a, b Emission) bool {
	return a.Kind == b.Kind && string(a.Body) == string(b.Body) && a.Side == b.Side &&
		a.Time == b.Time && a.Start == b.Start && a.Truncated == b.Truncated
}

// checkPrefixes feeds every prefix of every payload, as malformed and as cut by
// the capture, to one parser.
func checkPrefixes(t *testing.T, f session.DatagramParserFactory, c Conversation) {
	for _, truncated := range []bool{false, true} {
		r := NewDatagramRun(f)
		for i, d := range c.Datagrams {
			for n := range d.Payload {
				before := len(r.Emissions)
				_ = r.Feed(Datagram{Side: d.Side, Payload: d.Payload[:n], Truncated: truncated})
				size := 0
				for _, e := range r.Emissions[before:] {
					size += len(e.Body)
					if err := CheckMessage(f.Protocol(), e.Kind, e.Body); err != nil {
						t.Fatalf("datagram %d cut to %d octets: %v", i, n, err)
					}
				}
				if limit := outputLimit(n); size > limit {
					t.Fatalf("datagram %d cut to %d octets gives %d octets of messages, more than %d", i, n, size, limit)
				}
				if truncated && len(r.Anomalies) > 0 {
					t.Fatalf("datagram %d cut to %d octets by the capture: anomaly %v", i, n, r.Anomalies)
				}
				r.Emissions, r.Anomalies = r.Emissions[:0], r.Anomalies[:0]
			}
		}
		r.Close(flow.EndOfInput)
	}
}

// checkClose ends the flow after each datagram, for each reason; what was
// emitted until then must not depend on it.
func checkClose(t *testing.T, f session.DatagramParserFactory, c Conversation) {
	whole := NewDatagramRun(f)
	_ = whole.Play(c)
	reasons := []flow.Reason{flow.Idle, flow.Evicted, flow.EndOfInput, flow.Shutdown}
	for n := range len(c.Datagrams) + 1 {
		r := NewDatagramRun(f)
		if r.Play(Conversation{Datagrams: c.Datagrams[:n]}) != nil {
			return
		}
		before := len(r.Emissions)
		if before > len(whole.Emissions) {
			t.Fatalf("%d datagrams give %d messages, all give %d", n, before, len(whole.Emissions))
		}
		if part := whole.Emissions[:before:before]; !slices.EqualFunc(part, r.Emissions, sameEmission) {
			t.Errorf("after %d datagrams (-whole +part):\n%s", n, cmp.Diff(part, r.Emissions))
		}
		r.Close(reasons[n%len(reasons)])
		for _, e := range r.Emissions[before:] {
			if err := CheckMessage(f.Protocol(), e.Kind, e.Body); err != nil {
				t.Errorf("closed after %d datagrams: %v", n, err)
			}
		}
	}
}

func checkAllocations(t *testing.T, f session.DatagramParserFactory, c Conversation, budget float64) {
	if raceEnabled {
		t.Skip("allocations are not counted under the race detector")
	}
	p := f.NewDatagramParser()
	out := session.NewOutput(&Discard{})
	now := base
	run := func() {
		for i := range c.Datagrams {
			d := &c.Datagrams[i]
			now = now.Add(time.Microsecond)
			out.Begin(now, d.Side, d.Truncated)
			if p.Parse(d.Payload, d.Side, out) != nil {
				return
			}
		}
	}
	run()
	got := testing.AllocsPerRun(100, run) / float64(len(c.Datagrams))
	if got > budget {
		t.Errorf("%.2f allocations per datagram, want at most %v", got, budget)
	}
}
