package ingest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync/atomic"
)

// stdinPath is the path that stands for standard input, and stdinName what
// users see of it.
const (
	stdinPath = "-"
	stdinName = "stdin"
)

// probeSize is what is read of each file to see whether it is a capture.
const probeSize = 4 << 10

// files reads capture files one after another.
type files struct {
	paths []string
	sizes []int64 // as stored, 0 of what is not a regular file
	total int64   // 0 if one of them is unknown

	next    int // the path to open next
	current *capture
	file    *os.File
	buf     []byte       // passed on from file to file
	pipe    bool         // current may have to wait for its bytes
	read    atomic.Int64 // stored bytes read so far

	broken []error // of the files behind us
	err    error   // how it ended
}

var (
	_ Source   = (*files)(nil)
	_ Live     = (*files)(nil)
	_ Progress = (*files)(nil)
)

// Open returns a Source that reads one capture file, or standard input for "-".
// It fails if the file cannot be read or is not a capture file; what is read
// from a pipe is only looked at by the first ReadBatch.
func Open(path string) (Source, error) { return OpenFiles([]string{path}) }

// OpenFiles returns a Source that reads capture files in the given order as one
// input; Interface.Input numbers them from 0. All of them are looked at now,
// so that a wrong path is an error before the first packet, and opened one
// after another.
//
// A damaged file does not stop the ones after it: the source goes on, and at
// the end returns what was wrong, all of it joined, in place of io.EOF. Each
// damage is a *DamageError. A pipe that has nothing to read for a while makes
// ReadBatch return 0 and no error.
func OpenFiles(paths []string) (Source, error) {
	if len(paths) == 0 {
		return nil, errors.New("no capture file given")
	}
	f := &files{paths: slices.Clone(paths), sizes: make([]int64, len(paths))}
	known := true
	for i, path := range f.paths {
		if path == stdinPath && slices.Contains(f.paths[:i], stdinPath) {
			return nil, errors.New("standard input can be read only once")
		}
		size, regular, err := check(path, i)
		if err != nil {
			return nil, err
		}
		f.sizes[i] = size
		f.total += size
		known = known && regular
	}
	if !known {
		f.total = 0
	}
	return f, nil
}

// check looks at a file without keeping it open. Damage is left for later: it
// does not make the file a wrong one.
func check(path string, input int) (size int64, regular bool, err error) {
	if path == stdinPath {
		return 0, false, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return 0, false, fmt.Errorf("open capture file: %w", err)
	}
	if info.IsDir() {
		return 0, false, fmt.Errorf("open capture file: %s is a directory", path)
	}
	if !info.Mode().IsRegular() {
		return 0, false, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return 0, false, fmt.Errorf("open capture file: %w", err)
	}
	defer file.Close()
	var damage *DamageError
	if err := newCapture(file, path, input, make([]byte, probeSize)).detect(); err != nil && !errors.As(err, &damage) {
		return 0, false, err
	}
	return info.Size(), true, nil
}

// ReadBatch implements Source.
func (f *files) ReadBatch(packets []Packet) (int, error) {
	for f.err == nil {
		if f.current == nil && !f.open() {
			continue
		}
		n, err := f.current.ReadBatch(packets)
		if err != nil {
			f.finish(err)
		}
		if n > 0 || err == nil {
			return n, nil
		}
	}
	return 0, f.err
}

// open opens the next file. It reports false if there is none to read now: it
// could not be opened, or all are done.
func (f *files) open() bool {
	if f.next == len(f.paths) {
		f.err = io.EOF
		switch len(f.broken) {
		case 0:
		case 1:
			f.err = f.broken[0]
		default:
			f.err = errors.Join(f.broken...)
		}
		return false
	}
	path, input := f.paths[f.next], f.next
	f.next++
	name := path
	if path == stdinPath {
		f.file, name = os.Stdin, stdinName
	} else {
		file, err := os.Open(path)
		if err != nil {
			f.broken = append(f.broken, fmt.Errorf("open capture file: %w", err))
			return false
		}
		f.file = file
	}
	var r io.Reader = &counting{f.file, &f.read}
	if f.pipe = !isRegular(f.file); f.pipe {
		r = newWaiting(f.file, r)
	}
	if f.buf == nil {
		f.buf = make([]byte, windowSize)
	}
	f.current = newCapture(r, name, input, f.buf)
	return true
}

// isRegular reports whether reading never has to wait for somebody.
func isRegular(file *os.File) bool {
	info, err := file.Stat()
	return err == nil && info.Mode()&fs.ModeType == 0
}

// finish ends the current file.
func (f *files) finish(err error) {
	if err != io.EOF {
		f.broken = append(f.broken, err)
	}
	f.closeCurrent()
	if f.total > 0 {
		var behind int64 // also what was not read of a damaged file
		for _, size := range f.sizes[:f.next] {
			behind += size
		}
		f.read.Store(behind)
	}
}

// closeCurrent releases the current file.
func (f *files) closeCurrent() {
	if f.file != nil && f.file != os.Stdin {
		f.file.Close() // opened for reading: nothing can be lost
	}
	f.current, f.file, f.pipe = nil, nil, false
}

// Close implements Source.
func (f *files) Close() error {
	f.closeCurrent()
	f.buf = nil
	if f.err == nil {
		f.err = io.EOF
	}
	return nil
}

// Live reports whether the current input is a pipe, whose packets may come one
// by one.
func (f *files) Live() bool { return f.pipe }

// Progress implements Progress. It may be called from any goroutine.
func (f *files) Progress() (done, total int64) {
	done = f.read.Load()
	if f.total > 0 { // a file may have grown since
		done = min(done, f.total)
	}
	return done, f.total
}

// counting counts the bytes read.
type counting struct {
	r io.Reader
	n *atomic.Int64
}

// Read implements io.Reader.
func (c *counting) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n.Add(int64(n))
	return n, err
}
