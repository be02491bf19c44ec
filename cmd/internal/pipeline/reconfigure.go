package pipeline

import (
	"context"
	"errors"
	"time"

	"flowscope/flow"
	"flowscope/session"
)

const (
	// takeUpLimit is how long Reconfigure waits for the workers, which tick more
	// often as long as their sinks do not wait.
	takeUpLimit = 5 * time.Second
	// takeUpLook is how often it looks.
	takeUpLook = 5 * time.Millisecond
)

// Reconfigure has all workers take up other limits and time-outs, and other options
// of the same protocols, each at the end of a batch, and waits until they have; see
// flow.Table.Reconfigure and session.Driver.Reconfigure. If one is wrong, nothing
// changes. It may be called from any goroutine while Run does its work, by one at a
// time.
func (l *Pipeline) Reconfigure(ctx context.Context, f flow.Config, s session.Config, registry *session.Registry) error {
	workers := len(l.tables)
	share, limits := f.Share(workers), s.Share(workers)
	if err := share.Validate(); err != nil {
		return err
	}
	for _, d := range l.drivers { // what the first one takes the others take
		if err := d.Reconfigure(limits, registry); err != nil {
			return err
		}
	}
	for _, t := range l.tables {
		if err := t.Reconfigure(share); err != nil {
			return err
		}
	}
	l.watchdog.SetLimit(s.Watchdog)
	return l.awaitTakenUp(ctx)
}

func (l *Pipeline) awaitTakenUp(ctx context.Context) error {
	ticker := time.NewTicker(takeUpLook)
	defer ticker.Stop()
	for begin := time.Now(); !l.takenUp(); {
		select {
		case <-ctx.Done():
			return nil // the end takes nothing up
		case now := <-ticker.C:
			if now.Sub(begin) > takeUpLimit {
				return errors.New("pipeline: a worker is busy and takes the new configuration up later")
			}
		}
	}
	return nil
}

func (l *Pipeline) takenUp() bool {
	for i := range l.tables {
		if !l.tables[i].TakenUp() || !l.drivers[i].TakenUp() {
			return false
		}
	}
	return true
}
