package pipeline

import (
	"math/bits"
	"sync/atomic"

	"flowscope/flow"
	"flowscope/ingest"
)

// checked counts the packets that the kernel has given to a worker to which their
// flow does not belong, and hands all of them on. flow.SpreadProgram says which
// these can be.
type checked struct {
	next            ingest.Handler
	worker, workers uint64
	wrong           atomic.Uint64
}

var _ ingest.Handler = (*checked)(nil)

// HandlePackets implements ingest.Handler.
func (c *checked) HandlePackets(packets []ingest.Packet) {
	wrong := uint64(0)
	for i := range packets {
		if worker, _ := bits.Mul64(flow.Spread(&packets[i]), c.workers); worker != c.worker {
			wrong++
		}
	}
	if wrong > 0 {
		c.wrong.Add(wrong)
	}
	c.next.HandlePackets(packets)
}

// Tick implements ingest.Handler.
func (c *checked) Tick(now ingest.Timestamp) { c.next.Tick(now) }

// Close implements ingest.Handler.
func (c *checked) Close(cause error) { c.next.Close(cause) }

// Worker is the account of one worker.
type Worker struct {
	// WrongWorker counts packets whose flow belongs to another worker.
	WrongWorker uint64
	// FlowsActive is the number of flows being tracked.
	FlowsActive uint64
	// Packets were handled in whatever way.
	Packets uint64
}

// Workers returns the accounts of all workers. It may be called from any goroutine.
func (l *Pipeline) Workers() []Worker {
	all := make([]Worker, len(l.tables))
	for i, t := range l.tables {
		c := t.Stats()
		all[i].FlowsActive = c.FlowsActive
		for _, n := range c.Packets {
			all[i].Packets += n
		}
		if l.checks != nil {
			all[i].WrongWorker = l.checks[i].wrong.Load()
		}
	}
	return all
}
