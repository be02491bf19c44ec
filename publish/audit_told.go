package publish

import "flowscope/session"

// sayings are what sensors told of their numbers, by run.
type sayings map[string]*saying

// place is where numbers are given within a run.
type place struct {
	worker  int
	subject string
}

type saying struct {
	ledger  map[string]uint64 // sums of the last ledger with nothing pending
	settled map[place]uint64  // its numbers
	earlier map[place]uint64  // by the heartbeat before the last
	latest  map[place]uint64
	// elsewhere counts what the stream had already, by whatever came last.
	elsewhere map[place]uint64
	blind     bool // the sensor is not told of that
}

// of is what was told of a place: the number that must have been reached, and how many
// up to there are elsewhere.
func (s sayings) of(key auditKey) LastNumber {
	told := LastNumber{Subject: key.subject, Worker: key.worker}
	if run := s[key.run]; run != nil {
		at := place{key.worker, key.subject}
		told.N, told.Elsewhere = run.want()[at], run.elsewhere[at]
	}
	return told
}

func (s sayings) add(d *Delivery) {
	key, _, err := parseSeq(d)
	if err != nil {
		return
	}
	for ev, err := range DecodeAll(d.Payload, nil) {
		if err != nil || ev.Protocol != session.SensorProtocol {
			return
		}
		raw, ok := ev.Message.(*RawMessage)
		if !ok {
			continue
		}
		if s[key.run] == nil {
			if len(s) == maxAuditRows {
				return
			}
			s[key.run] = &saying{}
		}
		s[key.run].add(ev.Kind, raw)
	}
}

func (s *saying) add(kind string, raw *RawMessage) {
	switch kind {
	case "heartbeat":
		var h Heartbeat
		if raw.Unmarshal(&h) == nil {
			s.earlier, s.latest = s.latest, s.take(h.Last)
		}
	case "ledger":
		var l struct {
			Events struct {
				Pending    uint64  `msgpack:"pending"`
				Sent       uint64  `msgpack:"sent"`
				Duplicates *uint64 `msgpack:"duplicates"`
			} `msgpack:"events"`
			Subjects map[string]uint64 `msgpack:"subjects"`
			Last     []LastNumber      `msgpack:"last"`
		}
		if raw.Unmarshal(&l) != nil {
			return
		}
		numbers := s.take(l.Last)
		s.blind = l.Events.Duplicates == nil || l.Events.Sent > 0
		// One with nothing pending tells of nothing that may still come.
		if l.Events.Pending == 0 {
			s.ledger, s.settled = l.Subjects, numbers
		}
	}
}

// take takes note of what is elsewhere and returns the numbers, nil if there are none.
func (s *saying) take(list []LastNumber) map[place]uint64 {
	if len(list) == 0 {
		return nil
	}
	numbers := make(map[place]uint64, len(list))
	s.elsewhere = map[place]uint64{}
	for _, l := range list {
		at := place{l.Worker, l.Subject}
		numbers[at] = l.N
		if l.Elsewhere > 0 {
			s.elsewhere[at] = l.Elsewhere
		}
	}
	return numbers
}

// want returns the numbers that must have been reached. The last heartbeat tells of
// events that may be under way.
func (s *saying) want() map[place]uint64 {
	if s.ledger != nil {
		return s.settled
	}
	return s.earlier
}
