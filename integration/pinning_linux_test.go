package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestPinWorkers has each worker of a confined sensor tied to a processor of its own
// among those that the sensor may use, and no other thread.
func TestPinWorkers(t *testing.T) {
	var may unix.CPUSet
	if err := unix.SchedGetaffinity(0, &may); err != nil {
		t.Fatal(err)
	}
	var cpus []string
	for i := range 1024 {
		if may.IsSet(i) {
			cpus = append(cpus, strconv.Itoa(i))
		}
	}
	if len(cpus) < 2 {
		t.Fatal("pinning takes two processors")
	}
	s := newSite(t, "taskset")
	s.servers()
	run, _ := s.confinedSensor(fmt.Sprintf("workers: %d\ncapture: {pin_workers: true}\n", len(cpus)))
	s.visit(t)
	pinned := func() map[string]int {
		lists := map[string]int{}
		for _, list := range affinities(t, run.cmd.Process.Pid) {
			lists[list]++
		}
		return lists
	}
	eventually(t, "one thread per processor", func() bool {
		lists := pinned()
		for _, cpu := range cpus {
			if lists[cpu] != 1 {
				return false
			}
		}
		return len(lists) > len(cpus)
	})
	s.visit(t)
	for _, cpu := range cpus {
		if lists := pinned(); lists[cpu] != 1 {
			t.Errorf("processor %s has %d threads of its own: %v", cpu, lists[cpu], lists)
		}
	}
	if code := run.stop(); code != 130 || strings.Contains(run.log.String(), "cannot tie") {
		t.Errorf("status %d:\n%s", code, run.log)
	}

	// A sensor that may use the last processor only, whatever its number is.
	last := cpus[len(cpus)-1]
	file := filepath.Join(t.TempDir(), "run.yml")
	text := fmt.Sprintf("monitor: {listen: \"\"}\npublish: {embedded: {store: %q}}\nworkers: 2\ncapture: {pin_workers: true}\n", t.TempDir())
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	run = start(t, in(s.near, "taskset", "-c", last, flowscope(t), "run", "--config", file, "--iface", "n0"), "msg=confined")
	s.visit(t)
	for task, list := range affinities(t, run.cmd.Process.Pid) {
		if list != last {
			t.Errorf("%s may run on %s, want %s", task, list, last)
		}
	}
	if code := run.stop(); code != 130 || strings.Contains(run.log.String(), "cannot tie") {
		t.Errorf("status %d:\n%s", code, run.log)
	}
}

// affinities are the processors that each thread may run on.
func affinities(t *testing.T, pid int) map[string]string {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(tasks) < 3 {
		t.Fatalf("%d threads: %v", len(tasks), err)
	}
	lists := map[string]string{}
	for _, task := range tasks {
		raw, err := os.ReadFile(task)
		if err != nil {
			continue // a thread that has ended
		}
		_, rest, _ := strings.Cut(string(raw), "\nCpus_allowed_list:\t")
		lists[task], _, _ = strings.Cut(rest, "\n")
	}
	return lists
}
