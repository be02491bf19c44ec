package sessiontest

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vmihailenco/msgpack/v5"
)

// complaints records what a check says.
type complaints struct {
	testing.TB
	list []string
}

func (c *complaints) Helper() {}

func (c *complaints) Errorf(format string, args ...any) {
	c.list = append(c.list, fmt.Sprintf(format, args...))
}

func TestCheckFields(t *testing.T) {
	body, err := msgpack.Marshal(map[string]any{"id": 7, "names": []string{"a", "b c"}})
	if err != nil {
		t.Fatal(err)
	}
	for want, complaint := range map[string][]string{
		"query id=7 names=[a b c] -none": nil,
		"answer id=7":                    {"kind query, want answer"},
		"query id=8":                     {"id is 7, want 8"},
		"query -id":                      {"id is 7, want none"},
		"query size=1 id=7":              {"size is <nil>, want 1"},
	} {
		c := &complaints{TB: t}
		CheckFields(c, &Emission{Kind: "query", Body: body}, want)
		if diff := cmp.Diff(complaint, c.list); diff != "" {
			t.Errorf("%s: -want +got:\n%s", want, diff)
		}
	}
}
