package input

import (
	"errors"
	"fmt"
	"sync/atomic"

	"flowscope/ingest"
	"flowscope/ingest/filter"
)

// Filtered is a source without the packets that do not pass an expression.
type Filtered struct {
	src        ingest.Source
	expression *filter.Expression
	last       *ingest.Interface
	program    filter.Program // for the link type of last
	pass       bool           // packets of that link type cannot be filtered
	filtered   atomic.Uint64
}

var (
	_ ingest.Source  = (*Filtered)(nil)
	_ ingest.Live    = (*Filtered)(nil)
	_ ingest.Clocked = (*Filtered)(nil)
	_ ingest.Lossy   = (*Filtered)(nil)
)

// Filter returns a source that leaves out packets of src, which it owns from then
// on. Packets of a link type that cannot be filtered pass: no such link type can be
// decoded, so that they are counted for that, as they are without a filter.
func Filter(src ingest.Source, e *filter.Expression) *Filtered {
	return &Filtered{src: src, expression: e}
}

// ReadBatch implements ingest.Source. It returns nothing where nothing of a batch
// has passed.
func (f *Filtered) ReadBatch(packets []ingest.Packet) (int, error) {
	n, err := f.src.ReadBatch(packets)
	passed := 0
	for i := range packets[:n] {
		p := &packets[i]
		if p.Interface != f.last {
			if compileErr := f.compile(p.Interface); compileErr != nil {
				n, err = i, compileErr
				break
			}
		}
		if f.pass || f.program.Match(p.Data, p.Length) {
			packets[passed] = *p
			passed++
		}
	}
	f.filtered.Add(uint64(n - passed))
	return passed, err
}

func (f *Filtered) compile(at *ingest.Interface) error {
	if f.last == nil || f.last.LinkType != at.LinkType {
		program, err := f.expression.Compile(uint32(at.LinkType), false)
		var unknown *filter.LinkError
		f.pass = errors.As(err, &unknown)
		if err != nil && !f.pass {
			return fmt.Errorf("%s: %w", at.Name, err)
		}
		f.program = program
	}
	f.last = at
	return nil
}

// Losses implements ingest.Lossy.
func (f *Filtered) Losses() ingest.Losses {
	l := lossesOf(f.src)
	l.Filtered += f.filtered.Load()
	return l
}

func lossesOf(src ingest.Source) ingest.Losses {
	if l, ok := src.(ingest.Lossy); ok {
		return l.Losses()
	}
	return ingest.Losses{}
}

// Close implements ingest.Source.
func (f *Filtered) Close() error { return f.src.Close() }

// Live implements ingest.Live.
func (f *Filtered) Live() bool {
	live, ok := f.src.(ingest.Live)
	return ok && live.Live()
}

// Clock implements ingest.Clocked.
func (f *Filtered) Clock() (ingest.Timestamp, bool) {
	if c, ok := f.src.(ingest.Clocked); ok {
		return c.Clock()
	}
	return 0, false
}
