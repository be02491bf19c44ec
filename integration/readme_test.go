package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const moduleRoot = ".."

// markdownBlock is one fenced block of a document.
type markdownBlock struct {
	language string
	text     string
}

// markdownBlocks returns the fenced blocks in order.
func markdownBlocks(doc string) (blocks []markdownBlock) {
	inside := false
	for line := range strings.Lines(doc) {
		language, fence := strings.CutPrefix(line, "```")
		switch {
		case fence && inside:
			inside = false
		case fence:
			inside = true
			blocks = append(blocks, markdownBlock{language: strings.TrimSpace(language)})
		case inside:
			blocks[len(blocks)-1].text += line
		}
	}
	return blocks
}

func readmeText(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(moduleRoot, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// readmeSection returns the text below a heading of the second level.
func readmeSection(t *testing.T, doc, heading string) string {
	t.Helper()
	_, rest, ok := strings.Cut(doc, "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("README.md has no heading ## %s", heading)
	}
	text, _, _ := strings.Cut(rest, "\n## ")
	return text
}

// TestReadmeStart runs the README's first command and looks for what the README
// says that it prints.
func TestReadmeStart(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("bash is not installed: the README's commands are for a shell")
	}
	var script, shown string
	for _, b := range markdownBlocks(readmeSection(t, readmeText(t), "Start")) {
		switch {
		case b.language == "sh" && script == "":
			script = b.text
		case b.language == "text" && script != "" && shown == "":
			shown = b.text
		}
	}
	command, _, _ := strings.Cut(script, "\n")
	if !strings.HasPrefix(command, "go run ./cmd/flowscope replay ") || shown == "" {
		t.Fatalf("want a sh block that begins with go run ./cmd/flowscope replay, and a text block after it; have %q", command)
	}
	run := exec.Command(bash, "-c", command)
	run.Dir = moduleRoot
	printed, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, printed)
	}
	if line, ok := linesInOrder(shown, string(printed)); !ok {
		t.Errorf("%s\ndoes not print, after what the README shows before it:\n%s", command, line)
	}
}

// linesInOrder says whether the lines of shown are among those of printed, in
// their order, and which is the first that is not. A line that ends in … stands
// for all that begin like it.
func linesInOrder(shown, printed string) (missing string, ok bool) {
	left := strings.Split(printed, "\n")
	for line := range strings.Lines(shown) {
		line = strings.TrimRight(line, " \n")
		if line == "" || line == "…" {
			continue
		}
		prefix, cut := strings.CutSuffix(line, "…")
		found := false
		for len(left) > 0 && !found {
			have := strings.TrimRight(left[0], " \r")
			left = left[1:]
			found = have == line || cut && strings.HasPrefix(have, prefix)
		}
		if !found {
			return line, false
		}
	}
	return "", true
}

func TestLinesInOrder(t *testing.T) {
	const printed = "one 1\ntwo 2 \nthree 3\n"
	tests := []struct {
		name, shown, missing string
	}{
		{"all", printed, ""},
		{"some", "one 1\nthree 3\n", ""},
		{"cut", "one …\nthree…\n", ""},
		{"elided", "one 1\n…\nthree 3\n", ""},
		{"not whole", "one\n", "one"},
		{"another order", "two 2\none 1\n", "one 1"},
		{"twice", "one 1\none 1\n", "one 1"},
		{"cut wrongly", "two 3…\n", "two 3…"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if missing, ok := linesInOrder(tt.shown, printed); missing != tt.missing || ok != (tt.missing == "") {
				t.Errorf("have %q, %t; want %q", missing, ok, tt.missing)
			}
		})
	}
}

// TestReadmePrograms vets each whole program in the README in a module of its
// own, as a reader would have it.
func TestReadmePrograms(t *testing.T) {
	absolute, err := filepath.Abs(moduleRoot)
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile(filepath.Join(moduleRoot, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	sum, err := os.ReadFile(filepath.Join(moduleRoot, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	_, requirements, _ := strings.Cut(string(mod), "\n")
	own := fmt.Sprintf("module readme.test/consumer\n%s\nrequire flowscope v0.0.0\n\nreplace flowscope => %s\n", requirements, absolute)
	programs := 0
	for _, b := range markdownBlocks(readmeText(t)) {
		if b.language != "go" || !strings.Contains(b.text, "package main\n") {
			continue
		}
		programs++
		dir := t.TempDir()
		for name, text := range map[string]string{"main.go": b.text, "go.mod": own, "go.sum": string(sum)} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		vet := exec.Command("go", "vet", ".")
		vet.Dir = dir
		vet.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
		if out, err := vet.CombinedOutput(); err != nil {
			t.Errorf("go vet: %v\n%s\n%s", err, out, b.text)
		}
	}
	if programs == 0 {
		t.Error("README.md has no program")
	}
}

var (
	inlineCode = regexp.MustCompile("`([^`]+)`")
	longFlag   = regexp.MustCompile(`^--[a-z][a-z-]*`)
)

// invocation is one use of the command line in a document.
type invocation struct {
	command string
	flags   []string
}

// invocations finds the uses of flowscope in shell text, by its name or by go
// run.
func invocations(text string) (found []invocation) {
	text = strings.ReplaceAll(text, "\\\n", " ")
	for line := range strings.Lines(text) {
		for _, part := range strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune("|;&", r) }) {
			words := strings.Fields(part)
			if len(words) > 2 && words[0] == "go" && words[1] == "run" && words[2] == "./cmd/flowscope" {
				words = words[2:]
			}
			if len(words) < 2 || filepath.Base(words[0]) != "flowscope" {
				continue
			}
			use := invocation{}
			for i, w := range words[1:] {
				if strings.HasPrefix(w, "#") {
					break
				}
				switch flag := longFlag.FindString(w); {
				case flag != "":
					use.flags = append(use.flags, flag)
				case i == 0:
					use.command = w
				case i == 1 && use.command == "config":
					use.command += " " + w
				}
			}
			found = append(found, use)
		}
	}
	return found
}

// TestReadmeFlags looks up every command and flag of the README in the command's
// own help.
func TestReadmeFlags(t *testing.T) {
	doc := readmeText(t)
	text := ""
	for _, b := range markdownBlocks(doc) {
		if b.language == "sh" {
			text += b.text + "\n"
		}
	}
	for _, span := range inlineCode.FindAllStringSubmatch(fencedBlock.ReplaceAllString(doc, ""), -1) {
		text += strings.ReplaceAll(span[1], "\n", " ") + "\n"
	}
	uses := invocations(text)
	if len(uses) == 0 {
		t.Fatal("README.md shows no command")
	}
	helps := map[string]string{"": helpText(t)}
	for _, use := range uses {
		if use.command != "" && !strings.Contains(helps[""], "\n  "+use.command+" ") {
			t.Errorf("README.md: flowscope %s is no command", use.command)
			continue
		}
		if _, asked := helps[use.command]; !asked {
			helps[use.command] = helpText(t, strings.Fields(use.command)...)
		}
		for _, flag := range use.flags {
			if !regexp.MustCompile(`(?m)` + flag + `([=\s]|$)`).MatchString(helps[use.command]) {
				t.Errorf("README.md: flowscope %s has no %s", use.command, flag)
			}
		}
	}
}

func helpText(t *testing.T, command ...string) string {
	t.Helper()
	run := exec.Command("go", append(append([]string{"run", "./cmd/flowscope"}, command...), "--help")...)
	run.Dir = moduleRoot
	out, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("flowscope %s --help: %v\n%s", strings.Join(command, " "), err, out)
	}
	return string(out)
}

func TestInvocations(t *testing.T) {
	tests := []struct {
		name, text string
		want       []invocation
	}{
		{"by name", "flowscope sub --store ./s 'flowscope.>'\n", []invocation{{"sub", []string{"--store"}}}},
		{"by go run", "go run ./cmd/flowscope replay --to=stdout x.pcap | head\n", []invocation{{"replay", []string{"--to"}}}},
		{"two words", "flowscope config check --help f.yaml\n", []invocation{{"config check", []string{"--help"}}}},
		{"over two lines", "flowscope replay \\\n  --tail x\n", []invocation{{"replay", []string{"--tail"}}}},
		{"after another", "ls --all && ./flowscope version\n", []invocation{{"version", nil}}},
		{"a comment", "flowscope parsers # --not\n", []invocation{{"parsers", nil}}},
		{"something else", "docker compose up --build\nflowscope.dns.*\n", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, invocations(tt.text), cmp.AllowUnexported(invocation{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
