package integration

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

var (
	markdownLink = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	fencedBlock  = regexp.MustCompile("(?ms)^```[a-z]*\n.*?^```$")
)

// TestDocumentLinks follows every link of the documents that stays in the tree,
// to the file and to the heading.
func TestDocumentLinks(t *testing.T) {
	docs, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, doc := range append(docs, "../README.md") {
		text, err := os.ReadFile(doc)
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range markdownLink.FindAllStringSubmatch(fencedBlock.ReplaceAllString(string(text), ""), -1) {
			target, heading, _ := strings.Cut(link[1], "#")
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			file := doc
			if target != "" {
				file = filepath.Join(filepath.Dir(doc), target)
			}
			content, err := os.ReadFile(file)
			if info, statErr := os.Stat(file); statErr == nil && info.IsDir() {
				err = nil
			}
			switch {
			case err != nil:
				t.Errorf("%s links to %s: %v", doc, link[1], err)
			case heading != "" && !headingAnchors(string(content))[heading]:
				t.Errorf("%s links to %s: there is no such heading", doc, link[1])
			}
		}
	}
}

// headingAnchors returns the headings of a document as they stand in links.
func headingAnchors(doc string) map[string]bool {
	found := map[string]bool{}
	for line := range strings.Lines(fencedBlock.ReplaceAllString(doc, "")) {
		if !strings.HasPrefix(line, "#") {
			continue
		}
		anchor := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_':
				return unicode.ToLower(r)
			default:
				return -1
			}
		}, strings.TrimSpace(strings.TrimLeft(line, "#")))
		found[anchor] = true
	}
	return found
}
