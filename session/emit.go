package session

import (
	"fmt"

	"flowscope/flow"
	"flowscope/ingest"
)

// prepare begins the next event of a flow. Every event but a tick takes the next
// sequence number. The caller sets what the type needs and calls send.
func (d *Driver) prepare(e *flow.Event, s *flowState, t EventType, at ingest.Timestamp) *SessionEvent {
	ev := &d.event
	ev.Type, ev.Time, ev.Seq, ev.Weight = t, at, s.seq, e.Flow.Weight()
	s.seq++
	ev.Start, ev.Side, ev.HasSide, ev.Message, ev.Truncated = 0, 0, false, nil, false
	ev.Reason, ev.Detail, ev.Severity, ev.Count = "", "", "", 0
	ev.Stats, ev.TCP, ev.Events, ev.Protocols = nil, nil, 0, nil
	if !d.hasInfo {
		e.Info(&d.info)
		d.hasInfo = true
	}
	return ev
}

// send hands the prepared event to the sink, as one of a protocol.
func (d *Driver) send(candidate int16) {
	ev := &d.event
	if ev.Type != Application {
		first := 0
		if candidate != noCandidate {
			first = d.all[candidate].first
		}
		ev.Topic = first + int(lifecycleOffset[ev.Type])
	}
	topic := &d.registry.topics[ev.Topic]
	ev.Protocol, ev.Kind = topic.Protocol, topic.Kind
	d.next.HandleEvent(ev)
}

// lifecycleOffset is the place of an event type's topic after the first of its
// protocol.
var lifecycleOffset = func() (offset [numEventTypes]uint8) {
	for i, t := range lifecycleTypes {
		offset[t] = uint8(i)
	}
	return offset
}()

// messageTopic finds a message's topic among those of its protocol. A kind that
// the factory did not declare is a bug of the parser, found by its contract test;
// it ends that parser.
func (d *Driver) messageTopic(first int, kind string) int {
	topics := d.registry.topics
	for i := first + len(lifecycleKinds); i < len(topics) && topics[i].Type == Application; i++ {
		if topics[i].Kind == kind {
			return i
		}
	}
	panic(fmt.Sprintf("message kind %q is not declared", kind))
}
