package ingest

import (
	"runtime"
	"sync/atomic"
)

// Stats counts what a Runner read.
type Stats struct {
	// Packets is the number of packets handed on.
	Packets uint64
	// Bytes is their length on the wire, as in Packet.Length.
	Bytes uint64
	// Restarts counts how often the input began anew.
	Restarts uint64
	// Clock is the highest packet time so far, 0 before the first.
	Clock Timestamp
}

// published holds the last snapshot. There is one writer; readers try again
// when it was writing, so the counters they get belong together.
type published struct {
	version                  atomic.Uint64 // odd while writing
	packets, bytes, restarts atomic.Uint64
	clock                    atomic.Int64
}

// store publishes s.
func (p *published) store(s *Stats) {
	p.version.Add(1)
	p.packets.Store(s.Packets)
	p.bytes.Store(s.Bytes)
	p.restarts.Store(s.Restarts)
	p.clock.Store(int64(s.Clock))
	p.version.Add(1)
}

// load returns the last snapshot.
func (p *published) load() Stats {
	for {
		version := p.version.Load()
		s := Stats{
			Packets:  p.packets.Load(),
			Bytes:    p.bytes.Load(),
			Restarts: p.restarts.Load(),
			Clock:    Timestamp(p.clock.Load()),
		}
		if version%2 == 0 && p.version.Load() == version {
			return s
		}
		runtime.Gosched()
	}
}
