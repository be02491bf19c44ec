package integration

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestUnreadableFile names a capture that the user may not read. Root may read
// everything, so as root the command runs as nobody.
func TestUnreadableFile(t *testing.T) {
	const nobody = 65534
	// Not t.TempDir: nobody must be able to pass through.
	dir, err := os.MkdirTemp("", "flowscope")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	program, capture := filepath.Join(dir, "flowscope"), filepath.Join(dir, "secret.pcap")
	if out, err := exec.Command("go", "build", "-o", program, "flowscope/cmd/flowscope").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	data, err := os.ReadFile("testdata/dns.pcap")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(capture, data, 0o000); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "replay", "--to", "stdout", capture)
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("ended with %v, want exit status 1", err)
	}
	if stdout.Len() != 0 {
		t.Errorf("events were written: %s", stdout.String())
	}
	if got := stderr.String(); !strings.Contains(got, capture) || !strings.Contains(got, "permission denied") {
		t.Errorf("message %q names neither the file nor the reason", got)
	}
}
