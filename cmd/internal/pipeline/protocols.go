package pipeline

import "flowscope/session"

// Protocols returns the accounts of all protocols' parsers, over all workers. It
// may be called from any goroutine.
func (l *Pipeline) Protocols() []session.ProtocolCounters {
	var sum session.Counters
	for _, d := range l.drivers {
		c := d.Stats()
		sum.Add(&c)
	}
	return sum.Protocols
}
