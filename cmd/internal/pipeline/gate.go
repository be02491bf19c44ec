package pipeline

import (
	"math/bits"
	"sync/atomic"

	"flowscope/flow"
	"flowscope/ingest"
)

// gate stands before a worker's table in live capture. It counts the packets that
// the kernel has given to a worker to which their flow does not belong
// (flow.SpreadProgram says which these can be), and hands them on; and while events
// cannot leave it sheds: of all pairs of addresses only some pass, always the same
// ones, so that what is left are whole conversations.
type gate struct {
	next            ingest.Handler
	worker, workers uint64
	shedder         *shedder

	wrong, shed, pairs atomic.Uint64
	// recent are pairs that were shed lately, by their hash.
	recent [1 << 12]uint32
}

var _ ingest.Handler = (*gate)(nil)

// HandlePackets implements ingest.Handler.
func (g *gate) HandlePackets(packets []ingest.Packet) {
	level := g.shedder.level.Load()
	if level == 0 && g.workers == 1 {
		g.next.HandlePackets(packets)
		return
	}
	var wrong, shed uint64
	kept := packets[:0]
	for i := range packets {
		hash := flow.Spread(&packets[i])
		if worker, _ := bits.Mul64(hash, g.workers); worker != g.worker {
			wrong++
		}
		if !passes(hash, level) {
			g.note(uint32(hash >> 32))
			shed++
			continue
		}
		if shed > 0 {
			packets[len(kept)] = packets[i]
		}
		kept = packets[:len(kept)+1]
	}
	if wrong > 0 {
		g.wrong.Add(wrong)
	}
	if shed > 0 {
		g.shed.Add(shed)
	}
	if len(kept) > 0 {
		g.next.HandlePackets(kept)
		return
	}
	g.next.Tick(packets[len(packets)-1].Clock)
}

// passes says whether a pair of addresses is among those of which, at a level,
// one in 2^level is kept. What is kept at one level is kept at those below. Packets
// without addresses pass.
func passes(hash uint64, level uint32) bool { return uint32(hash>>32)&(1<<level-1) == 0 }

// note counts a pair that was not shed a moment ago.
func (g *gate) note(hash uint32) {
	slot := &g.recent[hash>>20]
	if *slot != hash {
		*slot = hash
		g.pairs.Add(1)
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
