package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestHardwareTimeRefused asks for time stamps of a card that has none, with and
// without the privilege to switch them on: the command says which it lacks.
func TestHardwareTimeRefused(t *testing.T) {
	s := newSite(t, "setpriv")
	file := filepath.Join(t.TempDir(), "run.yml")
	text := "monitor: {listen: \"\"}\ncapture: {timestamps: hardware}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	command := []string{flowscope(t), "run", "--config", file, "--iface", "n0"}
	for want, args := range map[string][]string{
		"capture on n0: time stamps of the card (capture.timestamps): operation not supported: it has none":                                                                                 command,
		"capture on n0: time stamps of the card (capture.timestamps): operation not permitted: to switch them on needs CAP_NET_ADMIN; or switch them on beforehand: hwstamp_ctl -i n0 -r 1": append([]string{"setpriv", "--bounding-set=-net_admin"}, command...),
	} {
		cmd := in(s.near, args...)
		out, _ := cmd.CombinedOutput() // the status is looked at
		if cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), want) {
			t.Errorf("%v: status %d: %s\nwant %s", args[0], cmd.ProcessState.ExitCode(), out, want)
		}
	}
}
