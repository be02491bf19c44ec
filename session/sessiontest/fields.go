package sessiontest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

// CheckFields compares a message with what is wanted of it: its kind, then
// key=value for some of its fields, and -key for those that must be absent, all
// separated by blanks. Values are written as fmt does it, times as RFC 3339 with
// nanoseconds; a blank inside square brackets separates nothing.
func CheckFields(tb testing.TB, e *Emission, want string) {
	tb.Helper()
	var m map[string]any
	if err := msgpack.Unmarshal(e.Body, &m); err != nil {
		tb.Fatal(err)
	}
	kind, want, _ := strings.Cut(want, " ")
	if kind != e.Kind {
		tb.Errorf("kind %s, want %s", e.Kind, kind)
	}
	for want != "" {
		var field string
		if field, want = nextField(want); strings.HasPrefix(field, "-") {
			if v, there := m[field[1:]]; there {
				tb.Errorf("%s is %v, want none", field[1:], v)
			}
			continue
		}
		key, value, _ := strings.Cut(field, "=")
		if got := fieldText(m[key]); got != value {
			tb.Errorf("%s is %s, want %s", key, got, value)
		}
	}
}

// nextField cuts at the first blank outside of brackets.
func nextField(s string) (field, rest string) {
	depth := 0
	for i, c := range s {
		switch {
		case c == '[':
			depth++
		case c == ']':
			depth--
		case c == ' ' && depth == 0:
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

func fieldText(v any) string {
	if t, ok := v.(time.Time); ok {
		return t.UTC().Format(time.RFC3339Nano)
	}
	return fmt.Sprint(v)
}
