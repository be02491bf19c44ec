package session

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// Watchdog looks after the parsers of several drivers: one that does not return is
// named. It cannot be stopped, so whoever runs the watchdog has to end the
// process.
type Watchdog struct {
	limit   atomic.Int64 // how long a call may take, 0 for ever
	changed chan struct{}
	drivers []*Driver
	seen    []sighting // by driver
}

// sighting is a call and how often it was seen.
type sighting struct {
	call  uint64
	times int
}

// StuckError says which parser has not returned.
type StuckError struct {
	// Protocol is whose parser or probe it is, Flow the flow that it was called
	// for: transport, initiator and responder.
	Protocol, Flow string
	// After is how long it has not returned, at least.
	After time.Duration
}

// Error names protocol and flow.
func (e *StuckError) Error() string {
	return fmt.Sprintf("a parser of %s has not returned for %v, on flow %s: a loop cannot be stopped, so the process ends",
		e.Protocol, e.After, e.Flow)
}

// NewWatchdog returns a watchdog that lets a call take so long, 0 for ever.
func NewWatchdog(limit time.Duration, drivers ...*Driver) *Watchdog {
	w := &Watchdog{changed: make(chan struct{}, 1), drivers: drivers, seen: make([]sighting, len(drivers))}
	w.limit.Store(int64(limit))
	return w
}

// SetLimit lets a call take so long from now on, 0 for ever. Any goroutine may call
// it.
func (w *Watchdog) SetLimit(limit time.Duration) {
	if w.limit.Swap(int64(limit)) == int64(limit) {
		return
	}
	select {
	case w.changed <- struct{}{}:
	default: // Run has yet to see an earlier change
	}
}

// pace is how often is looked, and how often the same call may be seen; 0 is never.
func (w *Watchdog) pace() (interval time.Duration, looks int) {
	limit := time.Duration(w.limit.Load())
	if interval = min(time.Second, limit/4); interval > 0 {
		looks = int((limit + interval - 1) / interval)
	}
	return interval, looks
}

// Run looks every second until ctx ends, and then returns nil, or until a parser
// has not returned for the limit, and then returns a *StuckError. It counts
// looks and not time: a process that was stopped meanwhile is not blamed.
func (w *Watchdog) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := w.watch(ctx); err != nil {
			return err
		}
	}
	return nil
}

// watch looks until ctx ends or the limit changes.
func (w *Watchdog) watch(ctx context.Context) error {
	clear(w.seen)
	var ticks <-chan time.Time // never
	interval, looks := w.pace()
	if interval > 0 {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		ticks = ticker.C
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.changed:
			return nil
		case <-ticks:
			if err := w.look(interval, looks); err != nil {
				return err
			}
		}
	}
}

func (w *Watchdog) look(interval time.Duration, looks int) error {
	for i, d := range w.drivers {
		s := &w.seen[i]
		if call := d.inside.load(); call == 0 || call != s.call {
			*s = sighting{call: call}
			continue
		}
		if s.times++; s.times >= looks {
			return d.stuck(time.Duration(looks) * interval)
		}
	}
	return nil
}

// stuck describes the call that the driver is inside of. Its worker changes
// nothing any more.
func (d *Driver) stuck(after time.Duration) error {
	e := &StuckError{After: after, Protocol: d.all[d.who].protocol.Name, Flow: "unknown"}
	if d.cur != nil {
		f := d.cur.Flow
		src, dst := f.Endpoints()
		e.Flow = fmt.Sprintf("%v (%v %v > %v)", f.ID(), f.Transport(), src, dst)
	}
	return e
}
