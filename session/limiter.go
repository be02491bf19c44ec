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
	kind   *AnomalyType
	side   flow.Side
	detail string
	time   ingest.Timestamp
	passed ingest.Timestamp // when one last went out
	count  uint64
}

func newLimiter(interval time.Duration) limiter {
	return limiter{interval: interval, flows: map[uint32][]pendingAnomaly{}}
}

// raise notes an anomaly and says whether it goes out now.
func (l *limiter) raise(slot uint32, a pendingAnomaly) (*pendingAnomaly, bool) {
	list := l.flows[slot]
	for i := range list {
		p := &list[i]
		if p.kind != a.kind {
			continue
		}
		p.count++
		p.side, p.detail, p.time = a.side, a.detail, a.time
		if since := a.time.Sub(p.passed); since >= 0 && since < l.interval {
			return nil, false
		}
		p.passed = a.time
		return p, true
	}
	a.count, a.passed = 1, a.time
	list = append(list, a)
	l.flows[slot] = list
	return &list[len(list)-1], true
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
