package publish

import "slices"

// spares are batches to be used again, the latest first.
type spares struct {
	idle     []*Batch
	unneeded int // the fewest there were since the last review
}

func (s *spares) put(b *Batch) { s.idle = append(s.idle, b) }

// take returns nil if there is none.
func (s *spares) take() *Batch {
	n := len(s.idle)
	s.unneeded = min(s.unneeded, max(n-1, 0))
	if n == 0 {
		return nil
	}
	b := s.idle[n-1]
	s.idle[n-1] = nil
	s.idle = s.idle[:n-1]
	return b
}

// review forgets those that nobody needed since the last review. It returns how much
// memory they hold.
func (s *spares) review() (bytes int) {
	for _, b := range s.idle[:s.unneeded] {
		bytes += b.cost()
	}
	s.idle = slices.Delete(s.idle, 0, s.unneeded)
	s.unneeded = len(s.idle)
	return bytes
}
