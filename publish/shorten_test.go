package publish

import (
	"bytes"
	"strings"
	"testing"

	"github.com/vmihailenco/msgpack/v5"

	"flowscope/session"
	"flowscope/session/pack"
)

// unshortened is an event with a message of everything that can be cut.
func bigEvent(t testing.TB, reg *session.Registry, text string, body []byte, questions int) *session.SessionEvent {
	t.Helper()
	e := queryEvent(t, reg)
	q := fakeQuery()
	q.Name, q.Body = text, body
	for range questions {
		q.Questions = append(q.Questions, question{"example.org", "A"})
	}
	e.Message = q
	return e
}

func TestShorten(t *testing.T) {
	reg := fakeRegistry(t)
	tests := []struct {
		name      string
		text      string
		body      int
		questions int
		limit     int
		wantText  int
		wantBody  int
		wantList  int // 0: all of them
	}{
		{"a long body", "short", 200 << 10, 1, 100 << 10, 5, 64 << 10, 0},
		{"much longer than allowed", "short", 200 << 10, 1, 8 << 10, 5, 4 << 10, 0},
		{"text is cut between characters", strings.Repeat("ä", 5000), 10, 1, 6 << 10, 4 << 10, 10, 0},
		{"a character over the edge", "x" + strings.Repeat("ä", 5000), 10, 1, 6 << 10, 4<<10 - 1, 10, 0},
		{"lists come last", "short", 10, 5000, 10 << 10, 5, 10, 256},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ev := bigEvent(t, reg, tt.text, make([]byte, tt.body), tt.questions)
			b, r := encodedBatch(reg, ev)
			id := string(b.ID(r))
			if !shortenRecord(b, r, tt.limit) {
				t.Fatal("not shortened")
			}
			payload := b.Payload(r)
			if len(payload) > tt.limit {
				t.Errorf("%d bytes, want at most %d", len(payload), tt.limit)
			}
			if got := string(b.ID(r)); got != id {
				t.Errorf("id %q, want %q", got, id)
			}
			got, err := Decode(payload, reg)
			if err != nil {
				t.Fatal(err)
			}
			q := got.Message.(*query)
			if !got.Truncated || len(q.Name) != tt.wantText || len(q.Body) != tt.wantBody || !strings.HasPrefix(tt.text, q.Name) {
				t.Errorf("truncated %v, text of %d bytes, body of %d", got.Truncated, len(q.Name), len(q.Body))
			}
			if want := tt.wantList; want != 0 && len(q.Questions) != want || want == 0 && len(q.Questions) != 1+tt.questions {
				t.Errorf("list of %d", len(q.Questions))
			}
			if got.Seq != ev.Seq || got.Flow.ID != ev.Flow.ID || got.Kind != ev.Kind {
				t.Errorf("the envelope has changed: %+v", got)
			}
		})
	}
}

func encodedBatch(reg *session.Registry, ev *session.SessionEvent) (*Batch, *Record) {
	b := &Batch{Buf: []byte("before")}
	start := len(b.Buf)
	var idStart, idEnd int
	b.Buf, idStart, idEnd = NewEncoder("edge-1", "r1", reg.Topics()).Append(b.Buf, ev)
	b.Records = []Record{{Start: uint32(start), End: uint32(len(b.Buf)), IDStart: uint32(idStart), IDEnd: uint32(idEnd)}}
	return b, &b.Records[0]
}

func TestNotShortened(t *testing.T) {
	reg := fakeRegistry(t)
	ev := queryEvent(t, reg)
	ev.Message = &manyKeys{1000}
	b, r := encodedBatch(reg, ev)
	before, record := bytes.Clone(b.Buf), *r
	if shortenRecord(b, r, 1000) {
		t.Error("a map was shortened")
	}
	if !bytes.Equal(b.Buf, before) || *r != record {
		t.Error("what was not shortened has changed")
	}
}

// FuzzShorten takes any value for the message: what comes out fits, is well
// formed, and the same as what goes in but for its length.
func FuzzShorten(f *testing.F) {
	reg := fakeRegistry(f)
	for _, m := range []session.Message{fakeQuery(), &manyKeys{20}, &query{Body: make([]byte, 5000)}} {
		f.Add(m.AppendMsgpack(nil), 600)
	}
	f.Add(pack.ArrayHeader(nil, 0), 10)
	f.Fuzz(func(t *testing.T, message []byte, limit int) {
		if Check(message) != nil || len(message) > 1<<20 {
			return
		}
		ev := queryEvent(t, reg)
		ev.Message = &RawMessage{Name: "query", Msgpack: message}
		b, r := encodedBatch(reg, ev)
		if Check(b.Payload(r)) != nil {
			return // one level more is one too many
		}
		before := bytes.Clone(b.Payload(r))
		ok := shortenRecord(b, r, limit)
		if err := Check(b.Payload(r)); err != nil {
			t.Fatal(err)
		}
		if !ok {
			if !bytes.Equal(before, b.Payload(r)) {
				t.Error("what was not shortened has changed")
			}
			return
		}
		if len(b.Payload(r)) > limit {
			t.Errorf("%d bytes, want at most %d", len(b.Payload(r)), limit)
		}
		var m map[string]msgpack.RawMessage
		if err := msgpack.Unmarshal(b.Payload(r), &m); err != nil {
			t.Fatal(err)
		}
		if string(m["truncated"]) != "\xc3" || len(m["message"]) > len(message) {
			t.Errorf("truncated %x, message of %d bytes made of %d", m["truncated"], len(m["message"]), len(message))
		}
	})
}
