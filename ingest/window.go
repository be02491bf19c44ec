package ingest

import (
	"errors"
	"io"
)

const (
	// windowSize is what is read at once. It fits the second level cache of
	// common machines, so records are still warm when they are cut.
	windowSize = 256 << 10
	// maxEmptyReads is how often in a row a reader may return nothing.
	maxEmptyReads = 100
)

// errNothingYet says that a pipe has nothing to read at the moment. It is the
// only error of a window that does not stick.
var errNothingYet = errors.New("nothing to read yet")

// window is the read buffer that records are cut from. The unread bytes are
// buf[start:end], and buf[0] is byte base of the stream.
type window struct {
	src        io.Reader
	buf        []byte
	start, end int
	base       int64
	err        error
}

// unread returns the bytes at the front that are not consumed yet.
func (w *window) unread() []byte { return w.buf[w.start:w.end] }

// offset returns where the unread bytes begin in the stream.
func (w *window) offset() int64 { return w.base + int64(w.start) }

// fill reads more bytes behind the unread ones, which it moves to the front of
// the buffer: everything cut before becomes invalid. need is how many unread
// bytes the caller waits for; the buffer grows towards it by doubling, so that
// a length that is a lie costs no more than twice what was really there.
func (w *window) fill(need int) error {
	if w.err != nil {
		return w.err
	}
	if w.start > 0 {
		copy(w.buf, w.buf[w.start:w.end])
		w.base += int64(w.start)
		w.end -= w.start
		w.start = 0
	}
	if w.end == len(w.buf) {
		grown := make([]byte, max(min(2*len(w.buf), need), w.end+1))
		copy(grown, w.buf)
		w.buf = grown
	}
	return w.read(min(len(w.buf), max(need, windowSize)))
}

// read reads once into buf[end:limit].
func (w *window) read(limit int) error {
	for range maxEmptyReads {
		n, err := w.src.Read(w.buf[w.end:limit])
		w.end += n
		if err != nil && !errors.Is(err, errNothingYet) {
			w.err = err
		}
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	w.err = io.ErrNoProgress
	return w.err
}
