package integration

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"flowscope/publish"
)

// site is two network namespaces with a cable between them: the sensor and the
// servers are in near, behind interface n0; the clients are in far, behind f0.
type site struct {
	t         *testing.T
	near, far string
}

const (
	nearAddress, nearAddress6 = "10.77.0.1", "fd77::1"
	farAddress, farAddress6   = "10.77.0.2", "fd77::2"
)

// newSite makes a site, or skips the test where that cannot be done.
func newSite(t *testing.T, programs ...string) *site {
	t.Helper()
	skip := t.Skipf
	if os.Getenv("CI") != "" {
		skip = t.Fatalf
	}
	if os.Geteuid() != 0 {
		skip("network namespaces need root")
	}
	for _, p := range append(programs, "ip") {
		if _, err := exec.LookPath(p); err != nil {
			skip("%s is not installed", p)
		}
	}
	unique := strconv.FormatInt(time.Now().UnixNano(), 36)
	s := &site{t, "fs-near-" + unique, "fs-far-" + unique}
	for _, ns := range []string{s.near, s.far} {
		s.run("ip", "netns", "add", ns)
		t.Cleanup(func() { s.run("ip", "netns", "del", ns) })
	}
	for _, ns := range []string{s.near, s.far} {
		s.run("ip", "-n", ns, "link", "set", "lo", "up")
	}
	s.cable()
	for _, end := range [][]string{{s.near, "n0", nearAddress, nearAddress6}, {s.far, "f0", farAddress, farAddress6}} {
		s.run("ip", "-n", end[0], "address", "add", end[2]+"/24", "dev", end[1])
		s.run("ip", "-n", end[0], "address", "add", end[3]+"/64", "dev", end[1], "nodad")
	}
	return s
}

// cable lays the cable.
func (s *site) cable() {
	s.t.Helper()
	s.run("ip", "-n", s.near, "link", "add", "n0", "type", "veth", "peer", "name", "f0", "netns", s.far)
	s.run("ip", "-n", s.near, "link", "set", "n0", "up")
	s.run("ip", "-n", s.far, "link", "set", "f0", "up")
}

func (s *site) run(args ...string) string {
	s.t.Helper()
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("%s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// in returns a command that runs in a namespace.
func in(ns string, args ...string) *exec.Cmd {
	return exec.Command("ip", append([]string{"netns", "exec", ns}, args...)...)
}

// within runs f on a thread that is in a namespace: sockets that it opens belong
// there.
func (s *site) within(ns string, f func() error) {
	s.t.Helper()
	if err := inNamespace(ns, f); err != nil {
		s.t.Fatal(err)
	}
}

func inNamespace(ns string, f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // the thread ends with the goroutine
		fd, err := unix.Open("/run/netns/"+ns, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			err = errors.Join(unix.Setns(fd, unix.CLONE_NEWNET), unix.Close(fd))
		}
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}

// servers answer DNS, HTTP and TLS in near.
func (s *site) servers() {
	answer := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(q)
		switch q.Question[0].Qtype {
		case dns.TypeA:
			m.Answer = append(m.Answer, &dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: net.IPv4(192, 0, 2, 1)})
		default:
			m.Rcode = dns.RcodeNameError
		}
		_ = w.WriteMsg(m) // the client asks again
	})
	pages := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "page %s\n%s", r.URL.Path, strings.Repeat("x", 5000))
	})
	var wait sync.WaitGroup
	var stops []func() error
	s.within(s.near, func() error {
		packets, err := net.ListenPacket("udp", ":53")
		if err != nil {
			return err
		}
		names := &dns.Server{PacketConn: packets, Handler: answer}
		web, err := net.Listen("tcp", ":80")
		if err != nil {
			return err
		}
		safe, err := net.Listen("tcp", ":443")
		if err != nil {
			return err
		}
		plain := &http.Server{Handler: pages}
		secure := &http.Server{Handler: pages, TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate(s.t)}}}
		wait.Go(func() { _ = names.ActivateAndServe() })
		wait.Go(func() { _ = plain.Serve(web) })
		wait.Go(func() { _ = secure.ServeTLS(safe, "", "") })
		stops = append(stops, packets.Close, plain.Close, secure.Close)
		return nil
	})
	s.t.Cleanup(func() {
		for _, stop := range stops {
			_ = stop() // it may have stopped already
		}
		wait.Wait()
	})
}

func certificate(t *testing.T) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"www.example.org"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}
}

// TestMain removes what program has built.
func TestMain(m *testing.M) {
	code := m.Run()
	if programDir != "" {
		_ = os.RemoveAll(programDir) // nothing depends on it
	}
	os.Exit(code)
}

var programDir string

// program builds flowscope as it is shipped: without cgo, or it could not be
// confined.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "flowscope-test-")
	if err != nil {
		return "", err
	}
	programDir = dir
	path := filepath.Join(dir, "flowscope")
	build := exec.Command("go", "build", "-o", path, "flowscope/cmd/flowscope")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build flowscope: %w: %s", err, out)
	}
	return path, nil
})

func flowscope(t *testing.T) string {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// service is a running command that is stopped by a signal.
type service struct {
	t    *testing.T
	cmd  *exec.Cmd
	log  *watched
	done chan error
}

// start starts a command and waits until it has written something.
func start(t *testing.T, cmd *exec.Cmd, until string) *service {
	t.Helper()
	s := &service{t: t, cmd: cmd, log: &watched{until: until, found: make(chan struct{})}, done: make(chan error, 1)}
	cmd.Stderr = s.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		s.done <- cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() { // it has ended, as a rule; what it writes to is removed next
		_ = cmd.Process.Kill()
		<-ended
	})
	select {
	case <-s.log.found:
	case err := <-s.done:
		t.Fatalf("%v ended: %v\n%s", cmd.Args, err, s.log)
	case <-time.After(time.Minute):
		t.Fatalf("%v does not say %q:\n%s", cmd.Args, until, s.log)
	}
	return s
}

// stop asks the command to end and returns its exit status.
func (s *service) stop() int {
	s.t.Helper()
	_ = s.cmd.Process.Signal(syscall.SIGINT)
	select {
	case err := <-s.done:
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			s.t.Fatal(err)
		}
		return s.cmd.ProcessState.ExitCode()
	case <-time.After(time.Minute):
		s.t.Fatalf("%v does not end:\n%s", s.cmd.Args, s.log)
		return 0
	}
}

// watched is what a command writes; found is closed when a text has come.
type watched struct {
	until string
	found chan struct{}
	mu    sync.Mutex
	b     bytes.Buffer
	seen  bool
}

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, err := w.b.Write(p)
	if !w.seen && strings.Contains(w.b.String(), w.until) {
		w.seen = true
		close(w.found)
	}
	return n, err
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

var _ io.Writer = (*watched)(nil)

// sensor starts flowscope run in near with a store of its own.
func (s *site) sensor(extra string, args ...string) (run *service, store string) {
	s.t.Helper()
	store = s.t.TempDir()
	return s.sensorWith("publish: {embedded: {store: "+strconv.Quote(store)+"}}\n"+extra, args...), store
}

// sensorWith starts flowscope run in near with a configuration that says where its
// events go.
func (s *site) sensorWith(config string, args ...string) *service {
	s.t.Helper()
	file := filepath.Join(s.t.TempDir(), "run.yml")
	text := "sensor: {name: test}\nmonitor: {listen: \"\"}\n" + config
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	command := append([]string{flowscope(s.t), "run", "--config", file}, args...)
	return start(s.t, in(s.near, command...), "msg=capturing")
}

// passable lets another user reach a folder of the test's.
func passable(t *testing.T, dir string) {
	t.Helper()
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// quiet keeps the systems from saying anything of their own accord.
func (s *site) quiet() {
	s.t.Helper()
	for ns, end := range map[string]string{s.near: "n0", s.far: "f0"} {
		s.run("ip", "netns", "exec", ns, "sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6")
		s.run("ip", "-n", ns, "address", "flush", "dev", end)
		s.run("ip", "-n", ns, "link", "set", end, "arp", "off")
	}
}

// events are what a store holds on some subjects, as JSON objects; without a subject
// all of it.
func events(t *testing.T, store string, subjects ...string) (all []map[string]any) {
	t.Helper()
	command := append([]string{"sub", "--store", store, "--format", "json"}, subjects...)
	out, err := exec.Command(flowscope(t), command...).Output()
	if err != nil {
		t.Fatal(err)
	}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		e := map[string]any{}
		if err := d.Decode(&e); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
}

// lastLedger is the last ledger in a store.
func lastLedger(t *testing.T, store string) *publish.Ledger {
	t.Helper()
	var last *publish.Ledger
	for _, e := range events(t, store, "flowscope.sensor.ledger") {
		b, err := json.Marshal(e["message"])
		if err != nil {
			t.Fatal(err)
		}
		last = &publish.Ledger{}
		if err := json.Unmarshal(b, last); err != nil {
			t.Fatal(err)
		}
	}
	if last == nil {
		t.Fatal("no ledger")
	}
	if err := last.Balance(); err != nil {
		t.Error(err)
	}
	return last
}

// ofTime are the keys that hold an id, a time or a duration.
var ofTime = regexp.MustCompile(`^(run|ts|seq|time|source)$|(^|_)(id|ts|ns|ms|us|rtt|iat|duration|rate|latency)(_|$)`)

// likewise are the events of flows without what two captures of the same packets
// may differ in, sorted.
func likewise(all []map[string]any) (lines []string) {
	for _, e := range all {
		if e["protocol"] == "sensor" {
			continue
		}
		// The stop of one is the end of the other's file.
		if e["reason"] == "eof" || e["reason"] == "end_of_input" {
			e["reason"] = "shutdown"
		}
		b, err := json.Marshal(withoutTime(e))
		if err != nil {
			panic(err)
		}
		lines = append(lines, string(b))
	}
	slices.Sort(lines)
	return lines
}

func withoutTime(v any) any {
	switch v := v.(type) {
	case map[string]any:
		clean := map[string]any{}
		for k, inner := range v {
			if k == "id" || !ofTime.MatchString(k) {
				clean[k] = withoutTime(inner)
			}
		}
		if _, event := clean["protocol"]; event {
			delete(clean, "id")
		}
		if flow, ok := clean["flow"].(map[string]any); ok {
			delete(flow, "id")
		}
		return clean
	case []any:
		for i := range v {
			v[i] = withoutTime(v[i])
		}
	}
	return v
}

// spoken leaves out what the systems say of themselves, at any time.
const spoken = "tcp or udp"

// TestLiveEqualsReplay captures what dig and curl do, and what tcpdump has written
// at the same time makes the same events, with one worker and with two.
func TestLiveEqualsReplay(t *testing.T) {
	for _, workers := range []int{1, 2} {
		t.Run(strconv.Itoa(workers), func(t *testing.T) {
			s := newSite(t, "tcpdump", "dig", "curl")
			s.servers()
			file := filepath.Join(t.TempDir(), "written.pcap")
			dump := start(t, in(s.near, "tcpdump", "-Z", "root", "-i", "n0", "-U", "--immediate-mode", "-s", "0", "--time-stamp-precision=nano", "-w", file, spoken), "listening on n0")
			run, store := s.sensor(fmt.Sprintf("workers: %d\ncapture: {filter: %s}\n", workers, spoken), "--iface", "n0")

			for i := range 10 {
				s.run("ip", "netns", "exec", s.far, "dig", "@"+nearAddress, "+short", fmt.Sprintf("name%d.example.org", i), "A")
				s.run("ip", "netns", "exec", s.far, "dig", "@"+nearAddress6, "+short", fmt.Sprintf("name%d.example.org", i), "TXT")
			}
			for _, url := range []string{"http://" + nearAddress + "/a", "http://[" + nearAddress6 + "]/b", "https://" + nearAddress + "/c"} {
				s.run("ip", "netns", "exec", s.far, "curl", "-gksS", "--max-time", "10", "-o", "/dev/null", url)
			}
			if code := run.stop(); code != 130 {
				t.Errorf("status %d:\n%s", code, run.log)
			}
			settled(t, file, dump.cmd.Process)
			dump.stop()

			replayed := filepath.Join(t.TempDir(), "store")
			out, err := exec.Command(flowscope(t), "replay", "--sensor", "test", "--workers", strconv.Itoa(workers), "--keep", replayed, file).CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			live, again := events(t, store), events(t, replayed)
			got, want := likewise(live), likewise(again)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("events (-replayed +live):\n%s", diff)
			}
			ledger := lastLedger(t, store)
			if n := ledger.Subjects["flowscope.dns.response"]; n != 20 {
				t.Errorf("%d responses, dig got 20", n)
			}
			if ledger.Packets.DroppedKernel != 0 || !strings.Contains(run.log.String(), "wrong_worker=0") {
				t.Errorf("%+v\n%s", ledger.Packets, run.log)
			}
			t.Logf("%d events, %d packets", len(got), ledger.Packets.Received)
		})
	}
}

// replayed sends a capture from far and returns the number of packets sent.
func (s *site) replayed(args ...string) uint64 {
	s.t.Helper()
	out := s.run(append([]string{"ip", "netns", "exec", s.far, "tcpreplay", "-q", "-K", "-i", "f0"}, args...)...)
	m := successful.FindStringSubmatch(out)
	if m == nil {
		s.t.Fatalf("tcpreplay says: %s", out)
	}
	sent, err := strconv.ParseUint(m[1], 10, 64)
	if err != nil {
		s.t.Fatal(err)
	}
	return sent
}

var successful = regexp.MustCompile(`Successful packets:\s+(\d+)`)

// TestLiveRates sends at rising rates through rings that are much too small: what
// was sent is what was received, and what was dropped of it is counted.
func TestLiveRates(t *testing.T) {
	s := newSite(t, "tcpreplay")
	s.quiet()
	for _, rate := range []string{"--pps=2000", "--pps=20000", "--pps=100000", "--topspeed"} {
		t.Run(strings.TrimLeft(rate, "-"), func(t *testing.T) {
			s := &site{t, s.near, s.far}
			run, store := s.sensor("workers: 2\ncapture: {ring_bytes: 65536, block_bytes: 16384, snaplen: 15000}\n", "--iface", "n0")
			loops := "40"
			if rate == "--pps=2000" {
				loops = "10"
			}
			sent := s.replayed(rate, "--loop="+loops, "testdata/dns.pcap")
			if code := run.stop(); code != 130 {
				t.Errorf("status %d:\n%s", code, run.log)
			}
			l := lastLedger(t, store)
			if l.Packets.Received != sent {
				t.Errorf("%d sent, %d received, of which %d dropped by the kernel", sent, l.Packets.Received, l.Packets.DroppedKernel)
			}
			t.Logf("%s: %d sent, %d received, %d dropped by the kernel", rate, sent, l.Packets.Received, l.Packets.DroppedKernel)
		})
	}
}

// TestLiveStartsWithoutServer captures without a server; the second signal gives up
// the waiting for it.
func TestLiveStartsWithoutServer(t *testing.T) {
	s := newSite(t)
	file := filepath.Join(t.TempDir(), "run.yml")
	text := "sensor: {name: test}\nmonitor: {listen: \"\"}\npublish: {servers: [\"nats://127.0.0.1:1\"], drain_timeout: 1m}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	run := start(t, in(s.near, flowscope(t), "run", "--config", file, "--iface", "n0"), "msg=capturing")
	s.servers()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_ = exec.CommandContext(ctx, "ip", "netns", "exec", s.far, "dig", "@"+nearAddress, "+short", "example.org").Run()
	_ = run.cmd.Process.Signal(syscall.SIGINT)
	deadline := time.Now().Add(20 * time.Second)
	for !strings.Contains(run.log.String(), "capture stopped") && time.Now().Before(deadline) {
		time.Sleep(20 * time.Millisecond)
	}
	if code := run.stop(); code != 1 || !strings.Contains(run.log.String(), "not acknowledged") {
		t.Errorf("status %d:\n%s", code, run.log)
	}
}
