package integration

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"flowscope/publish"
)

// TestService runs a sensor the way a service manager does: it says when it is
// ready and alive, has no privileges left on any thread, can be looked at, takes
// up what it can of a changed configuration, keeps the old one when the new one is
// wrong, and delivers everything at the end.
func TestService(t *testing.T) {
	s := newSite(t)
	s.servers()
	dir := t.TempDir()
	passable(t, dir) // for the user it becomes
	store, file := filepath.Join(dir, "store"), filepath.Join(dir, "run.yml")
	configure := func(capture, publish, more string) {
		t.Helper()
		text := "sensor: {name: test}\nsecurity: {user: nobody}\nmonitor: {listen: \"127.0.0.1:9477\"}\ncapture: {" + capture +
			"}\npublish: {" + publish + "embedded: {store: " + store + "}}\n" + more
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	configure("", "", "")

	manager := listenForStates(t, filepath.Join(dir, "notify"))
	cmd := in(s.near, flowscope(t), "run", "--config", file, "--iface", "n0")
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+filepath.Join(dir, "notify"), "WATCHDOG_USEC=1500000")
	run := start(t, cmd, "msg=confined")
	manager.await(t, "READY=1")
	manager.await(t, "WATCHDOG=1")

	checkConfined(t, cmd.Process.Pid, "CapBnd:\t0000000000000000\n")
	if body := s.get(t, "http://127.0.0.1:9477/readyz"); body != "ready\n" {
		t.Errorf("/readyz: %q", body)
	}
	s.visit(t)
	var seen struct {
		State     string
		HeapBytes uint64 `json:"heap_bytes"`
		Workers   []struct{ Events uint64 }
		Protocols map[string]struct{ Messages uint64 }
		Ledger    struct{ Packets struct{ Received uint64 } }
	}
	eventually(t, "packets in /status, and messages made of them", func() bool {
		return json.Unmarshal([]byte(s.get(t, "http://127.0.0.1:9477/status")), &seen) == nil && seen.Ledger.Packets.Received > 10 &&
			seen.Protocols["dns"].Messages == 2 && seen.Protocols["http"].Messages == 2
	})
	made := uint64(0)
	for _, w := range seen.Workers {
		made += w.Events
	}
	if seen.State != "capturing" || seen.HeapBytes == 0 || made == 0 {
		t.Errorf("status: %+v", seen)
	}
	if metrics := s.get(t, "http://127.0.0.1:9477/metrics"); !strings.Contains(metrics, `flowscope_state{state="capturing"} 1`) {
		t.Errorf("/metrics:\n%s", metrics)
	}

	// A wrong file leaves everything as it is.
	configure("filter: \"udp prt 53\"", "", "")
	hangUp(t, run, "the old one stays")
	manager.await(t, "RELOADING=1")
	manager.await(t, "READY=1")

	// From here on DNS alone is seen, and its messages alone published; the table's
	// size is for the next start.
	configure("filter: \"udp port 53\"", "events: messages, ", "flow: {max_flows: 1000}\n")
	hangUp(t, run, "configuration reloaded")
	if log := run.log.String(); !strings.Contains(log, `changed="capture.filter publish.events"`) || !strings.Contains(log, "needs_restart=flow.max_flows") {
		t.Errorf("the log does not say what was taken up:\n%s", log)
	}
	manager.await(t, "READY=1")
	eventually(t, "events left out, which workers do from their next tick on", func() bool {
		s.visit(t)
		var now struct{ Ledger publish.Ledger }
		err := json.Unmarshal([]byte(s.get(t, "http://127.0.0.1:9477/status")), &now)
		return err == nil && now.Ledger.Events.Filtered.Sum() > 0
	})
	mark := time.Now()
	s.visit(t)
	if status := run.stop(); status != 130 {
		t.Errorf("status %d:\n%s", status, run.log)
	}
	manager.await(t, "STOPPING=1")
	before, after := map[string]int{}, map[string]int{}
	for _, e := range events(t, store) {
		subject := fmt.Sprint(e["protocol"], ".", e["kind"])
		at, err := time.Parse(time.RFC3339Nano, fmt.Sprint(e["ts"]))
		if err != nil {
			t.Fatal(err)
		}
		if at.Before(mark) {
			before[subject]++
		} else if e["protocol"] != "sensor" {
			after[subject]++
		}
	}
	for _, want := range []string{"dns.query", "dns.response", "dns.started", "http.request", "http.response"} {
		if before[want] == 0 {
			t.Errorf("before the reload no %s: %v", want, before)
		}
	}
	if after["dns.query"] == 0 || after["dns.response"] == 0 || after["dns.started"] > 0 || after["http.request"] > 0 {
		t.Errorf("after the reload: %v", after)
	}
	lastLedger(t, store)
}

// patient is a client that waits for a busy machine: what is asked again is seen again.
var patient = &dns.Client{Timeout: 30 * time.Second}

// visit asks the servers for a name and a page.
func (s *site) visit(t *testing.T) {
	t.Helper()
	s.within(s.far, func() error {
		m := new(dns.Msg)
		m.SetQuestion("www.example.org.", dns.TypeA)
		if _, _, err := patient.Exchange(m, nearAddress+":53"); err != nil {
			return err
		}
		conn, err := net.DialTimeout("tcp", nearAddress+":80", 10*time.Second)
		if err != nil {
			return err
		}
		defer conn.Close()
		if _, err := fmt.Fprintf(conn, "GET /page HTTP/1.1\r\nHost: www.example.org\r\nConnection: close\r\n\r\n"); err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, conn)
		return err
	})
}

// get fetches something inside near.
func (s *site) get(t *testing.T, url string) (body string) {
	t.Helper()
	s.within(s.near, func() error {
		where, path, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
		conn, err := net.DialTimeout("tcp", where, 10*time.Second) // on this thread
		if err != nil {
			return err
		}
		defer conn.Close()
		if _, err := fmt.Fprintf(conn, "GET /%s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", path, where); err != nil {
			return err
		}
		r, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			return err
		}
		defer r.Body.Close()
		b, err := io.ReadAll(r.Body)
		body = string(b)
		return err
	})
	return body
}

// TestSeenToTheEnd looks at a sensor that has stopped and waits for a server to take
// what is left: it can be looked at until it ends, at the second signal.
func TestSeenToTheEnd(t *testing.T) {
	s := newSite(t)
	s.servers()
	file := filepath.Join(t.TempDir(), "run.yml")
	text := "sensor: {name: test}\npublish: {servers: [\"nats://127.0.0.1:4224\"], drain_timeout: 50s}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	run := start(t, in(s.near, flowscope(t), "run", "--config", file, "--iface", "n0"), "msg=confined")
	s.visit(t)
	if err := run.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the capture's end", func() bool { return strings.Contains(run.log.String(), "capture stopped") })
	var now struct {
		State  string
		Ready  bool
		Ledger publish.Ledger
	}
	if err := json.Unmarshal([]byte(s.get(t, "http://127.0.0.1:9477/status")), &now); err != nil {
		t.Fatal(err)
	}
	if now.State != "stopping" || now.Ready || now.Ledger.Events.Pending == 0 {
		t.Errorf("%+v", now)
	}
	if text := s.get(t, "http://127.0.0.1:9477/readyz"); !strings.HasPrefix(text, "not ready: ") {
		t.Errorf("/readyz: %s", text)
	}
	if text := s.get(t, "http://127.0.0.1:9477/healthz"); text != "ok\n" {
		t.Errorf("/healthz: %s", text)
	}
	begin := time.Now()
	if status := run.stop(); status != 1 && status != 130 || time.Since(begin) > 20*time.Second {
		t.Errorf("status %d after %v:\n%s", status, time.Since(begin), run.log)
	}
}

// hangUp asks the sensor to read its configuration and waits for what it says.
func hangUp(t *testing.T, run *service, until string) {
	t.Helper()
	if err := run.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, until, func() bool { return strings.Contains(run.log.String(), until) })
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 300 {
		if ok() {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("%s: not in 30 s", what)
}

// checkConfined reads of every thread what the kernel says of its privileges; more
// are further lines that must be there.
func checkConfined(t *testing.T, pid int, more ...string) {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(tasks) < 3 {
		t.Fatalf("%d threads: %v", len(tasks), err)
	}
	for _, task := range tasks {
		raw, err := os.ReadFile(task)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // a thread that has ended
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range append(more, "CapEff:\t0000000000000000\n", "CapPrm:\t0000000000000000\n", "Seccomp:\t2\n", "NoNewPrivs:\t1\n") {
			if !strings.Contains(string(raw), want) {
				t.Errorf("%s: want %q in\n%s", task, want, raw)
			}
		}
		if strings.Contains(string(raw), "\nUid:\t0\t") {
			t.Errorf("%s: still root", task)
		}
	}
}

// states are what a service manager is told.
type states struct{ said chan string }

func listenForStates(t *testing.T, path string) *states {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	m := &states{make(chan string, 1000)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 4096)
		for {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			m.said <- string(buf[:n])
		}
	}()
	t.Cleanup(func() {
		conn.Close()
		<-done
	})
	return m
}

// await passes over what is said until it begins as wanted.
func (m *states) await(t *testing.T, want string) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		select {
		case said := <-m.said:
			if strings.HasPrefix(said, want) {
				return
			}
		case <-deadline:
			t.Fatalf("the service manager does not hear %s", want)
		}
	}
}
