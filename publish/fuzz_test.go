package publish

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/vmihailenco/msgpack/v5"

	"flowscope/session"
)

func addSeeds(f *testing.F) {
	r := fakeRegistry(f)
	e := NewEncoder("edge-1", "r1", r.Topics())
	for _, ev := range []*session.SessionEvent{queryEvent(f, r), closedEvent(f, r)} {
		payload, _, _ := e.Append(nil, ev)
		f.Add(payload)
	}
	f.Add([]byte{0xdd, 0x7f, 0xff, 0xff, 0xff})
	f.Add([]byte{0x81, 0xa1, 'k', 0x92, 0xc4, 1, 0xff, 0xd7, 0xff, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Add(object("message", object("k", []byte{0xc7, 12, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1})))
}

// FuzzCheck compares Check with a plain walk, and hands what passes to a general
// library, which must survive it.
func FuzzCheck(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		err := Check(data)
		r := reader{b: data}
		plain := walk(&r, 1)
		if plain == nil && r.pos != len(data) {
			plain = ErrTrailing
		}
		if (err == nil) != (plain == nil) {
			t.Fatalf("Check: %v, plain walk: %v", err, plain)
		}
		if err == nil {
			var v any
			_ = msgpack.Unmarshal(data, &v)
		}
	})
}

// walk reads one value by recursion.
func walk(r *reader, depth int) error {
	var v value
	if err := r.next(&v); err != nil {
		return err
	}
	n := 0
	switch v.format {
	case mapFormat:
		n = 2 * v.n
	case arrayFormat:
		n = v.n
	default:
		return nil
	}
	if depth > MaxDepth {
		return ErrTooDeep
	}
	for range n {
		if err := walk(r, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func FuzzDecode(f *testing.F) {
	addSeeds(f)
	r := fakeRegistry(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		checked := Check(data)
		ev, err := Decode(data, r)
		switch {
		case checked != nil && !errors.Is(err, checked):
			t.Fatalf("Check: %v, Decode: %v", checked, err)
		case (ev == nil) != (err != nil):
			t.Fatalf("Decode: %v, %v", ev, err)
		}
		if j, err := AppendJSON(nil, data); err == nil && (checked != nil || !json.Valid(j)) {
			t.Fatalf("JSON that is none: %s", j)
		}
		if text, err := AppendText(nil, data); err == nil && (checked != nil || len(controls(string(text))) > 0) {
			t.Fatalf("text with controls: %q", text)
		}
		if err != nil {
			return
		}
		// A decoded event is one that an encoder can write and Decode reads again.
		payload, _, _ := NewEncoder("s", "r", r.Topics()).Append(nil, ev)
		again, err := Decode(payload, r)
		if err != nil {
			t.Fatalf("encoded again: %v", err)
		}
		second, _, _ := NewEncoder("s", "r", r.Topics()).Append(nil, again)
		if string(second) != string(payload) {
			t.Fatalf("encoded twice:\n%x\n%x", payload, second)
		}
	})
}
