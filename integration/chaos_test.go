//go:build linux

package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// chaos is one replay through a proxy to a server of its own.
type chaos struct {
	t      *testing.T
	server *natsProcess
	proxy  *proxy
	round  int
}

// fault is one kind of trouble: made again and again while events are published,
// and over each time.
type fault struct {
	name string
	// make makes it and ends it.
	make func(*chaos)
	// window is the stream's duplicate window, 0 for two minutes.
	window time.Duration
	// every is the time between the beginnings of two.
	every time.Duration
}

var faults = []fault{
	{name: "kill", every: 1500 * time.Millisecond, make: func(c *chaos) {
		c.server.kill()
		<-time.After(200 * time.Millisecond)
		c.server.start()
		c.server.await()
	}},
	{name: "stop", every: 2500 * time.Millisecond, make: func(c *chaos) {
		c.server.signal(syscall.SIGSTOP)
		// Beyond the time-out of an acknowledgement, in long runs once beyond
		// that of a write.
		pause := 1500 * time.Millisecond
		if c.round == 5 {
			pause = 8 * time.Second
		}
		<-time.After(pause)
		c.server.signal(syscall.SIGCONT)
	}},
	{name: "cut", every: 700 * time.Millisecond, make: func(c *chaos) { c.proxy.cut() }},
	{name: "delay", every: 1500 * time.Millisecond, make: func(c *chaos) {
		c.proxy.delay.Store(int64(200 * time.Millisecond))
		<-time.After(time.Second)
		c.proxy.delay.Store(0)
	}},
	{name: "half-close", every: time.Second, make: func(c *chaos) { c.proxy.halfClose(c.round%2 == 0) }},
	{name: "answers lost", every: 1200 * time.Millisecond, make: func(c *chaos) {
		c.proxy.mute.Store(true)
		<-time.After(400 * time.Millisecond)
		c.proxy.cut()
		c.proxy.mute.Store(false)
	}},
	{name: "answers lost for longer than the duplicate window", window: time.Second, every: 3 * time.Second, make: func(c *chaos) {
		c.proxy.mute.Store(true)
		<-time.After(300 * time.Millisecond)
		c.proxy.refuse.Store(true)
		c.proxy.cut()
		<-time.After(1500 * time.Millisecond)
		c.proxy.mute.Store(false)
		c.proxy.refuse.Store(false)
	}},
}

// eventsPerFlow: started, query, response, closed.
const eventsPerFlow = 4

// TestChaos breaks servers and networks while events are published: each fault
// twice, with FLOWSCOPE_LONG=1 twenty times.
func TestChaos(t *testing.T) {
	if os.Getenv("FLOWSCOPE_CHAOS") != "1" {
		t.Skip("it takes minutes, all processors, and the right to mount: FLOWSCOPE_CHAOS=1 is missing")
	}
	built := buildPrograms(t)
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) { runFault(t, built, f, "") })
	}
	for _, mode := range []struct{ name, config string }{
		{"fast", "  mode: fast\n"},
		{"batched", "  batch_bytes: 16384\n"},
		{"fast and batched", "  mode: fast\n  batch_bytes: 16384\n"},
	} {
		for _, f := range faults {
			if f.name == "kill" || f.name == "answers lost" {
				t.Run(mode.name+", "+f.name, func(t *testing.T) { runFault(t, built, f, mode.config) })
			}
		}
	}
	t.Run("fast ingest is idle", func(t *testing.T) { testFastIdle(t, built) })
	t.Run("stream deleted", func(t *testing.T) { testStreamDeleted(t, built) })
	t.Run("stream full", func(t *testing.T) { testStreamFull(t, built) })
	t.Run("stream full for good", func(t *testing.T) { testStreamFullForGood(t, built) })
	t.Run("disk full", func(t *testing.T) { testDiskFull(t, built) })
	t.Run("stop keeps its deadline", func(t *testing.T) { testStopDeadline(t, built) })
	t.Run("permission denied", func(t *testing.T) { testPermissionDenied(t, built) })
	t.Run("two sensors", func(t *testing.T) { testTwoSensors(t, built) })
	t.Run("leaf nodes", func(t *testing.T) { testLeafNodes(t, built) })
	t.Run("cluster", func(t *testing.T) { testCluster(t, built) })
}

func createStream(t *testing.T, s *natsProcess, change func(*jetstream.StreamConfig)) jetstream.Stream {
	t.Helper()
	cfg := jetstream.StreamConfig{Name: "FLOWSCOPE", Subjects: []string{"flowscope.>"}, AllowBatchPublish: true, Duplicates: 2 * time.Minute}
	if change != nil {
		change(&cfg)
	}
	stream, err := s.jetStream().CreateStream(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

func runFault(t *testing.T, built programs, f fault, config string) {
	c := &chaos{t: t, server: startNATS(t, built.server, t.TempDir(), "one", "")}
	createStream(t, c.server, func(s *jetstream.StreamConfig) {
		if f.window > 0 {
			s.Duplicates = f.window
		}
	})
	c.proxy = startProxy(t, c.server.address)
	rounds := chaosRounds()
	span := f.every*time.Duration(rounds) + time.Second
	flows := int(span/time.Millisecond) * 2
	capture := filepath.Join(t.TempDir(), "chaos.pcap")
	writeCapture(t, capture, flows, span, 0)
	r := startReplay(t, built.flowscope, c.proxy.url(), capture, config)
	awaitEvents(t, c.server, 100)
	for c.round = range rounds {
		begin := time.Now()
		f.make(c)
		<-time.After(f.every - time.Since(begin))
	}
	l, status := r.end(2 * time.Minute)
	r.check(l, status, uint64(eventsPerFlow*flows))
	if got := audited(t, c.server.url(), true); got != l.Events.Acknowledged {
		t.Errorf("the stream holds %d events, %d are acknowledged", got, l.Events.Acknowledged)
	}
	t.Logf("%d faults, %d events: %d resent, %d duplicates, %d possibly doubled, %.1f s, %d MiB",
		rounds, l.Events.Made, l.Events.Resent, l.Events.Duplicates, l.Events.PossiblyDoubled, l.Seconds, l.PeakRSS>>20)
	if f.name != "delay" && f.name != "stop" && l.Events.Resent == 0 && config == "" {
		t.Log("nothing was under way when the faults happened")
	}
}

// awaitEvents waits until publishing is under way.
func awaitEvents(t *testing.T, s *natsProcess, n uint64) {
	t.Helper()
	js := s.jetStream()
	awaitTrue(t, "the first events", func() bool {
		stream, err := js.Stream(t.Context(), "FLOWSCOPE")
		return err == nil && stream.CachedInfo().State.Msgs >= n/20
	})
}

// After 11 s of silence the server has forgotten the batch of fast ingest.
func testFastIdle(t *testing.T, built programs) {
	server := startNATS(t, built.server, t.TempDir(), "one", "")
	createStream(t, server, nil)
	capture := filepath.Join(t.TempDir(), "idle.pcap")
	const flows = 1000
	writeCapture(t, capture, flows, time.Second, 11*time.Second)
	r := startReplay(t, built.flowscope, server.url(), capture, "  mode: fast\n")
	l, status := r.end(time.Minute)
	r.check(l, status, eventsPerFlow*flows)
	if got := audited(t, server.url(), true); got != eventsPerFlow*flows {
		t.Errorf("the stream holds %d events", got)
	}
}

// A stream that is deleted takes with it what it holds; what comes later goes into
// its successor, once.
func testStreamDeleted(t *testing.T, built programs) {
	server := startNATS(t, built.server, t.TempDir(), "one", "")
	createStream(t, server, nil)
	rounds := chaosRounds()
	flows := 2000 * (rounds + 1)
	capture := filepath.Join(t.TempDir(), "deleted.pcap")
	writeCapture(t, capture, flows, time.Duration(rounds+1)*time.Second, 0)
	r := startReplay(t, built.flowscope, server.url(), capture, "")
	awaitEvents(t, server, 100)
	js := server.jetStream()
	var lost uint64
	for range rounds {
		if info, err := server.stream("FLOWSCOPE").Info(t.Context()); err == nil {
			lost += info.State.Msgs
		}
		if err := js.DeleteStream(t.Context(), "FLOWSCOPE"); err != nil {
			t.Fatal(err)
		}
		<-time.After(300 * time.Millisecond)
		createStream(t, server, nil)
		<-time.After(700 * time.Millisecond)
	}
	l, status := r.end(time.Minute)
	r.check(l, status, uint64(eventsPerFlow*flows))
	if got := audited(t, server.url(), false); got == 0 || got+lost > l.Events.Acknowledged {
		t.Errorf("the last stream holds %d events, those before at least %d, %d are acknowledged", got, lost, l.Events.Acknowledged)
	}
}

func smallStream(s *jetstream.StreamConfig) { s.MaxBytes, s.Discard = 2<<20, jetstream.DiscardNew }

// A stream that takes no more holds the replay up; when room is made it goes on.
func testStreamFull(t *testing.T, built programs) {
	server := startNATS(t, built.server, t.TempDir(), "one", "")
	stream := createStream(t, server, smallStream)
	rounds := chaosRounds()
	flows := 2000 * (rounds + 1)
	capture := filepath.Join(t.TempDir(), "full.pcap")
	writeCapture(t, capture, flows, time.Second, 0)
	r := startReplay(t, built.flowscope, server.url(), capture, "")
	for purges := 0; ; {
		select {
		case err := <-r.done:
			r.done <- err
			l, status := r.end(time.Minute)
			r.check(l, status, uint64(eventsPerFlow*flows))
			audited(t, server.url(), false)
			if purges < rounds {
				t.Errorf("the stream was full %d times, want %d", purges, rounds)
			}
			return
		case <-time.After(20 * time.Millisecond):
		}
		info, err := stream.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if info.State.Bytes > 2<<20-4096 {
			<-time.After(300 * time.Millisecond) // it is refused meanwhile
			if err := stream.Purge(t.Context()); err != nil {
				t.Fatal(err)
			}
			purges++
		}
	}
}

// If no room is made, the replay fails with the number.
func testStreamFullForGood(t *testing.T, built programs) {
	server := startNATS(t, built.server, t.TempDir(), "one", "")
	createStream(t, server, smallStream)
	capture := filepath.Join(t.TempDir(), "full.pcap")
	writeCapture(t, capture, 4000, time.Second, 0)
	t.Setenv("FLOWSCOPE_PUBLISH_STALL_TIMEOUT", "3s")
	r := startReplay(t, built.flowscope, server.url(), capture, "", "--drain-timeout", "3s")
	l, status := r.end(time.Minute)
	notAcknowledged(t, r, status, l.Events.Pending)
	if !strings.Contains(r.stderr.String(), "maximum bytes exceeded") {
		t.Errorf("the reason is not told: %s", tailOf(r.stderr.String()))
	}
	if got := audited(t, server.url(), false); got != l.Events.Acknowledged {
		t.Errorf("the stream holds %d events, %d are acknowledged", got, l.Events.Acknowledged)
	}
}

// notAcknowledged wants a failed run to tell the number.
func notAcknowledged(t *testing.T, r *replayProcess, status int, n uint64) {
	t.Helper()
	if want := fmt.Sprintf("%d events are not acknowledged", n); status != 1 || n == 0 || !strings.Contains(r.stderr.String(), want) {
		t.Errorf("status %d, want 1, and %q in\n%s", status, want, tailOf(r.stderr.String()))
	}
}

// A disk that runs full takes the server down; with room and a restart everything
// gets through.
func testDiskFull(t *testing.T, built programs) {
	dir := t.TempDir()
	mount := func(flags uintptr, size string) {
		if err := syscall.Mount("chaos", dir, "tmpfs", flags, "mode=0700,size="+size); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("the right to mount is missing: %v", err)
			}
			t.Skipf("the right to mount a small file system is missing: %v", err)
		}
	}
	mount(0, "4m")
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	server := startNATS(t, built.server, dir, "one", "")
	t.Cleanup(server.kill) // before the disk goes
	createStream(t, server, nil)
	const flows = 8000
	capture := filepath.Join(t.TempDir(), "disk.pcap")
	writeCapture(t, capture, flows, time.Second, 0)
	r := startReplay(t, built.flowscope, server.url(), capture, "")
	awaitTrue(t, "the disk to be full", func() bool {
		var fs syscall.Statfs_t
		return syscall.Statfs(dir, &fs) == nil && fs.Bavail*uint64(fs.Bsize) < 64<<10
	})
	<-time.After(time.Second)
	mount(syscall.MS_REMOUNT, "256m")
	server.kill()
	server.start()
	server.await()
	l, status := r.end(2 * time.Minute)
	r.check(l, status, eventsPerFlow*flows)
	if got := audited(t, server.url(), false); got != l.Events.Acknowledged {
		t.Errorf("the stream holds %d events, %d are acknowledged", got, l.Events.Acknowledged)
	}
}

// A server that is gone at the end does not hold up the end.
func testStopDeadline(t *testing.T, built programs) {
	server := startNATS(t, built.server, t.TempDir(), "one", "")
	createStream(t, server, nil)
	capture := filepath.Join(t.TempDir(), "stop.pcap")
	writeCapture(t, capture, 4000, 2*time.Second, 0)
	r := startReplay(t, built.flowscope, server.url(), capture, "", "--drain-timeout", "2s")
	awaitEvents(t, server, 100)
	server.signal(syscall.SIGSTOP)
	<-time.After(500 * time.Millisecond)
	begin := time.Now()
	if err := r.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	l, status := r.end(time.Minute)
	if took := time.Since(begin); took > 2*time.Second+6*time.Second { // a write may hang for 5 s
		t.Errorf("the stop took %v", took)
	}
	server.signal(syscall.SIGCONT)
	notAcknowledged(t, r, status, l.Events.Pending)
	awaitTrue(t, "the server", func() bool { return server.stream("FLOWSCOPE") != nil })
	if got := audited(t, server.url(), false); got < l.Events.Acknowledged || got > l.Events.Made {
		t.Errorf("the stream holds %d events, %d are acknowledged of %d", got, l.Events.Acknowledged, l.Events.Made)
	}
}

// A store that may not be written is refused at once, by name.
func testPermissionDenied(t *testing.T, built programs) {
	if os.Getuid() != 0 {
		t.Skip("the right to become somebody else is missing")
	}
	dir := t.TempDir()
	capture := filepath.Join(dir, "small.pcap")
	writeCapture(t, capture, 10, time.Millisecond, 0)
	for d := dir; d != "/" && d != os.TempDir(); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for d := filepath.Dir(built.flowscope); d != "/" && d != os.TempDir(); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	store := filepath.Join(dir, "store")
	cmd := exec.Command(built.flowscope, "replay", "--keep", store, capture)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != 1 ||
		!strings.Contains(string(out), store) || !strings.Contains(string(out), "permission denied") {
		t.Errorf("%v: %s", err, out)
	}
}

// Two sensors on one stream do not disturb each other, whatever happens to the
// server.
func testTwoSensors(t *testing.T, built programs) {
	server := startNATS(t, built.server, t.TempDir(), "one", "")
	createStream(t, server, nil)
	rounds := chaosRounds()
	flows := 2000 * (rounds + 1)
	capture := filepath.Join(t.TempDir(), "two.pcap")
	writeCapture(t, capture, flows, time.Duration(rounds+1)*time.Second, 0)
	a := startReplay(t, built.flowscope, server.url(), capture, "", "--sensor", "a")
	b := startReplay(t, built.flowscope, server.url(), capture, "  mode: fast\n", "--sensor", "b")
	awaitEvents(t, server, 100)
	for range rounds {
		<-time.After(500 * time.Millisecond)
		server.kill()
		server.start()
		server.await()
	}
	for _, r := range []*replayProcess{a, b} {
		l, status := r.end(2 * time.Minute)
		r.check(l, status, uint64(eventsPerFlow*flows))
	}
	if got := audited(t, server.url(), true); got != uint64(2*eventsPerFlow*flows) {
		t.Errorf("the stream holds %d events, want %d", got, 2*eventsPerFlow*flows)
	}
}
