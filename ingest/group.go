package ingest

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// Group moves packets from several sources to as many workers, each source to its
// own: the form for inputs that come divided, as from a network interface. A
// worker reads on its own goroutine, and there is no queue. Numbers and clocks
// are each source's own.
type Group struct{ runners []*Runner }

// NewGroup returns a Group. Nothing starts before Run.
func NewGroup(sources []Source, workers []Handler) (*Group, error) {
	if len(sources) == 0 || len(sources) != len(workers) {
		return nil, fmt.Errorf("ingest: %d sources for %d workers", len(sources), len(workers))
	}
	g := &Group{}
	for i, src := range sources {
		g.runners = append(g.runners, NewRunner(src, nil, workers[i:i+1]))
	}
	return g, nil
}

// Run reads all sources and waits for all workers, as Runner.Run does. When one
// ends with an error, the others are stopped, and that error is returned.
func (g *Group) Run(ctx context.Context) error {
	own, stop := context.WithCancel(ctx)
	defer stop()
	errs := make([]error, len(g.runners))
	var wait sync.WaitGroup
	for i, r := range g.runners {
		wait.Go(func() {
			if errs[i] = r.Run(own); errs[i] != nil {
				stop()
			}
		})
	}
	wait.Wait()
	var trouble []error
	for _, err := range errs {
		if err != nil && !errors.Is(err, context.Canceled) && !told(trouble, err) {
			trouble = append(trouble, err)
		}
	}
	if len(trouble) > 0 {
		return errors.Join(trouble...)
	}
	return ctx.Err()
}

// told says that an error reads like one that is known: workers tend to meet the
// same trouble.
func told(known []error, err error) bool {
	for _, k := range known {
		if k.Error() == err.Error() {
			return true
		}
	}
	return false
}

// Stats returns the sums of the sources' counters, and the highest clock.
func (g *Group) Stats() (sum Stats) {
	for _, r := range g.runners {
		s := r.Stats()
		sum.Packets += s.Packets
		sum.Bytes += s.Bytes
		sum.Restarts += s.Restarts
		sum.Clock = max(sum.Clock, s.Clock)
	}
	return sum
}

// Losses returns the sums of what the sources did not hand on.
func (g *Group) Losses() (sum Losses) {
	for _, r := range g.runners {
		l := r.Losses()
		sum.Filtered += l.Filtered
		sum.DroppedKernel += l.DroppedKernel
		sum.Unseen += l.Unseen
	}
	return sum
}
