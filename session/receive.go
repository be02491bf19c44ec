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
	d.emit(d.cur, &d.states[d.cur.Slot], SessionEvent{
		Type: Application, Time: m.Time, Start: m.Start, Side: m.Side, HasSide: true,
		Message: m.Message, Truncated: m.Truncated,
	})
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

// WakeAt sets the flow's wake-up.
func (r *receiver) WakeAt(t ingest.Timestamp) { r.cur.Flow.WakeAt(t) }

// SetIdle sets the flow's idle time-out.
func (r *receiver) SetIdle(d time.Duration) { r.cur.Flow.SetIdle(d) }

func (d *Driver) emitAnomaly(e *flow.Event, s *flowState, a *pendingAnomaly) {
	count := a.count
	a.count = 0
	d.emit(e, s, SessionEvent{
		Type: AnomalyEvent, Time: a.time, Reason: a.kind.Name, Detail: a.detail,
		Severity: a.kind.Severity, Count: count, Side: a.side, HasSide: true,
	})
}
