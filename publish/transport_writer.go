package publish

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
)

// Format is a rendition of events.
type Format string

// The formats.
const (
	JSON    Format = "json"    // one object per line
	Text    Format = "text"    // one line per event, for people
	Msgpack Format = "msgpack" // maps one after another
)

// ParseFormat is for flags; the error lists the formats.
func ParseFormat(s string) (Format, error) {
	switch f := Format(s); f {
	case JSON, Text, Msgpack:
		return f, nil
	}
	return "", fmt.Errorf("format %q: want json, text or msgpack", s)
}

// writer renders events to a stream of bytes.
type writer struct {
	p    *Publisher
	w    io.Writer
	f    Format
	buf  []byte
	ends []int // where each counted event ends in buf
	err  error
}

// NewWriter returns a Transport that writes each batch to w with one call.
// Events count as written once w has taken all of their bytes.
func NewWriter(w io.Writer, f Format) (Transport, error) {
	if _, err := ParseFormat(string(f)); err != nil {
		return nil, err
	}
	return &writer{w: w, f: f}, nil
}

var _ Transport = (*writer)(nil)

func (w *writer) bind(p *Publisher)           { w.p = p }
func (w *writer) run(context.Context)         {}
func (w *writer) flush(context.Context) error { return w.err }
func (w *writer) cause() error                { return w.err }
func (w *writer) close() error                { return nil }
func (w *writer) ready() error                { return nil }
func (w *writer) reload() error               { return nil }

func (w *writer) publish(_ context.Context, b *Batch) error {
	if w.err != nil {
		return w.err
	}
	w.buf, w.ends = w.buf[:0], w.ends[:0]
	for i := range b.Records {
		w.render(b, &b.Records[i])
	}
	n, err := w.w.Write(w.buf)
	done := 0
	for done < len(w.ends) && w.ends[done] <= n {
		done++
	}
	w.p.account.settle(written, uint64(done))
	w.p.queue.recycle(b)
	if err != nil {
		w.err = outputError(err)
	}
	return w.err
}

func (w *writer) render(b *Batch, r *Record) {
	start := len(w.buf)
	var err error
	switch w.f {
	case JSON:
		w.buf, err = AppendJSON(w.buf, b.Payload(r))
		w.buf = append(w.buf, '\n')
	case Text:
		w.buf, err = AppendText(w.buf, b.Payload(r))
		w.buf = append(w.buf, '\n')
	default:
		w.buf = append(w.buf, b.Payload(r)...)
	}
	if err != nil {
		w.buf = w.buf[:start]
		w.p.refuse(b, r, "rendering", err.Error())
		return
	}
	if !r.Sensor {
		w.ends = append(w.ends, len(w.buf))
	}
}

func outputError(err error) error {
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrClosedPipe) {
		return fmt.Errorf("%w: %w", ErrClosedPipe, err)
	}
	return fmt.Errorf("write events: %w", err)
}
