package ingest

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
)

// format cuts the records of one capture format.
type format interface {
	// cut fills packets with the whole records at the front of w and consumes
	// them. need is how many unread bytes the next one takes, as far as its
	// front tells. bad, if not nil, is what is wrong with it.
	cut(w *window, packets []Packet) (n int, need int64, bad *fault)
	// limit is the longest record that is not damage.
	limit() int
	// short says where and what is missing: the file ends after rest.
	short(rest []byte, need int64) (skip int, reason string)
	// long says that a record is longer than the limit.
	long(need int64) (skip int, reason string)
}

// fault is what is wrong with the bytes at a record's start plus skip.
type fault struct {
	skip   int
	reason string
}

// faultf makes a fault.
func faultf(skip int, format string, args ...any) *fault {
	return &fault{skip: skip, reason: fmt.Sprintf(format, args...)}
}

// capture reads one stream of packets in a capture format.
type capture struct {
	name     string
	input    int
	win      window
	unpacked bool   // win is behind gzip
	format   format // nil until detected
	err      error  // what ended it
}

// NewReader returns a Source that reads pcap or pcapng from r, either of them
// plain or packed with gzip. It reads from r as far as it needs to tell which,
// and fails if it is none of them. name is what Interface.Name and errors say.
//
// The source never closes r. Its offsets in a *DamageError count from where r
// stood.
func NewReader(r io.Reader, name string) (Source, error) {
	c := newCapture(r, name, 0, make([]byte, windowSize))
	for {
		err := c.detect()
		if errors.Is(err, errNothingYet) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return c, nil
	}
}

// newCapture returns a capture that reads into buf, which it may replace, and
// knows nothing of its format yet.
func newCapture(r io.Reader, name string, input int, buf []byte) *capture {
	return &capture{name: name, input: input, win: window{src: r, buf: buf}}
}

// Close implements Source. The stream belongs to whoever opened it.
func (c *capture) Close() error {
	c.err = io.EOF
	c.win = window{err: io.EOF}
	return nil
}

// ReadBatch implements Source.
func (c *capture) ReadBatch(packets []Packet) (int, error) {
	if c.err == nil && c.format == nil {
		c.err = c.detect()
	}
	for c.err == nil {
		n, need, bad := c.format.cut(&c.win, packets)
		if bad != nil {
			c.err = c.damage(bad.skip, bad.reason, nil)
			return n, c.err
		}
		if n > 0 || len(packets) == 0 {
			return n, nil
		}
		c.err = c.more(need)
	}
	if errors.Is(c.err, errNothingYet) {
		c.err = nil
		return 0, nil
	}
	return 0, c.err
}

// more reads on until a record of need bytes may be cut. It tells the regular
// end from damage.
func (c *capture) more(need int64) error {
	long := need > int64(c.format.limit())
	if long && len(c.win.unread()) >= windowSize {
		skip, reason := c.format.long(need)
		return c.damage(skip, reason, nil)
	}
	want := windowSize // so much is read of a long record to see whether the file ends in it
	if !long {
		want = int(need)
	}
	err := c.win.fill(want)
	switch {
	case err == nil:
		return nil
	case err == io.EOF && len(c.win.unread()) == 0:
		return io.EOF
	case err == io.EOF:
		skip, reason := c.format.short(c.win.unread(), need)
		return c.damage(skip, reason, nil)
	case errors.Is(err, errNothingYet) && long:
		skip, reason := c.format.long(need)
		return c.damage(skip, reason, nil)
	default:
		return c.broken(err)
	}
}

// broken says that reading or unpacking failed.
func (c *capture) broken(err error) error {
	if errors.Is(err, errNothingYet) {
		return err
	}
	reason := "cannot read on"
	if c.unpacked {
		reason = "cannot unpack"
	}
	return c.damage(len(c.win.unread()), reason, err)
}

// damage returns the error for the unread byte skip.
func (c *capture) damage(skip int, reason string, err error) error {
	return &DamageError{
		File: c.name, Offset: c.win.offset() + int64(skip), Unpacked: c.unpacked,
		Reason: reason, Err: err,
	}
}

// detect finds out the format from the first bytes.
func (c *capture) detect() error {
	const magic = 4
	for len(c.win.unread()) < magic {
		err := c.win.fill(magic)
		if err == io.EOF {
			return c.unknown()
		}
		if err != nil {
			return c.broken(err)
		}
	}
	front := c.win.unread()
	switch {
	case isGzip(front) && !c.unpacked:
		return c.unpack()
	case bytes.HasPrefix(front, []byte{0x0a, 0x0d, 0x0d, 0x0a}):
		c.format = &pcapng{name: c.name, input: c.input}
		return nil
	}
	p, ok := newPcap(front, c.name, c.input)
	if !ok {
		return c.unknown()
	}
	if p == nil {
		return c.pcapHeader()
	}
	c.win.start += pcapHeaderSize
	c.format = p
	return nil
}

// pcapHeader reads on until the file header is there.
func (c *capture) pcapHeader() error {
	err := c.win.fill(pcapHeaderSize)
	if err == nil {
		return c.detect()
	}
	if err == io.EOF {
		return c.damage(0, fmt.Sprintf("file header has %d bytes, file has %d",
			pcapHeaderSize, len(c.win.unread())), nil)
	}
	return c.broken(err)
}

// isGzip tells gzip from the capture formats (RFC 1952 section 2.3.1).
func isGzip(front []byte) bool { return front[0] == 0x1f && front[1] == 0x8b && front[2] == 8 }

// unpack puts gzip between the stream and the window.
func (c *capture) unpack() error {
	packed := c.win.src
	if w, ok := packed.(*waiting); ok {
		packed = w.packed()
	}
	reader, err := gzip.NewReader(io.MultiReader(bytes.NewReader(bytes.Clone(c.win.unread())), packed))
	if err != nil {
		return c.damage(0, "cannot unpack", err)
	}
	c.win = window{src: reader, buf: c.win.buf}
	c.unpacked = true
	return c.detect()
}

// unknown says that this is no capture.
func (c *capture) unknown() error {
	const want = "want pcap, pcapng or gzip"
	front := c.win.unread()
	switch {
	case c.unpacked && len(front) == 0:
		return fmt.Errorf("%s: not a capture file: nothing inside the gzip, want pcap or pcapng", c.name)
	case c.unpacked:
		return fmt.Errorf("%s: not a capture file: inside the gzip it starts with % x, want pcap or pcapng",
			c.name, front[:min(4, len(front))])
	case len(front) == 0:
		return fmt.Errorf("%s: not a capture file: empty, %s", c.name, want)
	default:
		return fmt.Errorf("%s: not a capture file: starts with % x, %s", c.name, front[:min(4, len(front))], want)
	}
}
