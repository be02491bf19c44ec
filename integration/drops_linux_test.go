package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"
)

// sniffer is a program that captures on n0 and says at its end how many packets
// there were, and how many of them it missed.
type sniffer struct {
	name  string
	start func(t *testing.T, s *site) (stop func() (received, dropped uint64))
}

var (
	tcpdumpCount  = regexp.MustCompile(`(\d+) packets received by filter\s+(\d+) packets dropped by kernel`)
	suricataCount = regexp.MustCompile(`'n0':\s+(?:pkts|packets): (\d+), drop(?:s)?: (\d+)`)
	rated         = regexp.MustCompile(`Rated: .*, ([\d.]+) pps`)
)

// sensorOf is flowscope with so many workers, publishing to its embedded server in
// batches, as one would who has much to publish.
func sensorOf(workers int) sniffer {
	return sniffer{fmt.Sprintf("flowscope, workers: %d", workers), func(t *testing.T, s *site) func() (received, dropped uint64) {
		store := t.TempDir()
		run := s.sensorWith(fmt.Sprintf("workers: %d\npublish: {batch_bytes: 32768, embedded: {store: %q}}\n", workers, store), "--iface", "n0")
		return func() (uint64, uint64) {
			if code := run.stop(); code != 130 {
				t.Errorf("status %d:\n%s", code, run.log)
			}
			l := lastLedger(t, store)
			t.Logf("%d packets shed, %d events, of which dropped %d", l.Packets.Shed, l.Events.Made, l.Events.Dropped.Sum())
			return l.Packets.Received, l.Packets.DroppedKernel
		}
	}}
}

// counting is a program that writes its counts when it ends.
func counting(name string, count *regexp.Regexp, ready string, args ...string) sniffer {
	return sniffer{name, func(t *testing.T, s *site) func() (received, dropped uint64) {
		run := start(t, in(s.near, args...), ready)
		return func() (received, dropped uint64) {
			run.stop()
			m := count.FindStringSubmatch(run.log.String())
			if m == nil {
				t.Fatalf("%s says:\n%s", name, run.log)
			}
			received, _ = strconv.ParseUint(m[1], 10, 64)
			dropped, _ = strconv.ParseUint(m[2], 10, 64)
			return received, dropped
		}
	}}
}

// TestLongLiveDrops sends recorded DNS, HTTP and TLS over a cable at rising rates and
// shows from where on packets are missed, by flowscope and by others. However many
// are, flowscope accounts for each one that was sent.
func TestLongLiveDrops(t *testing.T) {
	if os.Getenv("FLOWSCOPE_LONG") == "" {
		t.Skip("FLOWSCOPE_LONG is not set")
	}
	s := newSite(t, "tcpreplay", "tcpdump")
	s.quiet()
	sniffers := []sniffer{
		sensorOf(1), sensorOf(2),
		counting("tcpdump -w /dev/null", tcpdumpCount, "listening on n0", "tcpdump", "-i", "n0", "-n", "-w", "/dev/null"),
	}
	if _, err := exec.LookPath("suricata"); err == nil {
		sniffers = append(sniffers, counting("suricata", suricataCount, "engine started", "suricata", "-i", "n0", "-k", "none", "-l", t.TempDir()))
	} else {
		t.Log("suricata is not installed: it is not compared")
	}
	var files []string
	for _, name := range []string{"dns", "http", "tls"} {
		files = append(files, filepath.Join("testdata", name+".pcap"))
	}
	const seconds = 5
	for _, rate := range []int{50_000, 100_000, 200_000, 400_000, 0} {
		for _, program := range sniffers {
			name := fmt.Sprintf("%d a second", rate)
			speed := fmt.Sprintf("--pps=%d", rate)
			if rate == 0 {
				name, speed = "as fast as possible", "--topspeed"
			}
			t.Run(name+"/"+program.name, func(t *testing.T) {
				s := &site{t, s.near, s.far}
				stop := program.start(t, s)
				out := s.run(append([]string{
					"ip", "netns", "exec", s.far, "tcpreplay", "-q", "-K", "-i", "f0", speed,
					"--duration=" + strconv.Itoa(seconds), "--loop=0", "--unique-ip",
				}, files...)...)
				time.Sleep(200 * time.Millisecond) // for those that do not drain
				received, dropped := stop()
				m, r := successful.FindStringSubmatch(out), rated.FindStringSubmatch(out)
				if m == nil || r == nil {
					t.Fatalf("tcpreplay says: %s", out)
				}
				sent, _ := strconv.ParseUint(m[1], 10, 64)
				t.Logf("%s packets a second: %d sent, %d received, of which %d dropped (%.2f %%)", r[1], sent, received, dropped, 100*float64(dropped)/float64(sent))
				if received != sent && program.name[:4] == "flow" {
					t.Errorf("%d are not accounted for", int64(sent)-int64(received))
				}
			})
		}
	}
}
