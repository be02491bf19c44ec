package pipeline

import (
	"math/bits"
	"sync/atomic"

	"flowscope/flow"
	"flowscope/ingest"
)

// gate stands before a worker's table in live capture. It counts the packets that
// the kernel has given to a worker to which their flow does not belong
// (flow.SpreadProgram says which these can be), and hands them on.
type gate struct {
	next            ingest.Handler
	worker, workers uint64
	wrong           atomic.Uint64
}

var _ ingest.Handler = (*gate)(nil)

// HandlePackets implements ingest.Handler.
func (g *gate) HandlePackets(packets []ingest.Packet) {
	if g.workers > 1 {
		g.count(packets)
	}
	g.next.HandlePackets(packets)
}

func (g *gate) count(packets []ingest.Packet) {
	var wrong uint64
	for i := range packets {
		if worker, _ := bits.Mul64(flow.Spread(&packets[i]), g.workers); worker != g.worker {
			wrong++
		}
	}
	if wrong > 0 {
		g.wrong.Add(wrong)
	}
}

// Tick implements ingest.Handler.
func (g *gate) Tick(now ingest.Timestamp) { g.next.Tick(now) }

// Close implements ingest.Handler.
func (g *gate) Close(cause error) { g.next.Close(cause) }

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
		if l.gates != nil {
			all[i].WrongWorker = l.gates[i].wrong.Load()
		}
	}
	return all
}
