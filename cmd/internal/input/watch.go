package input

import (
	"errors"
	"fmt"

	"flowscope/flow"
	"flowscope/ingest"
)

// maxUnsupported bounds how many interfaces are named; the others are counted.
const maxUnsupported = 16

// Watcher is a source that notices link types which cannot be decoded.
type Watcher struct {
	src   ingest.Source
	last  *ingest.Interface // looked at already
	bad   []linkType
	more  int
	known map[linkType]bool
}

type linkType struct {
	name   string
	number ingest.LinkType
}

var (
	_ ingest.Source   = (*Watcher)(nil)
	_ ingest.Live     = (*Watcher)(nil)
	_ ingest.Clocked  = (*Watcher)(nil)
	_ ingest.Progress = (*Watcher)(nil)
)

// Watch returns a source that watches src, and owns it from then on.
func Watch(src ingest.Source) *Watcher {
	return &Watcher{src: src, known: map[linkType]bool{}}
}

// ReadBatch implements ingest.Source.
func (w *Watcher) ReadBatch(packets []ingest.Packet) (int, error) {
	n, err := w.src.ReadBatch(packets)
	for i := range packets[:n] {
		if at := packets[i].Interface; at != w.last {
			w.last = at
			w.look(at)
		}
	}
	return n, err
}

func (w *Watcher) look(at *ingest.Interface) {
	t := linkType{at.Name, at.LinkType}
	if flow.SupportsLinkType(at.LinkType) || w.known[t] {
		return
	}
	if len(w.bad) == maxUnsupported {
		w.more++
		return
	}
	w.known[t] = true
	w.bad = append(w.bad, t)
}

// Unsupported says which inputs had packets of link types that cannot be decoded;
// nil if there were none. It is for the time after the run.
func (w *Watcher) Unsupported() error {
	var errs []error
	for _, t := range w.bad {
		errs = append(errs, fmt.Errorf("%s: link type %d is not supported, its packets were counted and not decoded", t.name, t.number))
	}
	if w.more > 0 {
		errs = append(errs, errors.New("more inputs have link types that are not supported"))
	}
	return errors.Join(errs...)
}

// Close implements ingest.Source.
func (w *Watcher) Close() error { return w.src.Close() }

// Live implements ingest.Live.
func (w *Watcher) Live() bool {
	live, ok := w.src.(ingest.Live)
	return ok && live.Live()
}

// Clock implements ingest.Clocked.
func (w *Watcher) Clock() (ingest.Timestamp, bool) {
	if c, ok := w.src.(ingest.Clocked); ok {
		return c.Clock()
	}
	return 0, false
}

// Progress implements ingest.Progress. Any goroutine may call it.
func (w *Watcher) Progress() (done, total int64) {
	if p, ok := w.src.(ingest.Progress); ok {
		return p.Progress()
	}
	return 0, 0
}
