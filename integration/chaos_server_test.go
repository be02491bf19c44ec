//go:build linux

package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

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
	options = append([]nats.Option{nats.Timeout(30 * time.Second)}, options...) // on a busy machine
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
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(30*time.Second))
	if err != nil {
		s.t.Fatal(err)
	}
	return js
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

// awaitEvents waits until publishing is under way.
func awaitEvents(t *testing.T, s *natsProcess, n uint64) {
	t.Helper()
	js := s.jetStream()
	awaitTrue(t, "the first events", func() bool {
		stream, err := js.Stream(t.Context(), "FLOWSCOPE")
		return err == nil && stream.CachedInfo().State.Msgs >= n/20
	})
}

func awaitTrue(t *testing.T, what string, done func() bool) {
	t.Helper()
	for begin := time.Now(); !done(); <-time.After(20 * time.Millisecond) {
		if time.Since(begin) > 3*time.Minute { // servers wait for long between two attempts
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
