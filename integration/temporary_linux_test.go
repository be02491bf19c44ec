package integration

import (
	"os"
	"path/filepath"
	"testing"
)

// TestTemporaryStore runs a confined sensor whose store is a temporary one: nothing
// of it is left.
func TestTemporaryStore(t *testing.T) {
	s := newSite(t)
	temporary := t.TempDir()
	if err := os.Chmod(temporary, 0o1777); err != nil { // as /tmp is
		t.Fatal(err)
	}
	passable(t, filepath.Dir(temporary)) // for the user it becomes
	flowscope(t)                         // is built elsewhere
	t.Setenv("TMPDIR", temporary)
	run := s.sensorWith("security: {user: nobody}\n", "--iface", "n0")
	if made, err := os.ReadDir(temporary); err != nil || len(made) != 1 {
		t.Fatalf("the store: %v, %v", made, err)
	}
	if code := run.stop(); code != 130 {
		t.Errorf("status %d:\n%s", code, run.log)
	}
	if left, err := os.ReadDir(temporary); err != nil || len(left) != 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
}
