package top

import (
	"cmp"
	"time"

	"flowscope/cmd/internal/status"
)

// id is one run of a sensor. The name alone is not enough: it is the host's by
// default, and two sensors on one host have it both.
type id struct{ name, run string }

// sensor is what is known of one run.
type sensor struct {
	last, before *status.Status
	first, heard time.Time // when it was heard for the first and the last time
	presence     presence
	silence      time.Duration // since heard, when that was looked at last
}

// presence is whether a sensor answers.
type presence int

const (
	live   presence = iota
	silent          // has missed more than chance explains
	lost            // so long that it is not about to come back by itself
)

// patience is after how much silence a sensor is taken for what.
type patience struct{ silent, lost, forgotten time.Duration }

// patienceOf is that of a view which asks once per interval. Two answers may be
// missed; a lost sensor stays long enough for somebody to see which one it is.
func patienceOf(interval time.Duration) patience {
	return patience{
		silent:    max(interval*5/2, time.Second),
		lost:      max(interval*10, 30*time.Second),
		forgotten: max(interval*20, 10*time.Minute),
	}
}

// hear notes what a sensor has said.
func (s *sensor) hear(said *status.Status, at time.Time) {
	s.heard = at
	switch {
	case s.last == nil:
		s.first = at
	case said.Time.Equal(s.last.Time):
		return
	case said.Time.After(s.last.Time):
		s.before = s.last
	default: // its clock was set back: no time lies between the two
		s.before = nil
	}
	s.last = said
}

// look takes the silence until now for what it is. Rates of before a silence are
// nobody's: they are not known again until the sensor speaks.
func (s *sensor) look(now time.Time, p patience) {
	s.silence = max(0, now.Sub(s.heard))
	switch {
	case s.silence > p.lost:
		s.presence = lost
	case s.silence > p.silent:
		s.presence = silent
	default:
		s.presence = live
	}
	if s.presence != live {
		s.before = nil
	}
}

// rate returns how much a count grows per second; -1 if that is not known yet.
func (s *sensor) rate(of func(*status.Status) uint64) float64 {
	if s.before == nil {
		return -1
	}
	seconds := s.last.Time.Sub(s.before.Time).Seconds()
	now, then := of(s.last), of(s.before)
	if seconds <= 0 || now < then {
		return -1
	}
	return float64(now-then) / seconds
}

// gauge is a count of what is there now: not known of a sensor that does not answer.
func (s *sensor) gauge(n uint64) float64 {
	if s.presence != live {
		return -1
	}
	return float64(n)
}

// successor is the youngest of the runs that have one name, in two respects.
type successor struct{ first, started time.Time }

func (n *successor) add(s *sensor) {
	if s.first.After(n.first) {
		n.first = s.first
	}
	if s.last.Started.After(n.started) {
		n.started = s.last.Started
	}
}

// replaces says whether s ended because its sensor was started again: another run
// was heard for the first time after s was heard for the last, or s said that it
// stops and a younger one is there. A sensor that dies beside one of the same name
// was heard together with it, and is not replaced by it.
func (n *successor) replaces(s *sensor) bool {
	return n.first.After(s.heard) ||
		s.presence != live && s.last.State == "stopping" && n.started.After(s.last.Started)
}

// compareSensors orders by name, and runs of one name by age.
func compareSensors(a, b *sensor) int {
	return cmp.Or(cmp.Compare(a.last.Sensor, b.last.Sensor), a.last.Started.Compare(b.last.Started), cmp.Compare(a.last.Run, b.last.Run))
}
