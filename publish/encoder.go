package publish

import (
	"slices"
	"unsafe"

	"flowscope/flow"
	"flowscope/session"
	"flowscope/session/pack"
)

// Version is the envelope's v.
const Version = 1

// envelopeSpace is more than an envelope with its flow and statistics usually
// takes; the buffer grows by it once instead of several times.
const envelopeSpace = 1 << 10

// Encoder writes events as msgpack. What stays the same over many events (the
// topic's part of the envelope, the latest flow's map) is kept encoded. An Encoder
// belongs to one goroutine.
type Encoder struct {
	sensor, run string
	topics      []topicPart
	flow        flowMap
}

// topicPart is the run of envelope pairs that all events of a topic share.
type topicPart struct {
	session.Topic
	pairs []byte // sensor, run, event, protocol, kind
}

// NewEncoder returns an encoder of one sensor's run. topics are those of the
// registry that numbered SessionEvent.Topic. An event without Sensor or Run takes
// these; an event that names another topic, sensor or run than the encoder knows
// is encoded just as well, only slower.
func NewEncoder(sensor, run string, topics []session.Topic) *Encoder {
	e := &Encoder{sensor: sensor, run: run, topics: make([]topicPart, len(topics))}
	for i, t := range topics {
		e.topics[i] = topicPart{t, appendTopicPairs(nil, sensor, run, t)}
	}
	return e
}

// Append appends the event as one msgpack map and returns the grown slice, and
// where in it the event's id stands. It keeps nothing of the event. What is empty
// is left out. An event's Flow must not change while its ID stays the same.
func (e *Encoder) Append(b []byte, ev *session.SessionEvent) (out []byte, idStart, idEnd int) {
	b = slices.Grow(b, envelopeSpace)
	var flowMap []byte
	if ev.Flow != nil {
		flowMap = e.flow.encoded(ev.Flow)
	}
	// The header counts at most 19 pairs; it always takes three bytes, so that it
	// can be filled in last.
	start := len(b)
	pairs := 8 // v, id, ts, sensor, run, event, protocol, kind
	b = append(b, "\xde\x00\x00\xa1v\x01\xa2id"...)
	b, idStart, idEnd = e.appendID(b, ev, flowMap)
	b = append(b, "\xa2ts"...)
	b = pack.Time(b, int64(ev.Time))
	if ev.Start != 0 {
		pairs++
		b = append(b, "\xa8start_ts"...)
		b = pack.Time(b, int64(ev.Start))
	}
	b = e.appendTopic(b, ev)
	if ev.Flow != nil && ev.Type != session.Tick {
		pairs++
		b = append(b, "\xa3seq"...)
		b = pack.Uint(b, ev.Seq)
	}
	if flowMap != nil {
		pairs++
		b = append(b, "\xa4flow"...)
		b = append(b, flowMap...)
	}
	if ev.HasSide {
		pairs++
		if ev.Side == flow.Initiator {
			b = append(b, "\xa4side\xa9initiator"...)
		} else {
			b = append(b, "\xa4side\xa9responder"...)
		}
	}
	if ev.Message != nil {
		pairs++
		b = append(b, "\xa7message"...)
		b = ev.Message.AppendMsgpack(b)
	}
	if ev.Truncated {
		pairs++
		b = append(b, "\xa9truncated\xc3"...)
	}
	if ev.Weight > 1 {
		pairs++
		b = append(b, "\xa6weight"...)
		b = pack.Uint(b, uint64(ev.Weight))
	}
	if ev.Type != session.Application {
		b, pairs = appendCircumstances(b, ev, pairs)
	}
	b[start+1], b[start+2] = byte(pairs>>8), byte(pairs)
	return b, idStart, idEnd
}

// appendCircumstances appends the pairs that only events other than messages
// have.
func appendCircumstances(b []byte, ev *session.SessionEvent, pairs int) ([]byte, int) {
	if ev.Reason != "" {
		pairs++
		b = append(b, "\xa6reason"...)
		b = pack.TextString(b, ev.Reason)
	}
	if ev.Detail != "" {
		pairs++
		b = append(b, "\xa6detail"...)
		b = pack.TextString(b, ev.Detail)
	}
	if ev.Severity != "" {
		pairs++
		b = append(b, "\xa8severity"...)
		b = pack.TextString(b, string(ev.Severity))
	}
	if ev.Count != 0 {
		pairs++
		b = append(b, "\xa5count"...)
		b = pack.Uint(b, ev.Count)
	}
	if ev.Stats != nil {
		pairs++
		b = append(b, "\xa5stats"...)
		b = appendStats(b, ev)
	}
	if len(ev.Protocols) != 0 {
		pairs++
		b = append(b, "\xa9protocols"...)
		b = pack.ArrayHeader(b, len(ev.Protocols))
		for _, p := range ev.Protocols {
			b = pack.TextString(b, p)
		}
	}
	return b, pairs
}

// appendID appends the id as a str. That of an event with a flow takes 34 to 54
// bytes, hence a header of two; the hex digits are at hand in the flow's map.
func (e *Encoder) appendID(b []byte, ev *session.SessionEvent, flowMap []byte) (out []byte, start, end int) {
	if flowMap == nil {
		run := ev.Run
		if run == "" {
			run = e.run
		}
		n := len(run) + 1 + decimalLen(ev.Seq)
		b = pack.StringHeader(b, n)
		start = len(b)
		b = append(append(b, run...), '-')
		b = appendDecimal(b, ev.Seq)
		return b, start, len(b)
	}
	b = append(b, 0xd9, 0)
	start = len(b)
	digits := (*[flowIDLen]byte)(flowMap[flowIDStart:])
	b = append(append(b, digits[:16]...), digits[16:]...) // in place, see appendKey
	b = append(b, '-')
	if ev.Type == session.Tick {
		b = append(b, 't')
	}
	b = appendDecimal(b, ev.Seq)
	b[start-1] = byte(len(b) - start)
	return b, start, len(b)
}

func (e *Encoder) appendTopic(b []byte, ev *session.SessionEvent) []byte {
	if uint(ev.Topic) < uint(len(e.topics)) {
		t := &e.topics[ev.Topic]
		if ev.Type == t.Type && same(ev.Kind, t.Kind) && same(ev.Protocol, t.Protocol) &&
			(ev.Run == "" || same(ev.Run, e.run)) && (ev.Sensor == "" || same(ev.Sensor, e.sensor)) {
			return append(b, t.pairs...)
		}
	}
	sensor, run := ev.Sensor, ev.Run
	if sensor == "" {
		sensor = e.sensor
	}
	if run == "" {
		run = e.run
	}
	return appendTopicPairs(b, sensor, run, session.Topic{Protocol: ev.Protocol, Kind: ev.Kind, Type: ev.Type})
}

// same is a == b, in place for what it nearly always is: one string and itself.
func same(a, b string) bool {
	return len(a) == len(b) && (unsafe.StringData(a) == unsafe.StringData(b) || a == b)
}

func appendTopicPairs(b []byte, sensor, run string, t session.Topic) []byte {
	b = pack.TextString(pack.String(b, "sensor"), sensor)
	b = pack.TextString(pack.String(b, "run"), run)
	b = pack.String(pack.String(b, "event"), t.Type.String())
	b = pack.TextString(pack.String(b, "protocol"), t.Protocol)
	return pack.TextString(pack.String(b, "kind"), t.Kind)
}
