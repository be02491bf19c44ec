package session_test

import (
	"testing"
	"time"

	"flowscope/flow"
	"flowscope/session"
)

// silent is a protocol whose parsers consume and say nothing.
type silent struct{ *text }

func (silent) Probe(*session.Sample) session.Verdict       { return session.Match }
func (silent) NewSessionParser() session.SessionParser     { return new(silentParser) }
func (f silent) NewDatagramParser() session.DatagramParser { return new(silentParser) }

type silentParser struct{ sum int }

func (p *silentParser) FeedInitiator(data []byte, _ *session.Output) (int, error) {
	p.sum += len(data)
	return len(data), nil
}

func (p *silentParser) FeedResponder(data []byte, _ *session.Output) (int, error) {
	p.sum += len(data)
	return len(data), nil
}

func (p *silentParser) Parse(data []byte, _ flow.Side, _ *session.Output) error {
	p.sum += len(data)
	return nil
}
func (p *silentParser) Reset() { p.sum = 0 }

// half leaves the second half of each segment for the next call, which consumes
// that too.
type half struct{ silent }

func (half) NewSessionParser() session.SessionParser { return new(halfParser) }

type halfParser struct {
	silentParser
	odd bool
}

func (p *halfParser) FeedInitiator(data []byte, _ *session.Output) (int, error) {
	if p.odd = !p.odd; p.odd {
		return len(data) / 2, nil
	}
	return len(data), nil
}

// segments returns a function that gives a driver one segment of a stream.
func segments(tb testing.TB, f session.Factory) func() {
	r := newStreamRig(tb, session.DefaultConfig(), syn, f)
	data := make([]byte, 1400)
	r.data(0, fromI, string(data))
	e := r.opened
	e.Kind, e.Data, e.Length = flow.Data, data, len(data)
	return func() { r.driver.HandleEvent(&e) }
}

func BenchmarkDriverSegment(b *testing.B) {
	for name, f := range map[string]session.Factory{
		"consumed": silent{newText("text", "")}, "half": half{silent{newText("text", "")}},
	} {
		b.Run(name, func(b *testing.B) {
			give := segments(b, f)
			b.ReportAllocs()
			for b.Loop() {
				give()
			}
		})
	}
}

func TestDriverAllocates(t *testing.T) {
	if raceEnabled {
		t.Skip("allocations are not counted under the race detector")
	}
	for name, f := range map[string]session.Factory{
		"consumed": silent{newText("text", "")}, "half": half{silent{newText("text", "")}},
	} {
		if n := testing.AllocsPerRun(1000, segments(t, f)); n != 0 {
			t.Errorf("%s: %v allocations per segment", name, n)
		}
	}
}

// TestNewFlowsAllocate opens and closes flows again and again: parsers, buffers
// and what is held come from pools.
func TestNewFlowsAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("allocations are not counted under the race detector")
	}
	quiet := newStreamRig(t, session.DefaultConfig(), syn, newText("text", "text"))
	driver, err := session.NewDriver(session.DefaultConfig(), registryOf(t, newText("text", "text")), session.Identity{Sensor: "s", Run: "r"}, discard{})
	if err != nil {
		t.Fatal(err)
	}
	e := quiet.opened
	first, second := []byte("te"), []byte("xt LOUD")
	send := func(kind flow.EventKind, data []byte) {
		e.Kind, e.Data, e.Length = kind, data, len(data)
		driver.HandleEvent(&e)
	}
	cycle := func() {
		send(flow.Opened, nil)
		send(flow.Data, first)
		send(flow.Data, second)
		send(flow.Closed, nil)
	}
	// What is emitted at the end is the test's own.
	if n := testing.AllocsPerRun(1000, cycle); n > 3 {
		t.Errorf("%v allocations per flow", n)
	}
}

type discard struct{}

func (discard) HandleEvent(*session.SessionEvent) {}
func (discard) Tick(time.Time)                    {}
func (discard) Close()                            {}

func registryOf(tb testing.TB, factories ...session.Factory) *session.Registry {
	tb.Helper()
	r, err := session.NewRegistry(factories...)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}
