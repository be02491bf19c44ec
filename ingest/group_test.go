package ingest

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"
)

// stepped is a source of so many batches of one packet, and its end.
type stepped struct {
	left    int
	end     error
	at      Timestamp
	stopped chan struct{}
	once    bool
}

func (s *stepped) ReadBatch(packets []Packet) (int, error) {
	if s.left == 0 {
		if s.stopped != nil {
			select {
			case <-s.stopped:
			case <-time.After(time.Millisecond): // an empty ring
				return 0, nil
			}
		}
		return 0, s.end
	}
	s.left--
	s.at += 10
	packets[0] = Packet{Data: []byte{1}, Length: 1, Time: s.at, Interface: &Interface{Name: "s"}}
	return 1, nil
}
func (s *stepped) Close() error { return nil }
func (s *stepped) Stop() {
	if s.stopped != nil && !s.once {
		s.once = true
		s.left = 3 // what is in the ring
		close(s.stopped)
	}
}
func (s *stepped) Losses() Losses { return Losses{Filtered: 1, DroppedKernel: 2, Unseen: 3} }

// tally counts calls.
type tally struct {
	packets, ticks, closed int
	cause                  error
}

func (c *tally) HandlePackets(p []Packet) { c.packets += len(p) }
func (c *tally) Tick(Timestamp)           { c.ticks++ }
func (c *tally) Close(err error)          { c.closed++; c.cause = err }

func TestGroup(t *testing.T) {
	a, b := &tally{}, &tally{}
	g, err := NewGroup([]Source{&stepped{left: 5, end: io.EOF}, &stepped{left: 7, end: io.EOF}}, []Handler{a, b})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Run(t.Context()); err != nil {
		t.Error(err)
	}
	if a.packets != 5 || b.packets != 7 || a.closed != 1 || b.closed != 1 || a.cause != nil {
		t.Errorf("%+v, %+v", a, b)
	}
	if s := g.Stats(); s.Packets != 12 || s.Bytes != 12 || s.Clock != 70 {
		t.Errorf("%+v", s)
	}
	if l := g.Losses(); l != (Losses{Filtered: 2, DroppedKernel: 4, Unseen: 6}) {
		t.Errorf("%+v", l)
	}
}

// TestGroupFailsTogether stops the others when one source fails, and takes what they
// still have.
func TestGroupFailsTogether(t *testing.T) {
	broken := errors.New("broken")
	a, b := &tally{}, &tally{}
	other := &stepped{left: 7, end: io.EOF, stopped: make(chan struct{})}
	g, err := NewGroup([]Source{&stepped{left: 5, end: broken}, other}, []Handler{a, b})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Run(t.Context()); err == nil || err.Error() != "broken" {
		t.Errorf("%v", err)
	}
	if a.packets != 5 || b.packets < 3 || !errors.Is(a.cause, broken) || !errors.Is(b.cause, context.Canceled) {
		t.Errorf("%+v, %+v", a, b)
	}
}

func TestGroupRefuses(t *testing.T) {
	for _, sources := range [][]Source{nil, {&stepped{}, &stepped{}}} {
		if _, err := NewGroup(sources, []Handler{&tally{}}); err == nil {
			t.Errorf("%d sources for 1 worker", len(sources))
		}
	}
}
