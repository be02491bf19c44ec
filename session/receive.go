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
	topic := d.messageTopic(d.all[d.who].first, m.Message.Kind())
	d.all[d.who].count.Messages++
	ev := d.prepare(d.cur, s, Application, m.Time)
	ev.Start, ev.Side, ev.HasSide, ev.Message, ev.Truncated = m.Start, m.Side, true, m.Message, m.Truncated
	ev.Topic = topic
	d.inside.store(0) // the sink may wait
	d.send(d.who)
	d.inside.store(d.calls)
}

// Anomaly passes an anomaly on unless one of its name went out just before.
func (r *receiver) Anomaly(t *AnomalyType, side flow.Side, detail string) {
	d := (*Driver)(r)
	a := pendingAnomaly{kind: t, side: side, time: d.out.now, candidate: d.who}
	if p, pass := d.limiter.raise(d.cur.Slot, a, clip(detail)); pass {
		d.inside.store(0)
		d.emitAnomaly(d.cur, &d.states[d.cur.Slot], p)
		d.inside.store(d.calls)
	}
}

// minWake is the least packet time until a wake-up, so that a parser that asks for
// one again and again moves time on.
const minWake = time.Millisecond

// WakeAt sets the parser's wake-up.
func (r *receiver) WakeAt(t ingest.Timestamp) {
	if t != 0 {
		t = max(t, r.out.now.Add(minWake))
	}
	if r.run == nil {
		r.cur.Flow.WakeAt(t)
		return
	}
	r.run.wake = t
	r.conns[r.states[r.cur.Slot].conn].rearm(r.cur.Flow)
}

// SetIdle sets the flow's idle time-out.
func (r *receiver) SetIdle(d time.Duration) { r.cur.Flow.SetIdle(d) }

// emitAnomaly sends an anomaly, as one of the protocol whose parser raised it, or
// of the flow's.
func (d *Driver) emitAnomaly(e *flow.Event, s *flowState, a *pendingAnomaly) {
	count := a.count
	a.count = 0
	ev := d.prepare(e, s, AnomalyEvent, a.time)
	ev.Reason, ev.Detail, ev.Severity, ev.Count = a.kind.Name, string(a.detail), a.kind.Severity, count
	ev.Side, ev.HasSide = a.side, true
	if a.candidate == noCandidate {
		d.send(s.candidate)
	} else {
		d.send(a.candidate)
	}
}

// flowAnomaly passes on what the flow stage has noticed; it waits while the flow's
// protocol is not known.
func (d *Driver) flowAnomaly(e *flow.Event, s *flowState) {
	a := pendingAnomaly{kind: e.Anomaly, side: e.Side, time: e.Time, candidate: noCandidate}
	if s.phase == probing {
		d.limiter.note(e.Slot, a, clip(e.Detail))
	} else if p, pass := d.limiter.raise(e.Slot, a, clip(e.Detail)); pass {
		d.emitAnomaly(e, s, p)
	}
}

// sensorAnomaly passes on what concerns no flow. All of a name in an interval are
// one event.
func (d *Driver) sensorAnomaly(e *flow.Event) {
	if a, pass := d.limiter.raise(noSlot, pendingAnomaly{kind: e.Anomaly, time: e.Time}, clip(e.Detail)); pass {
		d.sendSensorAnomaly(a)
	}
}

func (d *Driver) sendSensorAnomaly(a *pendingAnomaly) {
	topic := d.registry.first[SensorProtocol] + sensorAnomalyOffset
	d.next.HandleEvent(&SessionEvent{
		Type: Sensor, Topic: topic, Protocol: SensorProtocol, Kind: sensorKinds[sensorAnomalyOffset],
		Time: a.time, Sensor: d.id.Sensor, Run: d.id.Run,
		Reason: a.kind.Name, Detail: string(a.detail), Severity: a.kind.Severity, Count: a.count,
	})
	a.count = 0
}

// noSlot is no flow's.
const noSlot = ^uint32(0)

// sensorAnomalyOffset is the place of anomaly in sensorKinds.
const sensorAnomalyOffset = 3

// ticked passes periodic statistics on. While the flow's protocol is not known
// there are none.
func (d *Driver) ticked(e *flow.Event, s *flowState) {
	if s.phase == probing {
		return
	}
	n := d.ticks[e.Slot]
	d.ticks[e.Slot] = n + 1
	events := s.seq
	ev := d.prepare(e, s, Tick, e.Time)
	s.seq = events // ticks take none
	ev.Seq, ev.Stats, ev.TCP, ev.Events = n, e.Flow.Stats(), e.TCP(), events
	d.send(s.candidate)
}
