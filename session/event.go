package session

import (
	"strconv"
	"time"

	"flowscope/flow"
	"flowscope/ingest"
)

// EventType is the envelope's event field.
type EventType uint8

// The event types.
const (
	Started EventType = iota
	Application
	ParserClosed
	Closed
	AnomalyEvent
	Tick
	Sensor
	numEventTypes
)

var eventTypeNames = [numEventTypes]string{"started", "application", "parser_closed", "closed", "anomaly", "tick", "sensor"}

// String returns the type as it stands in the envelope.
func (t EventType) String() string {
	if t < numEventTypes {
		return eventTypeNames[t]
	}
	return "unknown"
}

// ParseEventType is the reverse of String.
func ParseEventType(s string) (EventType, bool) {
	for i, n := range eventTypeNames {
		if n == s {
			return EventType(i), true
		}
	}
	return 0, false
}

// SessionEvent is one event on its way to the sink, or as a consumer receives
// it. On the way to the sink it is borrowed as a whole: the sink encodes it
// before it returns.
type SessionEvent struct {
	Type EventType
	// Topic is the registry's number of protocol and kind; -1 in decoded
	// events of a protocol that the registry does not know.
	Topic int
	// Protocol and Kind are the last two tokens of the subject.
	Protocol, Kind string
	// Time is the capture time of the packet that completed the event, or the
	// deadline that caused it.
	Time ingest.Timestamp
	// Start is the time of the first packet of a message that took several, 0
	// otherwise.
	Start ingest.Timestamp
	// Sensor and Run name who made the event.
	Sensor, Run string
	// Seq counts the events of the flow from 0; for ticks it counts ticks, for
	// sensor events the events of the run.
	Seq uint64
	// Flow is nil for events about the sensor.
	Flow *flow.Info
	// Side is the sender of a message; HasSide says whether there is one.
	Side    flow.Side
	HasSide bool
	// Message is the typed message of an application event, or the body of an
	// event about the sensor.
	Message Message
	// Truncated says that something was shortened or cut off.
	Truncated bool
	// Weight is n when one flow stands for n, 0 or 1 otherwise.
	Weight int
	// Reason and Detail belong to parser_closed, closed and anomaly.
	Reason, Detail string
	// Severity and Count belong to anomaly: how many were folded into this one.
	Severity Severity
	Count    uint64
	// Stats belongs to closed and tick.
	Stats *flow.Stats
	// TCP belongs to closed and tick of TCP flows, nil for others.
	TCP *flow.TCPStats
	// Events is the number of events of the flow including this one, for closed
	// and tick.
	Events uint64
	// Protocols lists all protocols that matched, for closed.
	Protocols []string
}

// AppendID appends the event's unique id: flow id and seq; for ticks flow id, t
// and number; for sensor events run and number.
func (e *SessionEvent) AppendID(b []byte) []byte {
	if e.Flow == nil {
		b = append(append(b, e.Run...), '-')
		return strconv.AppendUint(b, e.Seq, 10)
	}
	b = appendHex(b, e.Flow.ID[:])
	b = append(b, '-')
	if e.Type == Tick {
		b = append(b, 't')
	}
	return strconv.AppendUint(b, e.Seq, 10)
}

// ID returns AppendID as a string.
func (e *SessionEvent) ID() string { return string(e.AppendID(nil)) }

func appendHex(b, v []byte) []byte {
	const digits = "0123456789abcdef"
	for _, c := range v {
		b = append(b, digits[c>>4], digits[c&15])
	}
	return b
}

// Sink is the stage after the session layer. Each worker has one, and calls it
// from one goroutine only.
type Sink interface {
	// HandleEvent takes one event, borrowed until it returns.
	HandleEvent(e *SessionEvent)
	// Tick says that a batch of packets is done and what the input's clock is;
	// what was buffered may go out.
	Tick(now time.Time)
	// Close says that there are no more events. It is called once, last.
	Close()
}
