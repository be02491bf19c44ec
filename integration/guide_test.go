package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"flowscope/flow"

	"github.com/google/go-cmp/cmp"
)

var (
	guideFile    = regexp.MustCompile("(?ms)^`([a-z_.]+)`:\n\n```[a-z]+\n(.*?)^```$")
	guideCommand = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")
	guideOutput  = regexp.MustCompile("(?ms)^```text\n(2023-.*?)^```$")
)

// TestGuide does what docs/writing-a-parser.md says: it writes its files, runs its
// commands, and compares what they print.
func TestGuide(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds a whole sensor")
	}
	text, err := os.ReadFile("../docs/writing-a-parser.md")
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	beside := t.TempDir()
	dir := filepath.Join(beside, "thermo")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(root, filepath.Join(beside, "flowscope")); err != nil {
		t.Fatal(err)
	}
	files := guideFile.FindAllStringSubmatch(string(text), -1)
	if len(files) != 6 {
		t.Fatalf("%d files in the guide, want 6", len(files))
	}
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(dir, f[1]), []byte(f[2]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	made := newTraffic(t)
	c := made.connect(between(40000, 7070))
	c.send(flow.Initiator, "TEMP cellar 11.5\n", 100)
	c.send(flow.Responder, "OK\n", 100)
	c.close()
	if err := os.Rename(made.done(), filepath.Join(dir, "thermo.pcap")); err != nil {
		t.Fatal(err)
	}
	formatted := exec.CommandContext(t.Context(), "gofmt", "-l", dir)
	if out, err := formatted.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("not formatted: %v %s", err, out)
	}
	commands := guideCommand.FindAllStringSubmatch(string(text), -1)
	var last string
	for _, command := range commands {
		cmd := exec.CommandContext(t.Context(), "sh", "-ec", command[1])
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
		var notes strings.Builder
		cmd.Stderr = &notes
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v\n%s%s", command[1], err, out, notes.String())
		}
		last = string(out)
	}
	output := guideOutput.FindStringSubmatch(string(text))
	if len(commands) != 3 || output == nil {
		t.Fatalf("%d commands, output %q", len(commands), output)
	}
	if diff := cmp.Diff(output[1], last); diff != "" {
		t.Errorf("the output: -guide +got:\n%s", diff)
	}
}
