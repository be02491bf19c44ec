// Package printer writes events to a stream as a consumer asked for them.
//
// In go payloads as they come from NATS, borrowed until Print returns; out come
// lines of JSON or text, or the msgpack itself. Output is gathered and written in
// large pieces, at the latest a moment later by a goroutine that Close ends. All
// methods may be called from any goroutine.
//
// The package does not decide which events are wanted.
package printer

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"syscall"
	"time"

	"flowscope/publish"
)

const (
	// full is how much is gathered before it is written, in bytes.
	full = 64 << 10
	// linger is how long what was gathered waits for more.
	linger = 50 * time.Millisecond
)

// Printer gathers and writes.
type Printer struct {
	mu     sync.Mutex
	w      io.Writer
	format publish.Format
	buf    []byte
	err    error

	stop   chan struct{}
	closed sync.Once
	wait   sync.WaitGroup
}

// New returns a printer that writes to w.
func New(w io.Writer, format publish.Format) *Printer {
	p := &Printer{w: w, format: format, stop: make(chan struct{})}
	p.wait.Go(func() {
		tick := time.NewTicker(linger)
		defer tick.Stop()
		for {
			select {
			case <-p.stop:
				return
			case <-tick.C:
				p.Flush() // the error stays for the next caller
			}
		}
	})
	return p
}

// Print takes one payload, of one event or of several. A payload that cannot be rendered is an error of type
// *PayloadError, after which printing may go on; any other error is the output's
// and final, publish.ErrClosedPipe if its reader has gone.
func (p *Printer) Print(payload []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return p.err
	}
	if len(payload) == 0 {
		return &PayloadError{publish.ErrCutShort}
	}
	for one, err := range publish.Payloads(payload) {
		var b []byte
		before := len(p.buf)
		if err == nil {
			b, err = p.render(one)
		}
		if err != nil {
			p.buf = p.buf[:before]
			return &PayloadError{err}
		}
		p.buf = b
	}
	if len(p.buf) >= full {
		p.flush()
	}
	return p.err
}

func (p *Printer) render(payload []byte) ([]byte, error) {
	switch p.format {
	case publish.JSON:
		b, err := publish.AppendJSON(p.buf, payload)
		return append(b, '\n'), err
	case publish.Text:
		b, err := publish.AppendText(p.buf, payload)
		return append(b, '\n'), err
	default:
		if err := publish.Check(payload); err != nil {
			return nil, err
		}
		return append(p.buf, payload...), nil
	}
}

// Flush writes what was gathered.
func (p *Printer) Flush() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.flush()
	return p.err
}

func (p *Printer) flush() {
	if len(p.buf) == 0 || p.err != nil {
		return
	}
	_, err := p.w.Write(p.buf)
	p.buf = p.buf[:0]
	switch {
	case err == nil:
	case errors.Is(err, syscall.EPIPE), errors.Is(err, io.ErrClosedPipe):
		p.err = fmt.Errorf("%w: %w", publish.ErrClosedPipe, err)
	default:
		p.err = fmt.Errorf("write events: %w", err)
	}
}

// Close writes the rest. It is safe to call twice.
func (p *Printer) Close() error {
	p.closed.Do(func() { close(p.stop) })
	p.wait.Wait()
	return p.Flush()
}

// PayloadError says that a payload is no event that can be rendered.
type PayloadError struct{ Err error }

// Error says why.
func (e *PayloadError) Error() string { return "not an event: " + e.Err.Error() }

// Unwrap returns Err.
func (e *PayloadError) Unwrap() error { return e.Err }
