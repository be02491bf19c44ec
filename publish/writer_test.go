package publish

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

func TestWriterFormats(t *testing.T) {
	const n = 250
	tests := []struct {
		format Format
		ids    func(t *testing.T, out []byte) []string
	}{
		{JSON, func(t *testing.T, out []byte) (ids []string) {
			for line := range bytes.Lines(out) {
				var v struct{ ID string }
				if err := json.Unmarshal(line, &v); err != nil {
					t.Fatal(err)
				}
				ids = append(ids, v.ID)
			}
			return ids
		}},
		{Msgpack, func(t *testing.T, out []byte) (ids []string) {
			r := bytes.NewReader(out)
			for dec := msgpack.NewDecoder(r); ; {
				v, err := dec.DecodeMap()
				if err != nil {
					return ids
				}
				ids = append(ids, v["id"].(string))
			}
		}},
		{Text, func(t *testing.T, out []byte) []string {
			return slices.Repeat([]string{""}, bytes.Count(out, []byte{'\n'}))
		}},
	}
	for _, tt := range tests {
		t.Run(string(tt.format), func(t *testing.T) {
			var out bytes.Buffer
			tr, err := NewWriter(&out, tt.format)
			if err != nil {
				t.Fatal(err)
			}
			reg := deliveryRegistry(t)
			p := runPublisher(t, DefaultConfig(), Options{Registry: reg}, tr)
			sink, m := p.Sink(0), newMaker(reg, 1)
			var want []string
			for range n {
				e := m.event(t, "dns", "query")
				want = append(want, e.ID())
				sink.HandleEvent(e)
			}
			sink.Close()
			if err := p.Close(within(t, 20*time.Second)); err != nil {
				t.Fatal(err)
			}
			l := p.Ledger()
			checkBalance(t, l)
			if l.Events.Written != n {
				t.Errorf("%+v", l.Events)
			}
			got := tt.ids(t, out.Bytes())
			if tt.format == Text {
				want = make([]string, n)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%d events in the output, want %d with the same ids in order", len(got), n)
			}
		})
	}
}

func TestWriterEndsWithItsReader(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	tr, err := NewWriter(w, JSON)
	if err != nil {
		t.Fatal(err)
	}
	reg := deliveryRegistry(t)
	p := runPublisher(t, DefaultConfig(), Options{Registry: reg}, tr)
	sink, m := p.Sink(0), newMaker(reg, 1)
	for range 5000 {
		sink.HandleEvent(m.event(t, "dns", "query"))
	}
	sink.Close()
	if err := <-p.result; !errors.Is(err, ErrClosedPipe) {
		t.Errorf("Run: %v", err)
	}
	if err := p.Close(within(t, 20*time.Second)); !errors.Is(err, ErrClosedPipe) {
		t.Errorf("Close: %v", err)
	}
	l := p.Ledger()
	checkBalance(t, l)
	if l.Events.Pending != 5000 {
		t.Errorf("%+v", l.Events)
	}
}

// shortWriter takes some bytes and then fails.
type shortWriter struct{ room int }

var errDisk = errors.New("no space left")

func (w *shortWriter) Write(b []byte) (int, error) {
	n := min(len(b), w.room)
	w.room -= n
	if n < len(b) {
		return n, errDisk
	}
	return n, nil
}

func TestWriterCountsWholeEventsOnly(t *testing.T) {
	reg := deliveryRegistry(t)
	size := len(sampleQuery(t))
	tr, err := NewWriter(&shortWriter{room: 3*size + 1}, Msgpack)
	if err != nil {
		t.Fatal(err)
	}
	p := runPublisher(t, DefaultConfig(), Options{Registry: reg}, tr)
	sink, m := p.Sink(0), newMaker(reg, 1)
	for range 5 {
		sink.HandleEvent(m.event(t, "dns", "query"))
	}
	sink.Close()
	var lost *NotAcknowledgedError
	if err := p.Close(within(t, 20*time.Second)); !errors.As(err, &lost) || lost.N != 2 || !errors.Is(err, errDisk) {
		t.Errorf("Close: %v, want 2 lost to the disk", err)
	}
	if l := p.Ledger(); l.Events.Written != 3 || l.Events.Pending != 2 {
		t.Errorf("%+v", l.Events)
	}
}

func sampleQuery(t *testing.T) []byte {
	t.Helper()
	r := deliveryRegistry(t)
	out, _, _ := NewEncoder("test", "run1", r.Topics()).Append(nil, newMaker(r, 1).event(t, "dns", "query"))
	return out
}
