package publish

import (
	"bytes"
	"errors"
	"fmt"
	"iter"

	"flowscope/session"
)

// ErrVersion is returned for an event whose v is not Version.
var ErrVersion = errors.New("event of another version than 1")

// Decode unpacks the one event in data into memory of its own. Messages of
// protocols and kinds that reg knows get the type that their factory names, all
// others become a *RawMessage, as with a nil reg; Topic is then -1. Keys of the
// envelope that this version does not know are passed over. Times are in UTC.
//
// data may come from anywhere: what Check refuses is an error, and so is an
// envelope with a value of the wrong type, without one of v, id, ts, event,
// protocol and kind, or with an id that does not belong to its flow and seq.
func Decode(data []byte, reg *session.Registry) (*session.SessionEvent, error) {
	if err := Check(data); err != nil {
		return nil, fmt.Errorf("decode event: %w", err)
	}
	ev, err := decodeChecked(data, reg)
	if err != nil {
		return nil, fmt.Errorf("decode event: %w", err)
	}
	return ev, nil
}

// DecodeAll unpacks the events that stand in data one after another: a payload
// with one event, or a batch. The first error is handed over and ends it.
func DecodeAll(data []byte, reg *session.Registry) iter.Seq2[*session.SessionEvent, error] {
	return func(yield func(*session.SessionEvent, error) bool) {
		for payload, err := range Payloads(data) {
			if err != nil {
				yield(nil, fmt.Errorf("decode event: %w", err))
				return
			}
			ev, err := decodeChecked(payload, reg)
			if err != nil {
				yield(nil, fmt.Errorf("decode event: %w", err))
				return
			}
			if !yield(ev, nil) {
				return
			}
		}
	}
}

// Payloads splits data into the events that stand in it one after another, each
// of them borrowed from data and checked as by Check. The first error is handed
// over and ends it.
func Payloads(data []byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for rest := data; len(rest) > 0; {
			n, err := measure(rest)
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(rest[:n:n], nil) {
				return
			}
			rest = rest[n:]
		}
	}
}

func decodeChecked(data []byte, reg *session.Registry) (*session.SessionEvent, error) {
	var e envelope
	if err := e.read(data); err != nil {
		return nil, err
	}
	ev := &e.event
	ev.Topic = -1
	if reg != nil {
		if topic, ok := reg.TopicOf(ev.Protocol, ev.Kind); ok {
			ev.Topic = topic
		}
	}
	if !bytes.Equal(ev.AppendID(nil), e.id) {
		return nil, fmt.Errorf("id %q does not belong to the event's flow and seq", e.id)
	}
	if e.message != nil {
		m, err := decodeMessage(e.message, ev.Protocol, ev.Kind, reg)
		if err != nil {
			return nil, err
		}
		ev.Message = m
	}
	return ev, nil
}
