package session

import (
	"context"
	"fmt"
	"time"
)

// Watchdog looks after the parsers of several drivers: one that does not return is
// named. It cannot be stopped, so whoever runs the watchdog has to end the
// process.
type Watchdog struct {
	interval time.Duration
	looks    int // how often the same call may be seen
	drivers  []*Driver
	seen     []sighting // by driver
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
	w := &Watchdog{interval: time.Second, drivers: drivers, seen: make([]sighting, len(drivers))}
	w.interval = min(w.interval, limit/4)
	if w.interval > 0 {
		w.looks = int((limit + w.interval - 1) / w.interval)
	}
	return w
}

// Run looks every second until ctx ends, and then returns nil, or until a parser
// has not returned for the limit, and then returns a *StuckError. It counts
// looks and not time: a process that was stopped meanwhile is not blamed.
func (w *Watchdog) Run(ctx context.Context) error {
	if w.interval <= 0 {
		<-ctx.Done()
		return nil
	}
	ticker := time.NewTicker(w.interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			if err := w.look(); err != nil {
				return err
			}
		}
	}
}

func (w *Watchdog) look() error {
	for i, d := range w.drivers {
		s := &w.seen[i]
		if call := d.inside.load(); call == 0 || call != s.call {
			*s = sighting{call: call}
			continue
		}
		if s.times++; s.times >= w.looks {
			return d.stuck(time.Duration(w.looks) * w.interval)
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
