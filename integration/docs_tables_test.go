package integration

import (
	"fmt"
	"slices"
	"strings"
)

// docTable is one table of a document that follows from the code. It stands
// between the lines <!-- begin name --> and <!-- end name -->.
type docTable struct {
	name string
	head []string
	// rows hold all cells; if written is set, all but the last of head, which
	// people write.
	rows    [][]string
	written bool
}

func (t *docTable) begin() string { return "<!-- begin " + t.name + " -->\n" }
func (t *docTable) end() string   { return "<!-- end " + t.name + " -->\n" }

// region returns the bounds of what stands between the table's marks.
func (t *docTable) region(doc string) (start, end int, err error) {
	if strings.Count(doc, t.begin()) != 1 || strings.Count(doc, t.end()) != 1 {
		return 0, 0, fmt.Errorf("table %q: want the lines %q and %q once each", t.name, strings.TrimSpace(t.begin()), strings.TrimSpace(t.end()))
	}
	start = strings.Index(doc, t.begin()) + len(t.begin())
	end = strings.Index(doc, t.end())
	if end < start {
		return 0, 0, fmt.Errorf("table %q ends before it begins", t.name)
	}
	return start, end, nil
}

// check says what is wrong with the table as it stands in the document.
func (t *docTable) check(doc string) (findings []string) {
	start, end, err := t.region(doc)
	if err != nil {
		return []string{err.Error()}
	}
	fail := func(format string, args ...any) {
		findings = append(findings, fmt.Sprintf("table %q: "+format, append([]any{t.name}, args...)...))
	}
	have := tableRows(doc[start:end])
	if len(have) == 0 || !slices.Equal(have[0], t.head) {
		fail("want the heading %q", tableLine(t.head))
		return findings
	}
	have = have[1:]
	cells := len(t.head)
	if t.written {
		cells--
	}
	var order []string
	for _, row := range have {
		if len(row) != len(t.head) {
			fail("row %q: want %d cells", tableLine(row), len(t.head))
			continue
		}
		if t.written && row[cells] == "" {
			fail("row %q says nothing", row[0])
		}
		line := tableLine(row[:cells])
		if slices.Contains(order, line) {
			fail("row stands twice: %s", line)
		}
		order = append(order, line)
	}
	var want []string
	for _, row := range t.rows {
		want = append(want, tableLine(row))
	}
	for _, line := range want {
		if !slices.Contains(order, line) {
			fail("no row %s", line)
		}
	}
	for _, line := range order {
		if !slices.Contains(want, line) {
			fail("stale row %s", line)
		}
	}
	if len(findings) == 0 && !slices.Equal(order, want) {
		fail("want the order\n%s", strings.Join(want, "\n"))
	}
	return findings
}

// rewrite returns the document with the table made anew; what people wrote stays
// with its key.
func (t *docTable) rewrite(doc string) (string, error) {
	start, end, err := t.region(doc)
	if err != nil {
		return doc, err
	}
	meanings := map[string]string{}
	for _, row := range tableRows(doc[start:end]) {
		meaning := row[len(row)-1]
		meanings[row[0]], meanings[strings.Join(row[:len(row)-1], "|")] = meaning, meaning
	}
	var b strings.Builder
	b.WriteString(doc[:start])
	b.WriteString(tableLine(t.head) + "\n|" + strings.Repeat("---|", len(t.head)) + "\n")
	for _, row := range t.rows {
		if t.written {
			meaning, same := meanings[strings.Join(row, "|")]
			if !same {
				meaning = meanings[row[0]]
			}
			row = append(slices.Clone(row), meaning)
		}
		b.WriteString(tableLine(row) + "\n")
	}
	b.WriteString(doc[end:])
	return b.String(), nil
}

func tableLine(cells []string) string { return "| " + strings.Join(cells, " | ") + " |" }

// tableRows reads a table, the heading first, without the line below it.
func tableRows(text string) (rows [][]string) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|---") {
			continue
		}
		line = strings.TrimSuffix(strings.TrimPrefix(line, "|"), "|")
		cells := strings.Split(line, "|")
		for i, c := range cells {
			cells[i] = strings.TrimSpace(c)
		}
		rows = append(rows, cells)
	}
	return rows
}
