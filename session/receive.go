package session

import (
	"time"

	"flowscope/flow"
	"flowscope/ingest"
)

var _ Receiver = (*receiver)(nil)

// receiver is the driver as parsers see it, through their Output.
type receiver Driver

// Emit passes a message on as an event.
func (r *receiver) Emit(m *Emission) {
	d := (*Driver)(r)
	if d.emitted++; d.emitted > d.cfg.MessagesPerCall {
		panic(tooMany{d.cfg.MessagesPerCall})
	}
	s := &d.states[d.cur.Slot]
	ev := d.prepare(d.cur, s, Application, m.Time)
	ev.Start, ev.Side, ev.HasSide, ev.Message, ev.Truncated = m.Start, m.Side, true, m.Message, m.Truncated
	d.send(s)
}

// Anomaly passes an anomaly on unless one of its name went out just before.
func (r *receiver) Anomaly(t *AnomalyType, side flow.Side, detail string) {
	d := (*Driver)(r)
	a, pass := d.limiter.raise(d.cur.Slot, pendingAnomaly{
		kind: t, side: side, detail: clip(detail), time: d.out.now,
	})
	if pass {
		d.emitAnomaly(d.cur, &d.states[d.cur.Slot], a)
	}
}

// minWake is the least packet time until a wake-up, so that a parser that asks for
// one again and again moves time on.
const minWake = time.Millisecond

// WakeAt sets the flow's wake-up.
func (r *receiver) WakeAt(t ingest.Timestamp) {
	if t != 0 {
		t = max(t, r.out.now.Add(minWake))
	}
	r.cur.Flow.WakeAt(t)
}

// SetIdle sets the flow's idle time-out.
func (r *receiver) SetIdle(d time.Duration) { r.cur.Flow.SetIdle(d) }

func (d *Driver) emitAnomaly(e *flow.Event, s *flowState, a *pendingAnomaly) {
	count := a.count
	a.count = 0
	ev := d.prepare(e, s, AnomalyEvent, a.time)
	ev.Reason, ev.Detail, ev.Severity, ev.Count = a.kind.Name, a.detail, a.kind.Severity, count
	ev.Side, ev.HasSide = a.side, true
	d.send(s)
}
