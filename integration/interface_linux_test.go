package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
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

// TestInterfaceMadeAnewUnderTraffic sends from the moment in which the interface is
// there again: what was sent is what was received and what the sensor says it has not
// seen. The long form makes the interface anew more often, and shows for how long
// packets are missed: when there is a moment between its making and its being up, and
// when there is none.
func TestInterfaceMadeAnewUnderTraffic(t *testing.T) {
	times := 4
	if os.Getenv("FLOWSCOPE_LONG") != "" {
		times = 24
	}
	for _, batch := range []bool{false, true} {
		for _, workers := range []int{1, 2} {
			t.Run(fmt.Sprintf("workers: %d, made and up at once: %v", workers, batch), func(t *testing.T) {
				s := newSite(t)
				s.quiet()
				run, store := s.confinedSensor(fmt.Sprintf("workers: %d\ncapture: {spare_sockets: %d}\n", workers, times))
				var sent [][]time.Time
				for i := range times {
					s.run("ip", "-n", s.near, "link", "del", "n0")
					stop := s.stream()
					s.silentCable(batch)
					eventually(t, "the interface is back", func() bool {
						return strings.Count(run.log.String(), `msg="interface is back" `) == i+1
					})
					sent = append(sent, stop())
				}
				if code := run.stop(); code != 130 {
					t.Errorf("status %d:\n%s", code, run.log)
				}
				l := lastLedger(t, store)
				total, unseen, gaps := 0, uint64(0), []time.Duration{}
				for i, n := range unseenOf(t, store) {
					total += len(sent[i])
					unseen += n
					last := min(int(n), len(sent[i])-1)
					gaps = append(gaps, sent[i][last].Sub(sent[i][0]))
				}
				if len(gaps) != times || l.Packets.Received+unseen != uint64(total) || l.Packets.Unseen != unseen || l.Packets.DroppedKernel != 0 {
					t.Errorf("%d times back, %d sent, %d unseen, %+v\n%s", len(gaps), total, unseen, l.Packets, run.log)
				}
				slices.Sort(gaps)
				t.Logf("%d sent, %d unseen, missed for: median %v, longest %v", total, unseen, gaps[len(gaps)/2], gaps[len(gaps)-1])
			})
		}
	}
}

// silentCable lays a cable on which nobody speaks of his own accord, with one call
// of ip or with one for each step.
func (s *site) silentCable(batch bool) {
	s.t.Helper()
	steps := []string{
		"link add n0 type veth peer name f0 netns " + s.far,
		"link set n0 arp off up",
	}
	if batch {
		cmd := exec.Command("ip", "-n", s.near, "-batch", "-")
		cmd.Stdin = strings.NewReader(strings.Join(steps, "\n") + "\n")
		if out, err := cmd.CombinedOutput(); err != nil {
			s.t.Fatalf("%v: %s", err, out)
		}
	} else {
		for _, step := range steps {
			s.run(append([]string{"ip", "-n", s.near}, strings.Fields(step)...)...)
		}
	}
	s.run("ip", "-n", s.far, "link", "set", "f0", "arp", "off", "up")
}

// stream sends a frame from far every 20 µs, from the moment in which it can, until it
// is stopped, 100 at least; then it returns when each was sent.
func (s *site) stream() (stop func() []time.Time) {
	s.t.Helper()
	fd := -1
	s.within(s.far, func() (err error) {
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0); err == nil {
			err = unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1)
		}
		return err
	})
	frame := append([]byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5}, make([]byte, 46)...)
	const least = 100
	var stopping atomic.Bool
	done := make(chan []time.Time)
	go func() {
		defer unix.Close(fd)
		var sent []time.Time
		for next := time.Now(); !stopping.Load() || len(sent) < least; {
			if time.Now().Before(next) {
				continue
			}
			r, err := unix.NewIfreq("f0")
			if err == nil {
				err = unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, r)
			}
			if err == nil {
				err = unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: int(r.Uint32()), Halen: 6})
			}
			if err == nil {
				sent = append(sent, time.Now())
			}
			next = time.Now().Add(20 * time.Microsecond)
		}
		done <- sent
	}()
	return func() []time.Time {
		stopping.Store(true)
		return <-done
	}
}

// unseenOf is how much the sensor says it has not seen of n0, for each time that it is
// back.
func unseenOf(t *testing.T, store string) (all []uint64) {
	t.Helper()
	for _, e := range events(t, store, "flowscope.sensor.state") {
		m := e["message"].(map[string]any)
		if m["state"] == "interface_up" && m["interface"] == "n0" {
			n, _ := m["unseen"].(float64) // left out if it is 0
			all = append(all, uint64(n))
		}
	}
	return all
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
