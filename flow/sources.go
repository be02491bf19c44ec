package flow

import (
	"math"

	"flowscope/ingest"
)

// sources numbers the interfaces that flows began on, so that a flow's record
// needs no pointer. What comes after the 65,535th shares the last number.
type sources struct {
	list []*ingest.Interface
	last *ingest.Interface
	ref  uint16
}

func (s *sources) index(i *ingest.Interface) uint16 {
	if i == s.last {
		return s.ref
	}
	s.last = i
	for n := len(s.list) - 1; n >= 0 && n >= len(s.list)-16; n-- {
		if s.list[n].Name == i.Name {
			s.ref = uint16(n)
			return s.ref
		}
	}
	if len(s.list) < math.MaxUint16 {
		s.list = append(s.list, i)
	}
	s.ref = uint16(len(s.list) - 1)
	return s.ref
}

func (s *sources) name(ref uint16) string { return s.list[ref].Name }
