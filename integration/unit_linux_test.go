package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestUnit has systemd read the unit.
func TestUnit(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("systemd-analyze is not installed")
	}
	text, err := os.ReadFile(filepath.Join(moduleRoot, "deploy/systemd/flowscope.service"))
	if err != nil {
		t.Fatal(err)
	}
	const installed = "/usr/local/bin/flowscope"
	if !strings.Contains(string(text), installed) {
		t.Fatalf("the unit does not start %s", installed)
	}
	file := filepath.Join(t.TempDir(), "flowscope.service")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(string(text), installed, flowscope(t))), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "systemd-analyze", "verify", "--man=no", file).CombinedOutput()
	if err != nil {
		t.Errorf("systemd-analyze: %v: %s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "flowscope.service") { // not another unit of this machine
			t.Error(line)
		}
	}
}
