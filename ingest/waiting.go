package ingest

import (
	"io"
	"os"
)

// patience is how long a read from a pipe waits before it says that there is
// nothing yet, in milliseconds: it bounds how late a stop is noticed.
const patience = 100

// waiting reads from a pipe, a terminal or a socket, and returns errNothingYet
// when there was nothing to read for a while.
type waiting struct {
	file *os.File
	r    io.Reader
	poll poller
}

// newWaiting returns a reader of r, which reads file.
func newWaiting(file *os.File, r io.Reader) *waiting {
	return &waiting{file: file, r: r}
}

// Read implements io.Reader.
func (w *waiting) Read(b []byte) (int, error) {
	if !w.poll.readable(w.file) {
		return 0, errNothingYet
	}
	return w.r.Read(b)
}

// packed returns the reader without patience, for gzip, to whom every error is
// the end.
func (w *waiting) packed() io.Reader { return w.r }
