package sessiontest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestReadGolden wants back what was written.
func TestReadGolden(t *testing.T) {
	want := map[string]any{
		"text": "HELLO", "bytes": []byte{0xff, 0}, "time": time.Unix(1_700_000_000, 5).UTC(), "flag": true,
		"list": []any{map[string]any{"hex": "ff", "n": json.Number("1")}, []byte{1}},
		"max":  json.Number("18446744073709551615"),
	}
	text, err := json.Marshal([]GoldenFlow{{Protocol: "lines", Messages: []GoldenMessage{{
		Kind: "said", Message: toGolden(map[string]any{
			"text": "HELLO", "bytes": []byte{0xff, 0}, "time": time.Unix(1_700_000_000, 5), "flag": true,
			"list": []any{map[string]any{"hex": "ff", "n": 1}, []byte{1}},
			"max":  uint64(1<<64 - 1),
		}).(map[string]any),
	}}}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "lines.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, ReadGolden(t, file)[0].Messages[0].Message); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
