package integration

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"flowscope/flow"

	"github.com/google/go-cmp/cmp"
)

// TestOutOfTree builds somebody else's module, with a protocol of its own, and
// runs it: its events come typed to its own consumer.
func TestOutOfTree(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds a whole sensor")
	}
	m := module{t, "testdata/meter", modfile(t, "testdata/meter/go.mod")}
	m.run("vet", "./...")
	m.run("test", "./...")
	bin := t.TempDir() + string(filepath.Separator)
	m.run("build", "-o", bin, "./...")

	made := newTraffic(t)
	report := func(n string) string { return "M1R\x00\x0d\x00\x00\x00" + n + "\xff\xff\xff\xfecabin" }
	c := made.connect(between(40000, 80))
	c.send(flow.Initiator, report("\x07")+report("\x08"), 7)
	c.send(flow.Responder, "M1A\x00\x04\x00\x00\x00\x07", 100)
	c.close()
	made.udp(between(40001, 4321), flow.Initiator, report("\x09"))

	replay := exec.CommandContext(t.Context(), bin+"meter", "replay", "--to", "stdout", "--format", "msgpack", "--workers", "1", "--report", "json", made.done())
	var events, notes bytes.Buffer
	replay.Stdout, replay.Stderr = &events, &notes
	if err := replay.Run(); err != nil {
		t.Fatalf("%v: %s", err, notes.String())
	}
	var report1 struct {
		Subjects map[string]int `json:"subjects"`
	}
	lines := strings.Split(strings.TrimSpace(notes.String()), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &report1); err != nil {
		t.Fatalf("%v: %s", err, notes.String())
	}
	subjects := map[string]int{
		"flowscope.meter.started": 2, "flowscope.meter.reading": 3, "flowscope.meter.ack": 1, "flowscope.meter.closed": 2,
	}
	if diff := cmp.Diff(subjects, report1.Subjects); diff != "" {
		t.Errorf("subjects: -want +got:\n%s", diff)
	}

	consume := exec.CommandContext(t.Context(), bin+"consume")
	consume.Stdin = &events
	got, err := consume.Output()
	if err != nil {
		t.Fatal(err)
	}
	// The ack leaves one millisecond after the last of the seven segments, the
	// first reading is whole with the third.
	want := `tcp 10.0.0.1:40000 reading 7: -2 W at cabin
tcp 10.0.0.1:40000 reading 8: -2 W at cabin
tcp 10.0.0.1:40000 ack 7 after 4000000 ns
udp 10.0.0.1:40001 reading 9: -2 W at cabin
`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("consumed: -want +got:\n%s", diff)
	}
	options := exec.CommandContext(t.Context(), bin+"meter", "config", "default")
	if out, err := options.Output(); err != nil || !strings.Contains(string(out), "ports: [4321]") || !strings.Contains(string(out), "max_waiting: 64") {
		t.Errorf("%v: the defaults lack the protocol's options:\n%s", err, out)
	}
}

// module is a module beside this one that is built against it.
type module struct {
	t       *testing.T
	dir     string
	modfile string
}

// modfile returns a copy of a go.mod, with this module's go.sum beside it: the
// go command may write to both.
func modfile(t *testing.T, path string) string {
	t.Helper()
	dir := t.TempDir()
	for from, to := range map[string]string{path: "go.mod", "../go.sum": "go.sum"} {
		b, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, to), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "go.mod")
}

// run runs the go command.
func (m module) run(command string, args ...string) string {
	m.t.Helper()
	args = append([]string{command, "-modfile=" + m.modfile}, args...)
	cmd := exec.CommandContext(m.t.Context(), "go", args...)
	cmd.Dir = m.dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
	out, err := cmd.CombinedOutput()
	if err != nil {
		m.t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}
