package ingest

import "time"

// beganAnew is how far before the clock an input must begin to be taken as a
// new beginning, and not as one more file of the same capture.
const beganAnew = 60 * time.Second

// stamper gives packets what they have only in the whole input: clock, number,
// and a time where they carry none.
type stamper struct {
	Stats
	timed bool      // a time was seen
	last  Timestamp // of the previous packet
	input int       // of the previous packet
	fresh bool      // no packet with a time came from this input yet
}

// newStamper returns a stamper before the first packet.
func newStamper() stamper { return stamper{input: -1} }

// stamp stamps packets from the front and returns how many. It stops before a
// packet with which the input begins anew; the clock then stands at that
// packet's time, and it stamps it when called again.
func (s *stamper) stamp(packets []Packet) int {
	for i := range packets {
		p := &packets[i]
		if p.Interface.Input != s.input {
			s.input = p.Interface.Input
			s.fresh = true
		}
		if p.Time == 0 {
			p.Time = s.last
		} else if p.Time > s.Clock || s.fresh || !s.timed {
			if s.restarts(p.Time) {
				return i
			}
		}
		s.last = p.Time
		s.Packets++
		s.Bytes += uint64(p.Length)
		p.Number = s.Packets
		p.Clock = s.Clock
	}
	return len(packets)
}

// restarts moves the clock for a packet's time and reports whether it began
// anew.
func (s *stamper) restarts(t Timestamp) bool {
	fresh := s.fresh
	s.fresh = false
	if fresh && s.timed && t < s.Clock && t < s.Clock.Add(-beganAnew) {
		s.Clock = t
		s.Restarts++
		return true
	}
	if !s.timed || t > s.Clock {
		s.timed = true
		s.Clock = t
	}
	return false
}

// advance moves the clock while there are no packets. It reports whether it
// moved.
func (s *stamper) advance(now Timestamp) bool {
	if s.timed && now <= s.Clock {
		return false
	}
	s.timed = true
	s.Clock = now
	return true
}
