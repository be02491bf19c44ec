//go:build linux

package integration

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"flowscope/publish"
)

// chaosRounds is how often each fault is made: a few in every run, many in the
// long one.
func chaosRounds() int {
	if os.Getenv("FLOWSCOPE_LONG") == "1" {
		return 20
	}
	return 2
}

// programs are the binaries that chaos is made with.
type programs struct{ server, flowscope string }

// buildPrograms builds the server from the module that go.mod names, and
// flowscope.
func buildPrograms(t *testing.T) programs {
	t.Helper()
	dir := t.TempDir()
	p := programs{filepath.Join(dir, "nats-server"), filepath.Join(dir, "flowscope")}
	for path, pkg := range map[string]string{p.server: "github.com/nats-io/nats-server/v2", p.flowscope: "flowscope/cmd/flowscope"} {
		build := exec.Command("go", "build", "-o", path, pkg)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		output(t.Context(), t, build)
	}
	if err := os.Chmod(dir, 0o755); err != nil { // one test runs it as somebody else
		t.Fatal(err)
	}
	return p
}

// natsProcess is a standalone server that can be killed, stopped and started
// again.
type natsProcess struct {
	t       *testing.T
	program string
	config  string
	address string
	log     string
	// namespace is the network namespace that it runs in, "" the test's.
	namespace string
	cmd       *exec.Cmd
	waited    chan error
}

// freeAddress is an address on loopback that was free a moment ago.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// startNATS starts a server with a file store in dir and waits until JetStream
// answers. extra is more configuration.
func startNATS(t *testing.T, program, dir, name, extra string) *natsProcess {
	t.Helper()
	s := newNATS(t, program, dir, name, freeAddress(t), extra)
	s.start()
	s.await()
	return s
}

func newNATS(t *testing.T, program, dir, name, address, extra string) *natsProcess {
	t.Helper()
	s := &natsProcess{
		t: t, program: program, address: address,
		config: filepath.Join(t.TempDir(), name+".conf"), log: filepath.Join(t.TempDir(), name+".log"),
	}
	text := fmt.Sprintf("server_name: %s\nlisten: %q\njetstream { store_dir: %q, max_memory_store: 64MB, max_file_store: 4GB }\n%s\n",
		name, s.address, dir, extra)
	if err := os.WriteFile(s.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.signal(syscall.SIGCONT)
		s.kill()
		if t.Failed() {
			if log, err := os.ReadFile(s.log); err == nil {
				t.Logf("%s: %s", name, log[max(0, len(log)-4000):])
			}
		}
	})
	return s
}

func (s *natsProcess) start() {
	s.t.Helper()
	s.cmd = exec.Command(s.program, "-c", s.config, "-l", s.log)
	if s.namespace != "" {
		s.cmd = in(s.namespace, s.cmd.Args...)
	}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.waited = make(chan error, 1)
	go func(cmd *exec.Cmd, waited chan error) { waited <- cmd.Wait() }(s.cmd, s.waited)
}

// await waits until JetStream answers.
func (s *natsProcess) await() {
	s.t.Helper()
	awaitTrue(s.t, "the server "+s.address, func() bool {
		nc, err := s.connect(nats.Timeout(time.Second))
		if err != nil {
			return false
		}
		defer nc.Close()
		_, err = nc.Request("$JS.API.INFO", nil, time.Second)
		return err == nil
	})
}

func (s *natsProcess) url() string { return "nats://" + s.address }

func (s *natsProcess) connect(options ...nats.Option) (*nats.Conn, error) {
	if s.namespace != "" {
		options = append(options, nats.SetCustomDialer(dialer{s.namespace}))
	}
	return nats.Connect(s.url(), options...)
}

func (s *natsProcess) signal(sig os.Signal) {
	if s.cmd != nil && s.cmd.Process != nil {
		_ = s.cmd.Process.Signal(sig)
	}
}

// kill ends the server the hard way.
func (s *natsProcess) kill() { s.end(syscall.SIGKILL) }

// end ends the server by a signal.
func (s *natsProcess) end(sig os.Signal) {
	if s.cmd == nil {
		return
	}
	s.signal(sig)
	<-s.waited
	s.cmd = nil
}

// stream returns the stream of events over a connection of its own.
func (s *natsProcess) stream(name string) jetstream.Stream {
	s.t.Helper()
	stream, err := s.jetStream().Stream(s.t.Context(), name)
	if err != nil {
		s.t.Fatal(err)
	}
	return stream
}

func (s *natsProcess) jetStream() jetstream.JetStream {
	s.t.Helper()
	nc, err := s.connect(nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		s.t.Fatal(err)
	}
	return js
}

func awaitTrue(t *testing.T, what string, done func() bool) {
	t.Helper()
	for begin := time.Now(); !done(); <-time.After(20 * time.Millisecond) {
		if time.Since(begin) > time.Minute {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// proxy is a TCP proxy in front of a server that does what networks do.
type proxy struct {
	listener net.Listener
	target   string
	delay    atomic.Int64 // of each piece, both ways
	mute     atomic.Bool  // what the server says is swallowed
	refuse   atomic.Bool  // new connections end at once
	mu       sync.Mutex
	conns    map[*net.TCPConn]*net.TCPConn // client → server
	wait     sync.WaitGroup
}

func startProxy(t *testing.T, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveProxy(t, l, target)
}

func serveProxy(t *testing.T, l net.Listener, target string) *proxy {
	t.Helper()
	p := &proxy{listener: l, target: target, conns: map[*net.TCPConn]*net.TCPConn{}}
	p.wait.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close()
		p.refuse.Store(true)
		p.cut()
		p.wait.Wait()
	})
	return p
}

func (p *proxy) url() string { return "nats://" + p.listener.Addr().String() }

func (p *proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		if p.refuse.Load() {
			_ = c.Close()
			continue
		}
		s, err := net.DialTimeout("tcp", p.target, time.Second)
		if err != nil {
			_ = c.Close()
			continue
		}
		client, server := c.(*net.TCPConn), s.(*net.TCPConn)
		p.mu.Lock()
		p.conns[client] = server
		p.mu.Unlock()
		p.wait.Go(func() {
			var both sync.WaitGroup
			both.Go(func() { p.pump(server, client, nil) })
			both.Go(func() { p.pump(client, server, &p.mute) })
			both.Wait()
			p.mu.Lock()
			delete(p.conns, client)
			p.mu.Unlock()
			_, _ = client.Close(), server.Close()
		})
	}
}

// pump copies one way until that way ends.
func (p *proxy) pump(to, from *net.TCPConn, mute *atomic.Bool) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if d := p.delay.Load(); d > 0 {
			<-time.After(time.Duration(d))
		}
		if n > 0 && (mute == nil || !mute.Load()) {
			if _, err := to.Write(buf[:n]); err != nil {
				_ = from.Close()
				return
			}
		}
		if err != nil {
			_ = to.CloseWrite()
			return
		}
	}
}

func (p *proxy) each(f func(client, server *net.TCPConn)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c, s := range p.conns {
		f(c, s)
	}
}

// cut breaks all connections with a reset.
func (p *proxy) cut() {
	p.each(func(c, s *net.TCPConn) {
		_, _ = c.SetLinger(0), s.SetLinger(0)
		_, _ = c.Close(), s.Close()
	})
}

// halfClose ends one direction of each connection.
func (p *proxy) halfClose(towardsServer bool) {
	p.each(func(c, s *net.TCPConn) {
		if towardsServer {
			_ = s.CloseWrite()
		} else {
			_ = c.CloseWrite()
		}
	})
}

// writeCapture writes a capture of flows with a query and its answer each, spread
// evenly over a time; pause is a time in the middle in which nothing happens.
func writeCapture(t *testing.T, path string, flows int, span, pause time.Duration) {
	t.Helper()
	b := binary.LittleEndian.AppendUint32(nil, 0xa1b2c3d4)
	b = binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16(b, 2), 4)
	b = binary.LittleEndian.AppendUint64(b, 0)
	b = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(b, 65535), 1)
	begin := time.Unix(1_790_000_000, 0)
	for i := range flows {
		at := begin.Add(span * time.Duration(i) / time.Duration(flows))
		if i >= flows/2 {
			at = at.Add(pause)
		}
		for _, answer := range []bool{false, true} {
			frame := dnsFrame(i, answer)
			b = binary.LittleEndian.AppendUint32(b, uint32(at.Unix()))
			b = binary.LittleEndian.AppendUint32(b, uint32(at.Nanosecond()/1000))
			b = binary.LittleEndian.AppendUint32(b, uint32(len(frame)))
			b = binary.LittleEndian.AppendUint32(b, uint32(len(frame)))
			b = append(b, frame...)
			at = at.Add(10 * time.Microsecond)
		}
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

func dnsFrame(flow int, answer bool) []byte {
	client := []byte{10, byte(flow >> 16), byte(flow >> 8), byte(flow)}
	server := []byte{192, 0, 2, 53}
	dns := []byte{byte(flow >> 8), byte(flow), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}
	if answer {
		dns[2], dns[3], dns[7] = 0x81, 0x80, 1
	}
	label := fmt.Sprintf("host-%d", flow)
	dns = append(append(append(dns, byte(len(label))), label...), "\x07example\x00\x00\x01\x00\x01"...)
	from, to, fromPort, toPort := client, server, uint16(40000), uint16(53)
	if answer {
		dns = append(dns, "\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc6\x33\x64\x01"...)
		from, to, fromPort, toPort = server, client, 53, 40000
	}
	b := []byte("\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02\x08\x00\x45\x00")
	b = binary.BigEndian.AppendUint16(b, uint16(28+len(dns)))
	b = append(append(append(b, 0, 0, 0, 0, 64, 17, 0, 0), from...), to...)
	binary.BigEndian.PutUint16(b[24:], ipChecksum(b[14:34]))
	b = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(b, fromPort), toPort)
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(dns)))
	return append(append(b, 0, 0), dns...)
}

func ipChecksum(header []byte) uint16 {
	var sum uint32
	for i := 0; i < len(header); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(header[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// replayProcess is flowscope replaying a capture.
type replayProcess struct {
	t      *testing.T
	cmd    *exec.Cmd
	stderr bytes.Buffer
	done   chan error
}

// chaosConfig makes the replay notice things soon, and keeps its memory small.
const chaosConfig = `publish:
  ack_timeout: 1s
  stall_timeout: 30s
  drain_timeout: 60s
  queue_bytes: 4194304
  in_flight: {messages: 1024, bytes: 4194304}
`

func startReplay(t *testing.T, program, url, capture, more string, flags ...string) *replayProcess {
	t.Helper()
	config := filepath.Join(t.TempDir(), "config.yml")
	if err := os.WriteFile(config, []byte(chaosConfig+more), 0o644); err != nil {
		t.Fatal(err)
	}
	r := &replayProcess{t: t, done: make(chan error, 1)}
	args := append([]string{
		"replay", "--to", url, "--config", config, "--report", "json", "--workers", "2", "--speed", "1",
	}, flags...)
	r.cmd = exec.Command(program, append(args, capture)...)
	r.cmd.Stderr = &r.stderr
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { r.done <- r.cmd.Wait() }()
	t.Cleanup(func() { _ = r.cmd.Process.Kill() })
	return r
}

// memoryCap is what a replay with chaosConfig may take: queue, window, and the
// program itself, in bytes.
const memoryCap = 256 << 20

// end waits for the end and returns the ledger, which must balance, and the exit
// status.
func (r *replayProcess) end(limit time.Duration) (*publish.Ledger, int) {
	r.t.Helper()
	var err error
	select {
	case err = <-r.done:
	case <-time.After(limit):
		_ = r.cmd.Process.Signal(syscall.SIGQUIT)
		<-r.done
		r.t.Fatalf("the replay does not end within %v\n%s", limit, tailOf(r.stderr.String()))
	}
	status := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		status = exit.ExitCode()
	} else if err != nil {
		r.t.Fatal(err)
	}
	l := new(publish.Ledger)
	report := "" // the last line, but that one that served tells of its interruption after it
	for line := range strings.Lines(r.stderr.String()) {
		if strings.HasPrefix(line, "{") {
			report = line
		}
	}
	if err := json.Unmarshal([]byte(report), l); err != nil {
		r.t.Fatalf("no report: %v\n%s", err, tailOf(r.stderr.String()))
	}
	if err := l.Balance(); err != nil {
		r.t.Error(err)
	}
	if l.PeakRSS > memoryCap {
		r.t.Errorf("%d bytes of memory, want at most %d", l.PeakRSS, memoryCap)
	}
	return l, status
}

func tailOf(s string) string { return s[max(0, len(s)-3000):] }

// check holds a run that got everything through to its promise: the stream holds
// each event once.
func (r *replayProcess) check(l *publish.Ledger, status int, events uint64) {
	r.t.Helper()
	if status != 0 || l.Events.Acknowledged != events || l.Events.Made != events {
		r.t.Errorf("status %d, %+v, want %d acknowledged\n%s", status, l.Events, events, tailOf(r.stderr.String()))
	}
}

// audited reads the stream and returns the number of events in it, the sensor's
// own not counted; nothing may be doubled, nor missing unless that is allowed.
func audited(t *testing.T, url string, complete bool) uint64 {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	report, err := publish.Audit(ctx, nc, publish.SubscribeConfig{Subjects: []string{"flowscope.>"}},
		[]string{"flowscope.sensor.heartbeat", "flowscope.sensor.ledger"})
	if err != nil {
		t.Fatal(err)
	}
	return checkAudit(t, report, complete)
}

// checkAudit is what audited asks of a report.
func checkAudit(t *testing.T, report *publish.AuditReport, complete bool) uint64 {
	t.Helper()
	var events, missing, doubled uint64
	for i := range report.Rows {
		row := &report.Rows[i]
		missing += row.Missing
		doubled += row.Doubled
		if !strings.Contains(row.Subject, ".sensor.") {
			events += row.Stored
		}
	}
	if doubled > 0 || report.DoubledIDs > 0 || report.Unreadable > 0 {
		t.Errorf("the stream holds %d numbers and %d ids more than once (%v), %d unreadable", doubled, report.DoubledIDs, report.IDs, report.Unreadable)
	}
	if complete && !report.Clean() {
		t.Errorf("%d events are missing: %+v", missing, report.Runs)
	}
	return events
}
