package ingest

import (
	"context"
	"errors"
	"io"
)

// batchSize is the number of packets read at once. The batch and the headers it
// points to stay in the first level cache.
const batchSize = 256

// Runner moves packets from a source to workers.
type Runner struct {
	src     Source
	spread  func(*Packet) uint64
	workers []Handler
	stamp   stamper
	stats   published
}

// NewRunner returns a Runner that reads src and divides its packets over
// workers: the worker of a packet is chosen by the high bits of spread's hash,
// which must be equal for all packets that belong together. With one worker
// spread is not called and may be nil. Nothing starts before Run.
func NewRunner(src Source, spread func(*Packet) uint64, workers []Handler) *Runner {
	return &Runner{src: src, spread: spread, workers: workers, stamp: newStamper()}
}

// Run is NewRunner followed by Runner.Run.
func Run(ctx context.Context, src Source, spread func(*Packet) uint64, workers []Handler) error {
	return NewRunner(src, spread, workers).Run(ctx)
}

// Run reads until the source ends, fails, or ctx is done, and waits for all
// workers. It returns nil, the source's error, or ctx.Err(); whatever it is,
// each worker got all of its packets, then a Tick with the last clock, then
// Close with what Run returns. It does not close the source, and it can be
// called once.
//
// The stop is noticed between two batches: a source that blocks in ReadBatch
// holds it up. A source that can stop by itself is read to its end first.
func (r *Runner) Run(ctx context.Context) error {
	out, err := r.outlet()
	if err != nil {
		return err
	}
	cause := r.read(ctx, out)
	out.tick(r.stamp.Clock)
	out.close(cause)
	return cause
}

// Stats returns the counters as of the last batch. It may be called from any
// goroutine, at any time.
func (r *Runner) Stats() Stats { return r.stats.load() }

// Losses returns what the source did not hand on. It may be called from any
// goroutine, at any time.
func (r *Runner) Losses() Losses {
	if l, ok := r.src.(Lossy); ok {
		return l.Losses()
	}
	return Losses{}
}

// outlet is where stamped packets go: to one worker, or to several.
type outlet interface {
	// packets hands a batch over. Its bytes are borrowed.
	packets(batch []Packet)
	// tick tells all workers, after what was handed over before.
	tick(now Timestamp)
	// flush sees to it that nothing waits for more.
	flush()
	// close ends all workers and waits for them.
	close(cause error)
}

// outlet returns the way to the workers.
func (r *Runner) outlet() (outlet, error) {
	switch {
	case len(r.workers) == 0:
		return nil, errors.New("ingest: no worker")
	case len(r.workers) == 1:
		return direct{r.workers[0]}, nil
	case r.spread == nil:
		return nil, errors.New("ingest: several workers and no way to divide packets over them")
	default:
		return newFan(r.spread, r.workers), nil
	}
}

// read reads until the end.
func (r *Runner) read(ctx context.Context, out outlet) error {
	live, _ := r.src.(Live)
	clocked, _ := r.src.(Clocked)
	stopper, _ := r.src.(Stopper)
	batch := make([]Packet, batchSize)
	for stopped := false; ; {
		if ctx.Err() != nil && !stopped {
			if stopper == nil {
				return ctx.Err()
			}
			stopper.Stop()
			stopped = true
		}
		n, err := r.src.ReadBatch(batch)
		r.deliver(batch[:n], out)
		if n == 0 && err == nil && clocked != nil {
			if now, ok := clocked.Clock(); ok && r.stamp.advance(now) {
				out.tick(now)
			}
		}
		if n == 0 || live != nil && live.Live() {
			out.flush()
		}
		r.stats.store(&r.stamp.Stats)
		if err == io.EOF && !stopped {
			return nil
		}
		if err == io.EOF {
			return ctx.Err()
		}
		if err != nil {
			return err
		}
	}
}

// deliver stamps a batch and hands it over, in pieces where the input begins
// anew.
func (r *Runner) deliver(batch []Packet, out outlet) {
	for len(batch) > 0 {
		before := r.stamp.Clock
		n := r.stamp.stamp(batch)
		if n > 0 {
			before = batch[n-1].Clock
			out.packets(batch[:n])
		}
		if n < len(batch) {
			out.tick(before)
			out.tick(r.stamp.Clock)
		}
		batch = batch[n:]
	}
}

// direct calls the only worker on the reader's goroutine.
type direct struct{ worker Handler }

func (d direct) packets(batch []Packet) { d.worker.HandlePackets(batch) }
func (d direct) tick(now Timestamp)     { d.worker.Tick(now) }
func (d direct) flush()                 {}
func (d direct) close(cause error)      { d.worker.Close(cause) }
