package integration

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// fact is one thing that another project says about a capture.
type fact struct {
	Cap  string         `json:"cap"`
	Kind string         `json:"kind"`
	F    map[string]any `json:"f"`
	From string         `json:"from"`
	GT   string         `json:"gt"`
	Note map[string]any `json:"note"`

	// id is a hash of all of the above, with the number of its occurrence where
	// a fact is given more than once.
	id string
	// project is the part of From after the owner: arkime, zeek …
	project string
}

func (f *fact) String() string {
	text, _ := json.Marshal(f.F)
	if len(text) > 200 {
		text = append(text[:200], "…"...)
	}
	return fmt.Sprintf("%s %s %s/%s %s", f.id, f.Cap, f.project, f.Kind, text)
}

// str returns a field as text, "" where there is none.
func (f *fact) str(key string) string { return asText(f.F[key]) }

// num returns a field as a number, -1 where there is none.
func (f *fact) num(key string) int64 {
	n, err := strconv.ParseInt(f.str(key), 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// list returns a field that is a list of texts.
func (f *fact) list(key string) []string {
	values, _ := f.F[key].([]any)
	var texts []string
	for _, v := range values {
		texts = append(texts, asText(v))
	}
	return texts
}

// match returns what a fact of Suricata's tests asks of an event.
func (f *fact) match() map[string]any {
	m, _ := f.F["match"].(map[string]any)
	return m
}

func asText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	default:
		return fmt.Sprint(v)
	}
}

// loadFacts reads all facts of the corpus in order.
func loadFacts(tb testing.TB) []*fact {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join(corpusDir(tb), "conformance", "FACTS.jsonl"))
	if err != nil {
		tb.Fatal(err)
	}
	seen := map[string]int{}
	var facts []*fact
	for _, line := range bytes.Split(bytes.TrimSpace(text), []byte("\n")) {
		f := &fact{}
		d := json.NewDecoder(bytes.NewReader(line))
		d.UseNumber()
		if err := d.Decode(f); err != nil {
			tb.Fatalf("FACTS.jsonl: %v", err)
		}
		_, f.project, _ = strings.Cut(f.From, "+")
		canonical, err := json.Marshal([]any{f.Cap, f.Kind, f.F, f.From, f.GT, f.Note})
		if err != nil {
			tb.Fatal(err)
		}
		sum := sha256.Sum256(canonical)
		f.id = hex.EncodeToString(sum[:5])
		if seen[f.id]++; seen[f.id] > 1 {
			f.id += "#" + strconv.Itoa(seen[f.id])
		}
		facts = append(facts, f)
	}
	return facts
}
