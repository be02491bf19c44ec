package sessiontest

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"flowscope/flow"
	"flowscope/ingest"
	"flowscope/session"
)

// TestSessionParser checks what every stream parser promises, on each of the
// streams: it keeps nothing of its input, and its messages nothing either; the
// same bytes give the same messages however they are split; after any prefix the
// flow may go on with a gap, or end by FIN, RST or without either, without a
// panic and with bounded output; what was emitted until then does not depend on
// what comes; where the protocol says that it resynchronises a stream may begin
// anywhere; the same input gives the same output, after Reset too; wake-ups come
// in order; the probe, if it knows the beginning of the stream, refuses no
// prefix of it; messages and anomalies are declared, and each message has one
// description, see CheckMessage. In steady state one segment takes at most the
// given number of allocations.
//
// The parser has to consume all it can in one call: what it leaves is presented
// again only with more bytes.
func TestSessionParser(t *testing.T, f session.SessionParserFactory, allocations float64, streams ...Stream) {
	t.Helper()
	if len(streams) == 0 {
		t.Fatal("no streams to test with")
	}
	for _, s := range streams {
		c := &contract{f: f, s: s.timed(), rand: rand.New(rand.NewPCG(1, 2))}
		t.Run(s.Name, func(t *testing.T) {
			t.Run("messages", c.messages)
			t.Run("repeatable", c.repeatable)
			t.Run("splits", c.splits)
			t.Run("prefixes", c.prefixes)
			t.Run("gaps", c.gaps)
			t.Run("midstream", c.midstream)
			t.Run("probe", c.probe)
			t.Run("allocations", func(t *testing.T) { c.allocations(t, allocations) })
		})
	}
}

// contract is the test of a factory with one stream.
type contract struct {
	f    session.SessionParserFactory
	s    Stream
	rand *rand.Rand
}

// run plays a stream to the end of its flow, and fails the test if it gives too
// much.
func (c *contract) run(t *testing.T, what string, s Stream) *StreamRun {
	t.Helper()
	r := NewStreamRun(c.f)
	if r.Play(s) == nil {
		r.Close(flow.EndOfInput)
	}
	c.bounded(t, what, r, s.size())
	return r
}

// bounded checks all that was emitted.
func (c *contract) bounded(t *testing.T, what string, r *StreamRun, size int) {
	t.Helper()
	if limit := outputLimit(size); r.Bytes() > limit {
		t.Fatalf("%s: %d bytes give %d bytes of messages, more than %d", what, size, r.Bytes(), limit)
	}
}

func (c *contract) declared(t *testing.T, what string, list []Emission) {
	t.Helper()
	for _, e := range list {
		if err := CheckMessage(c.f.Protocol(), e.Kind, e.Body); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
}

func (c *contract) messages(t *testing.T) {
	checkRecorded(t, c.f.Protocol(), &c.run(t, "the stream", c.s).Recorder)
}

func (c *contract) repeatable(t *testing.T) {
	want, again := c.run(t, "the stream", c.s), c.run(t, "the stream", c.s)
	same(t, "a second parser", want, again)
	if again.Reset() {
		if again.Play(c.s) == nil {
			again.Close(flow.EndOfInput)
		}
		same(t, "the same parser after Reset", want, again)
	}
	// Left in the middle of something, it must be as good as new all the same.
	for _, at := range c.s.points(c.rand) {
		part := NewStreamRun(c.f)
		_ = part.Play(c.s.prefix(at))
		if !part.Reset() {
			return
		}
		if part.Play(c.s) == nil {
			part.Close(flow.EndOfInput)
		}
		same(t, fmt.Sprintf("the parser after Reset at byte %d", at), want, part)
		if t.Failed() {
			return
		}
	}
}

// same compares what two runs have recorded, and how their parsers ended.
func same(t *testing.T, what string, want, got *StreamRun) {
	t.Helper()
	if fmt.Sprint(want.Ended) != fmt.Sprint(got.Ended) {
		t.Errorf("%s ends with %v, the first with %v", what, got.Ended, want.Ended)
	}
	compare(t, what, &want.Recorder, &got.Recorder)
}

// maxBytewise is the size of the largest stream that is fed byte by byte.
const maxBytewise = 64 << 10

func (c *contract) splits(t *testing.T) {
	want := c.run(t, "the stream", c.s)
	check := func(what string, s Stream) bool {
		t.Helper()
		same(t, what, want, c.run(t, what, s))
		return !t.Failed()
	}
	for _, at := range c.s.points(c.rand) {
		if !check(fmt.Sprintf("the stream split at byte %d", at), c.s.cutAt(at)) {
			return
		}
	}
	if c.s.size() <= maxBytewise && !check("the stream byte by byte", c.s.bytewise()) {
		return
	}
	for i := range 20 {
		if !check(fmt.Sprintf("random split %d of the stream", i), c.s.random(c.rand)) {
			return
		}
	}
	instant, merged := c.s.merged()
	same(t, "the stream in as few segments as possible", c.run(t, "the stream at one time", instant), c.run(t, "the merged stream", merged))
}

// ends are the ways in which a flow may end after a prefix.
var ends = []struct {
	name   string
	last   []Segment
	reason flow.Reason
}{
	{"closed", nil, flow.Idle},
	{"closed at the end of the input", nil, flow.EndOfInput},
	{"finished by the initiator", []Segment{{Fin: true}}, flow.Fin},
	{"finished by both", []Segment{{Side: flow.Responder, Fin: true}, {Fin: true}}, flow.Fin},
	{"reset by the initiator", []Segment{{Rst: true}}, flow.Rst},
	{"reset by the responder", []Segment{{Side: flow.Responder, Rst: true}}, flow.Rst},
}

func (c *contract) prefixes(t *testing.T) {
	whole := NewStreamRun(c.f)
	_ = whole.Play(c.s)
	for _, at := range c.s.points(c.rand) {
		for _, end := range ends {
			what := fmt.Sprintf("the first %d bytes, then %s", at, end.name)
			r := NewStreamRun(c.f)
			prefix := c.s.prefix(at)
			_ = r.Play(prefix)
			before := len(r.Emissions)
			part, all := r.Recorder, whole.Recorder
			if before > len(all.Emissions) || len(part.Anomalies) > len(all.Anomalies) {
				t.Fatalf("the first %d bytes give %d messages and %d anomalies, all give %d and %d",
					at, before, len(part.Anomalies), len(all.Emissions), len(all.Anomalies))
			}
			all.Emissions, all.Anomalies = all.Emissions[:before], all.Anomalies[:len(part.Anomalies)]
			compare(t, fmt.Sprintf("all of the stream gives other messages than its first %d bytes: it", at), &part, &all)
			for _, s := range end.last {
				s.Time = r.now
				_ = r.Feed(s)
			}
			r.Close(end.reason)
			c.bounded(t, what, r, at)
			c.declared(t, what, r.Emissions[before:])
			if t.Failed() {
				return
			}
		}
	}
}

// gaps lets bytes be missing everywhere. What that gives must not depend on how
// the rest is split.
func (c *contract) gaps(t *testing.T) {
	for _, at := range c.s.points(c.rand) {
		for _, n := range []int{1, 2 + c.rand.IntN(64), 1 << 20} {
			what := fmt.Sprintf("the stream without %d bytes at byte %d", n, at)
			s := c.s.without(at, n)
			r := c.run(t, what, s)
			c.declared(t, what, r.Emissions)
			same(t, what+", split", r, c.run(t, what, s.random(c.rand)))
			if t.Failed() {
				return
			}
		}
	}
}

// midstream begins everywhere in the stream.
func (c *contract) midstream(t *testing.T) {
	if !c.f.Protocol().Resyncs {
		t.Skip("the protocol does not resynchronise")
	}
	for _, at := range c.s.points(c.rand) {
		what := fmt.Sprintf("the stream from byte %d on", at)
		s := c.s.suffix(at)
		r := c.run(t, what, s)
		c.declared(t, what, r.Emissions)
		same(t, what+", split", r, c.run(t, what, s.random(c.rand)))
		if t.Failed() {
			return
		}
	}
}

// probe asks the factory about the beginning of the stream, as it grows.
func (c *contract) probe(t *testing.T) {
	grown := func(step func(*session.Sample) bool) {
		var sides [2][]byte
		for _, segment := range c.s.bytewise().Segments {
			sides[segment.Side] = append(sides[segment.Side], segment.Data...)
			if len(sides[segment.Side]) > maxProbe || segment.Gap != 0 || !step(&session.Sample{
				Data: sides[segment.Side], Other: sides[segment.Side.Opposite()], Side: segment.Side,
				Midstream: c.s.Midstream, SrcPort: c.s.SrcPort, DstPort: c.s.DstPort, Transport: session.TCP,
			}) {
				return
			}
		}
	}
	matches := false
	grown(func(s *session.Sample) bool {
		matches = matches || len(s.Data) > 0 && c.ask(s) == session.Match
		return !matches
	})
	if !matches {
		t.Skip("the probe does not know the beginning of the stream")
	}
	grown(func(s *session.Sample) bool {
		if len(s.Data) == 0 {
			return true
		}
		verdict := c.ask(s)
		if verdict == session.No {
			t.Errorf("the probe refuses %q (the other side %q) and takes it when there is more of it", s.Data, s.Other)
		}
		return verdict == session.More
	})
}

// ask probes as the driver does: from the view of the other side too, if that of
// the one that sent last says no.
func (c *contract) ask(s *session.Sample) session.Verdict {
	verdict := c.f.Probe(s)
	if verdict == session.No && len(s.Other) > 0 {
		turned := *s
		turned.Data, turned.Other, turned.Side = s.Other, s.Data, s.Side.Opposite()
		verdict = c.f.Probe(&turned)
	}
	return verdict
}

// maxProbe is how many bytes a side may have sent when its probe decides.
const maxProbe = 4096

func (c *contract) allocations(t *testing.T, budget float64) {
	if raceEnabled {
		t.Skip("allocations are not counted under the race detector")
	}
	quiet := &Discard{}
	r := newStreamRun(c.f)
	var never ingest.Timestamp
	r.out, r.due = session.NewOutput(quiet), &never
	run := func() {
		if r.Play(c.s) == nil {
			r.Close(flow.EndOfInput)
		}
		if !r.Reset() {
			r.parser = c.f.NewSessionParser()
			r.forget()
		}
	}
	run()
	got := testing.AllocsPerRun(100, run) / float64(len(c.s.Segments))
	if got > budget {
		t.Errorf("%.2f allocations per segment, want at most %v", got, budget)
	}
}
