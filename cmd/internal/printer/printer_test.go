package printer

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"flowscope/publish"
)

// event is a payload by another implementation.
func event(t testing.TB) []byte {
	b, err := msgpack.Marshal(map[string]any{"v": 1, "kind": "query", "protocol": "dns"})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestFormats(t *testing.T) {
	var out bytes.Buffer
	p := New(&out, publish.JSON)
	for range 2 {
		if err := p.Print(event(t)); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	lines := json.NewDecoder(&out)
	for range 2 {
		var got map[string]any
		if err := lines.Decode(&got); err != nil || got["kind"] != "query" {
			t.Errorf("%v, %v", got, err)
		}
	}
	p = New(&out, publish.Msgpack)
	payload := event(t)
	p.Print(payload)
	p.Close()
	if !bytes.HasSuffix(out.Bytes(), payload) {
		t.Errorf("% x", out.Bytes())
	}
}

// A bad payload leaves nothing behind, and does not stop the next one.
func TestBadPayload(t *testing.T) {
	for _, format := range []publish.Format{publish.JSON, publish.Text, publish.Msgpack} {
		var out bytes.Buffer
		p := New(&out, format)
		var bad *PayloadError
		if err := p.Print([]byte{0xdd, 0x7f, 0xff, 0xff, 0xff}); !errors.As(err, &bad) {
			t.Errorf("%s: %v", format, err)
		}
		if err := p.Print(event(t)); err != nil {
			t.Errorf("%s: %v", format, err)
		}
		p.Close()
		if bytes.Contains(out.Bytes(), []byte{0x7f, 0xff}) || out.Len() == 0 {
			t.Errorf("%s: % x", format, out.Bytes())
		}
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestOutputErrors(t *testing.T) {
	p := New(failing{syscall.EPIPE}, publish.JSON)
	p.Print(event(t))
	if err := p.Close(); !errors.Is(err, publish.ErrClosedPipe) {
		t.Error(err)
	}
	p = New(failing{io.ErrShortWrite}, publish.JSON)
	p.Print(event(t))
	if err := p.Flush(); !errors.Is(err, io.ErrShortWrite) || errors.Is(err, publish.ErrClosedPipe) {
		t.Error(err)
	}
	p.Close()
}

// What was gathered is written without anybody asking.
func TestLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := New(&out, publish.JSON)
		p.Print(event(t))
		time.Sleep(linger + linger/2) // synthetic time
		p.mu.Lock()
		if out.Len() == 0 {
			t.Error("nothing was written")
		}
		p.mu.Unlock()
		p.Close()
	})
}

func BenchmarkPrint(b *testing.B) {
	b.ReportAllocs()
	p, payload := New(io.Discard, publish.JSON), event(b)
	defer p.Close()
	for range b.N {
		p.Print(payload)
	}
}
