package publish

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"

	"flowscope/flow"
	"flowscope/session"
)

// envelope is a decoded event together with what stands in the payload beside it.
type envelope struct {
	event   session.SessionEvent
	id      []byte // borrowed
	message []byte // borrowed; nil if there is none
	seen    uint8  // required keys
}

// The keys without which there is no event.
const (
	seenVersion = 1 << iota
	seenID
	seenTime
	seenEvent
	seenProtocol
	seenKind
	seenAll = 1<<iota - 1
)

// read takes in a checked payload.
func (e *envelope) read(data []byte) error {
	f := fields{reader: reader{b: data}}
	for range f.mapOf("event") {
		e.readPair(&f)
	}
	switch {
	case f.err != nil:
		return f.err
	case e.seen != seenAll:
		return errors.New("an event has v, id, ts, event, protocol and kind: some are missing")
	}
	settleStats(&e.event)
	return e.splitID()
}

func (e *envelope) readPair(f *fields) {
	ev := &e.event
	switch f.key {
	case "v":
		if f.uint() != Version && f.err == nil {
			f.err = ErrVersion
		}
		e.seen |= seenVersion
	case "id":
		e.id = f.text()
		e.seen |= seenID
	case "ts":
		setTime(&ev.Time, f.time())
		e.seen |= seenTime
	case "start_ts":
		setTime(&ev.Start, f.time())
	case "sensor":
		ev.Sensor = f.string()
	case "run":
		ev.Run = f.string()
	case "event":
		name := f.string()
		t, ok := session.ParseEventType(name)
		if !ok {
			f.fail("unknown event type %q", name)
		}
		ev.Type = t
		e.seen |= seenEvent
	case "protocol":
		ev.Protocol = f.string()
		e.seen |= seenProtocol
	case "kind":
		ev.Kind = f.string()
		e.seen |= seenKind
	case "seq":
		ev.Seq = f.uint()
	case "flow":
		ev.Flow = readFlow(f)
	case "side":
		ev.Side, ev.HasSide = readSide(f), true
	case "message":
		e.message = f.rawMap()
	case "truncated":
		ev.Truncated = f.bool()
	case "weight":
		ev.Weight = int(f.uintUpTo(math.MaxInt32))
	case "reason":
		ev.Reason = f.string()
	case "detail":
		ev.Detail = f.string()
	case "severity":
		ev.Severity = session.Severity(f.string())
	case "count":
		ev.Count = f.uint()
	case "stats":
		readStats(f, ev)
	case "protocols":
		ev.Protocols = nil
		for range f.array() {
			ev.Protocols = append(ev.Protocols, f.string())
		}
	default:
		f.pass()
	}
}

// splitID takes the number out of ids whose event has no seq: those of ticks and
// of the sensor's events.
func (e *envelope) splitID() error {
	if e.event.Flow != nil && e.event.Type != session.Tick {
		return nil
	}
	number := bytes.TrimPrefix(e.id[bytes.LastIndexByte(e.id, '-')+1:], []byte("t"))
	seq, err := strconv.ParseUint(string(number), 10, 64)
	if err != nil {
		return fmt.Errorf("id %q does not end in a number", e.id)
	}
	e.event.Seq = seq
	return nil
}

func readSide(f *fields) flow.Side {
	switch name := f.string(); name {
	case "initiator":
		return flow.Initiator
	case "responder":
		return flow.Responder
	default:
		f.fail("want initiator or responder, have %q", name)
		return 0
	}
}

// setTime stores nanoseconds in a timestamp of whichever name.
func setTime[T ~int64](dst *T, ns int64) { *dst = T(ns) }
