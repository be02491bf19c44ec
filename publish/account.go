package publish

import (
	"cmp"
	"slices"
	"sync"
)

// outcome is where an event ended.
type outcome uint8

const (
	acknowledged outcome = iota
	sent
	written
	deadLetter
	numOutcomes
)

// dropReason says why an event was given up.
type dropReason uint8

const (
	dropQueueFull dropReason = iota
	dropTick
	dropMessage
	dropFlow
	dropUnknownTopic
	numDropReasons
)

// dropNames are the keys of the ledger's events.dropped.
var dropNames = [numDropReasons]string{"queue_full", "queue_tick", "queue_message", "queue_flow", "unknown_topic"}

// DropReasons returns the reasons for which events may be given up.
func DropReasons() []string { return slices.Clone(dropNames[:]) }

// workerCounts are what one worker counts. Events about the sensor are not in
// them.
type workerCounts struct {
	made     uint64
	filtered [numRules]uint64
	dropped  [numDropReasons]uint64
	// buffered are in the batch that the worker is filling.
	buffered uint64
	// bodies is the number of messages whose body was left out.
	bodies uint64
}

// account is the publisher's side of the ledger. Everything that belongs
// together moves in one critical section, once per batch or acknowledgement,
// so that each look at it balances.
type account struct {
	mu      sync.Mutex
	workers []workerCounts
	topics  [][]uint64 // per worker: numbered events per topic
	handed  [][]uint64 // the same, of those that were handed over or dropped
	settled [numOutcomes]uint64
	// pending were handed over and have not ended.
	pending         uint64
	resent          uint64
	duplicates      uint64
	possiblyDoubled uint64
	// elsewhere are those of the duplicates, per worker and topic, that the stream
	// has under the number of another run.
	elsewhere [][]uint64
	// unreported says that the server does not report duplicates.
	unreported bool
}

func newAccount(workers, topics int) *account {
	a := &account{
		workers: make([]workerCounts, workers), topics: make([][]uint64, workers), handed: make([][]uint64, workers),
		elsewhere: make([][]uint64, workers),
	}
	for i := range a.topics {
		a.topics[i], a.handed[i], a.elsewhere[i] = make([]uint64, topics), make([]uint64, topics), make([]uint64, topics)
	}
	return a
}

// snapshot publishes a worker's counts and says how many events were handed over
// with them.
func (a *account) snapshot(worker int, c *workerCounts, topics []uint64, handedOver uint64) {
	a.mu.Lock()
	a.workers[worker] = *c
	copy(a.topics[worker], topics)
	if c.buffered == 0 {
		copy(a.handed[worker], topics)
	}
	a.pending += handedOver
	a.mu.Unlock()
}

// dropPending gives up n events that worker handed over in vain; c are its own
// counts, which go along.
func (a *account) dropPending(worker int, r dropReason, n uint64, c *workerCounts) {
	a.mu.Lock()
	c.dropped[r] += n
	a.workers[worker].dropped = c.dropped
	a.pending -= n
	a.mu.Unlock()
}

// settle ends n events.
func (a *account) settle(o outcome, n uint64) {
	a.mu.Lock()
	a.settled[o] += n
	a.pending -= n
	a.mu.Unlock()
}

// acknowledge ends n events that the server has stored.
func (a *account) acknowledge(n uint64, duplicate bool) {
	a.mu.Lock()
	a.settled[acknowledged] += n
	a.pending -= n
	if duplicate {
		a.duplicates += n
	}
	a.mu.Unlock()
}

// storedElsewhere notes that the stream has n of a worker's duplicates under the number
// of another run.
func (a *account) storedElsewhere(worker, topic int, n uint64) {
	a.mu.Lock()
	a.elsewhere[worker][topic] += n
	a.mu.Unlock()
}

// again counts events that were sent once more, and those of them that the
// server may by now have forgotten to know.
func (a *account) again(resent, possiblyDoubled uint64) {
	a.mu.Lock()
	a.resent += resent
	a.possiblyDoubled += possiblyDoubled
	a.mu.Unlock()
}

// waiting returns the number of events that have not ended.
func (a *account) waiting() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := a.pending
	for i := range a.workers {
		n += a.workers[i].buffered
	}
	return n
}

// ledger returns the ledger's parts, all of one moment.
func (a *account) ledger(names []string) (Events, map[string]uint64, []LastNumber) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.events(), a.subjects(names), a.last(a.topics, names)
}

// events returns the ledger's part. mu is held.
func (a *account) events() Events {
	e := Events{
		Filtered: Reasons{}, Dropped: Reasons{},
		Acknowledged: a.settled[acknowledged], Sent: a.settled[sent],
		Written: a.settled[written], DeadLetter: a.settled[deadLetter],
		Pending: a.pending, Resent: a.resent,
		Duplicates: a.duplicates, PossiblyDoubled: a.possiblyDoubled,
		DuplicatesUnknown: a.unreported,
	}
	for i := range a.workers {
		w := &a.workers[i]
		e.Made += w.made
		e.Pending += w.buffered
		for r, n := range w.filtered {
			e.Filtered.Add(ruleNames[r], n)
		}
		for r, n := range w.dropped {
			e.Dropped.Add(dropNames[r], n)
		}
	}
	return e
}

// subjects returns the number of encoded events per subject. mu is held.
func (a *account) subjects(names []string) map[string]uint64 {
	m := map[string]uint64{}
	for _, counts := range a.topics {
		for topic, n := range counts {
			if n > 0 {
				m[names[topic]] += n
			}
		}
	}
	return m
}

// last returns how far the numbers go, by subject and worker, according to counts. mu
// is held.
func (a *account) last(counts [][]uint64, names []string) (list []LastNumber) {
	for worker, topics := range counts {
		for topic, n := range topics {
			if n > 0 {
				list = append(list, LastNumber{names[topic], worker, n, a.elsewhere[worker][topic]})
			}
		}
	}
	slices.SortFunc(list, func(a, b LastNumber) int {
		return cmp.Or(cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.Worker, b.Worker))
	})
	return list
}
