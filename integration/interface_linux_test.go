package integration

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// confinedSensor starts a sensor that has become nobody, with a store of its own.
func (s *site) confinedSensor(extra string) (run *service, store string) {
	s.t.Helper()
	dir := s.t.TempDir()
	passable(s.t, dir)
	store = filepath.Join(dir, "store")
	run = s.sensorWith(fmt.Sprintf("publish: {embedded: {store: %q}}\nsecurity: {user: nobody}\n%s", store, extra), "--iface", "n0")
	eventually(s.t, "confined", func() bool { return strings.Contains(run.log.String(), "msg=confined") })
	return run, store
}

// TestInterfaceMadeAnew removes the interface of a sensor that has no privileges any
// more, and makes it again: it is captured on, what was sent is what was received,
// and the sensor tells of it.
func TestInterfaceMadeAnew(t *testing.T) {
	for _, workers := range []int{1, 2} {
		t.Run(fmt.Sprint(workers, " workers"), func(t *testing.T) {
			s := newSite(t, "tcpreplay")
			s.quiet()
			run, store := s.confinedSensor(fmt.Sprintf("workers: %d\n", workers))
			checkConfined(t, run.cmd.Process.Pid)
			said := func(text string, times int) {
				t.Helper()
				eventually(t, fmt.Sprintf("%q %d times", text, times), func() bool { return strings.Count(run.log.String(), text) == times })
			}
			const times = 4 // as many as there are spare sockets
			sent := uint64(0)
			for i := range times + 1 {
				if i > 0 {
					s.run("ip", "-n", s.near, "link", "del", "n0")
					said(`msg="interface was removed" `, i)
					s.cable()
					s.quiet()
					said(`msg="interface is back" `, i)
				}
				if out := s.run("ip", "-n", s.near, "-d", "link", "show", "n0"); !strings.Contains(out, fmt.Sprintf(" promiscuity %d ", workers)) {
					t.Errorf("time %d: not promiscuous for %d sockets: %s", i, workers, out)
				}
				sent += s.replayed("--pps=20000", "--loop=10", "testdata/dns.pcap")
			}
			if code := run.stop(); code != 130 {
				t.Errorf("status %d:\n%s", code, run.log)
			}
			l := lastLedger(t, store)
			if l.Packets.Received != sent || l.Packets.DroppedKernel != 0 || !strings.Contains(run.log.String(), fmt.Sprintf("msg=interface sensor=test run=%s name=n0 received=%d dropped=0 ", runOf(t, store), sent)) {
				t.Errorf("%d sent, %+v\n%s", sent, l.Packets, run.log)
			}
			if !strings.Contains(run.log.String(), "wrong_worker=0\n") {
				t.Errorf("packets in the wrong worker:\n%s", run.log)
			}
			if l.Subjects["flowscope.dns.query"] == 0 {
				t.Errorf("%v", l.Subjects)
			}
			removed, back := interfaceStates(t, store)
			if removed != times || back != times {
				t.Errorf("%d times removed, %d times back:\n%s", removed, back, run.log)
			}
		})
	}
}

// TestInterfaceGone ends a sensor without spare sockets when its interface is
// removed, after all that it has received.
func TestInterfaceGone(t *testing.T) {
	s := newSite(t, "tcpreplay")
	s.quiet()
	run, store := s.confinedSensor("workers: 2\ncapture: {spare_sockets: 0}\n")
	sent := s.replayed("--pps=20000", "--loop=10", "testdata/dns.pcap")
	s.run("ip", "-n", s.near, "link", "del", "n0")
	<-run.done
	if code := run.cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(run.log.String(), "the interface was removed, and capture.spare_sockets is 0: start again") {
		t.Errorf("status %d:\n%s", code, run.log)
	}
	if l := lastLedger(t, store); l.Packets.Received != sent {
		t.Errorf("%d sent, %+v", sent, l.Packets)
	}
}

// runOf is the run whose events a store holds.
func runOf(t *testing.T, store string) string {
	t.Helper()
	return fmt.Sprint(events(t, store)[0]["run"])
}

// interfaceStates counts how often sensor.state says that n0 was removed, and that it is back.
func interfaceStates(t *testing.T, store string) (removed, back int) {
	t.Helper()
	for _, e := range events(t, store) {
		if e["protocol"] != "sensor" || e["kind"] != "state" {
			continue
		}
		m := e["message"].(map[string]any)
		switch detail := fmt.Sprint(m["detail"]); {
		case m["state"] == "interface_down" && m["interface"] == "n0" && detail == "was removed":
			removed++
		case m["state"] == "interface_up" && m["interface"] == "n0" && strings.HasPrefix(detail, "is back, under index "):
			back++
		}
	}
	return removed, back
}
