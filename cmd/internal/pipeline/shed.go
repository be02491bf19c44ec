package pipeline

import (
	"context"
	"sync/atomic"
	"time"

	"flowscope/flow"
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
	// lookInterval is how often the queue is looked at.
	lookInterval = 50 * time.Millisecond
)

// shedder decides how many of the flows that begin are left out. Before it comes
// into play the publisher gives up events by their class.
type shedder struct {
	// level is 0 for nothing; of 2^level flows one is followed.
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
	case fill >= shedAbove && level < flow.MaxShedding && (level == 0 || now.Sub(s.changed) >= doubleAfter):
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
				l.shed(l.shedder.level.Load())
			}
		}
	}
}

// shed has the tables follow one in 2^level of the flows that begin, and announces
// it.
func (l *Pipeline) shed(level uint32) {
	for _, t := range l.tables {
		t.Shed(level)
	}
	l.publisher.TellFlowsShed(1 << level)
}

// Shedding says that some flows are left out at present.
func (l *Pipeline) Shedding() bool { return l.shedder.level.Load() > 0 }
