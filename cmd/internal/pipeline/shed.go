package pipeline

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"flowscope/publish"
	"flowscope/session"
)

const (
	// shedAbove is how full the queue before the publisher is when shedding
	// begins, and when it doubles; calmBelow is how full it may be to be calm.
	shedAbove = 0.8
	calmBelow = 0.5
	// calmFor is how long it must be calm for shedding to end.
	calmFor = 10 * time.Second
	// doubleAfter is how long a level has to show what it can do.
	doubleAfter = time.Second
	// maxLevel keeps one conversation in 256.
	maxLevel = 8
	// lookInterval is how often the queue is looked at.
	lookInterval = 50 * time.Millisecond
)

// shedder decides how much is shed. Before it comes into play the publisher gives
// up events by their class.
type shedder struct {
	// level is 0 for nothing; of 2^level conversations one is kept.
	level atomic.Uint32

	changed, calm time.Time // of the last change; since when it is calm
}

// look takes a look at the queue and reports whether the level has changed.
func (s *shedder) look(fill float64, now time.Time) bool {
	level := s.level.Load()
	if fill > calmBelow {
		s.calm = time.Time{}
	} else if s.calm.IsZero() {
		s.calm = now
	}
	switch {
	case fill >= shedAbove && level < maxLevel && (level == 0 || now.Sub(s.changed) >= doubleAfter):
		level++
	case level > 0 && !s.calm.IsZero() && now.Sub(s.calm) >= calmFor:
		level = 0
	default:
		return false
	}
	s.changed = now
	s.level.Store(level)
	return true
}

// watchQueue looks at the publisher's queue until ctx ends.
func (l *Pipeline) watchQueue(ctx context.Context) {
	ticker := time.NewTicker(lookInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			if l.shedder.look(l.publisher.Fill(), now) {
				l.tellShedding()
			}
		}
	}
}

// tellShedding announces the level on sensor.state. It is an error only after the
// publisher has stopped, when there is nobody to tell.
func (l *Pipeline) tellShedding() {
	state := &publish.State{State: publish.StateRecovered, Detail: "all conversations are followed again"}
	if level := l.shedder.level.Load(); level > 0 {
		state = &publish.State{State: publish.StateShedding, Detail: fmt.Sprintf("one of %d conversations is followed", 1<<level)}
	}
	_ = l.publisher.PublishSensor(state)
}

// Shedding says that some conversations are left out at present.
func (l *Pipeline) Shedding() bool { return l.shedder.level.Load() > 0 }

// weighing is a sink that says of each event, while conversations are shed, for how
// many it stands.
type weighing struct {
	session.Sink
	shedder *shedder
}

// HandleEvent implements session.Sink.
func (w *weighing) HandleEvent(e *session.SessionEvent) {
	if level := w.shedder.level.Load(); level > 0 && e.Type != session.Sensor {
		weighed := *e
		weighed.Weight = max(1, e.Weight) << level
		w.Sink.HandleEvent(&weighed)
		return
	}
	w.Sink.HandleEvent(e)
}
