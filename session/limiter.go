package session

import (
	"time"

	"flowscope/flow"
	"flowscope/ingest"
)

// limiter lets one anomaly per flow and name pass in each interval of packet time
// and counts those between.
type limiter struct {
	interval time.Duration
	flows    map[uint32][]pendingAnomaly
}

// pendingAnomaly is the latest of a name on a flow, and how many of them wait.
type pendingAnomaly struct {
	kind      *AnomalyType
	candidate int16 // whose parser raised it, noCandidate: the flow stage
	side      flow.Side
	detail    []byte
	time      ingest.Timestamp
	passed    ingest.Timestamp // when one last went out, 0: never
	count     uint64
}

// maxNames bounds how many different anomalies of a flow are told apart.
const maxNames = 64

func newLimiter(interval time.Duration) limiter {
	return limiter{interval: interval, flows: map[uint32][]pendingAnomaly{}}
}

// note counts an anomaly, nil if there are too many of different names.
func (l *limiter) note(slot uint32, a pendingAnomaly, detail string) *pendingAnomaly {
	list := l.flows[slot]
	for i := range list {
		if p := &list[i]; p.kind == a.kind && p.candidate == a.candidate {
			p.count++
			p.side, p.time, p.detail = a.side, a.time, append(p.detail[:0], detail...)
			return p
		}
	}
	if len(list) == maxNames {
		return nil
	}
	a.count, a.detail = 1, []byte(detail)
	list = append(list, a)
	l.flows[slot] = list
	return &list[len(list)-1]
}

// raise notes an anomaly and says whether it goes out now.
func (l *limiter) raise(slot uint32, a pendingAnomaly, detail string) (*pendingAnomaly, bool) {
	p := l.note(slot, a, detail)
	if p == nil {
		return nil, false
	}
	if since := a.time.Sub(p.passed); p.passed != 0 && since >= 0 && since < l.interval {
		return nil, false
	}
	p.passed = a.time
	return p, true
}

// release hands out what was noted on a flow and not raised.
func (l *limiter) release(slot uint32, emit func(*pendingAnomaly)) {
	list := l.flows[slot]
	for i := range list {
		if list[i].count > 0 {
			list[i].passed = list[i].time
			emit(&list[i])
		}
	}
}

// flush hands out what waits on a flow that ends, and forgets the flow.
func (l *limiter) flush(slot uint32, emit func(*pendingAnomaly)) {
	list, ok := l.flows[slot]
	if !ok {
		return
	}
	for i := range list {
		if list[i].count > 0 {
			emit(&list[i])
		}
	}
	delete(l.flows, slot)
}
