package embedded

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server.init.0.func1"))
}

func started(t *testing.T, cfg Config) *Server {
	t.Helper()
	s, err := Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func jetStreamOn(t *testing.T, s *Server) jetstream.JetStream {
	t.Helper()
	nc, err := s.Connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func TestStoreSurvives(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "store")
	s := started(t, Config{Store: dir})
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("store: %v, %v; want mode 0700", info.Mode(), err)
	}
	if s.URL() != "" {
		t.Errorf("URL %q, want none", s.URL())
	}
	js := jetStreamOn(t, s)
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"a"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "a", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}

	again, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = again.Close() })
	stream, err := jetStreamOn(t, again).Stream(t.Context(), "S")
	if err != nil {
		t.Fatal(err)
	}
	if n := stream.CachedInfo().State.Msgs; n != 1 {
		t.Errorf("%d messages after the restart, want 1", n)
	}
}

func TestStartErrors(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	used := filepath.Join(dir, "used")
	started(t, Config{Store: used})
	tests := []struct {
		name string
		cfg  Config
		is   error
		want string
	}{
		{"no directory given", Config{}, nil, "no store"},
		{"a file", Config{Store: file}, syscall.ENOTDIR, file},
		{"in use", Config{Store: used}, ErrInUse, used},
		{"listen without port", Config{Store: dir, Listen: "localhost"}, nil, "listen"},
		{"listen with a bad port", Config{Store: dir, Listen: "localhost:70000"}, nil, "listen"},
		{"negative bound", Config{Store: dir, MaxStore: -1}, nil, "max_store"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := Start(tt.cfg)
			if err == nil {
				t.Fatal("no error", s.Close())
			}
			if tt.is != nil && !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Start: %v, want %v with %q", err, tt.is, tt.want)
			}
		})
	}
}

func TestOpenWithoutStore(t *testing.T) {
	for _, dir := range []string{t.TempDir(), filepath.Join(t.TempDir(), "none")} {
		s, err := Open(dir)
		if err == nil {
			t.Fatal("no error", s.Close())
		}
		if !strings.Contains(err.Error(), dir) {
			t.Errorf("Open: %v, want %s named", err, dir)
		}
		if _, err := os.Stat(filepath.Join(dir, lockName)); err == nil {
			t.Errorf("Open left a file in %s", dir)
		}
	}
}

func TestListen(t *testing.T) {
	s := started(t, Config{Store: t.TempDir(), Listen: "127.0.0.1:0"})
	nc, err := nats.Connect(s.URL(), nats.Timeout(5*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	nc.Close()
}

func TestMaxStore(t *testing.T) {
	s := started(t, Config{Store: t.TempDir(), MaxStore: 1 << 20})
	_, err := jetStreamOn(t, s).CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"a"}, MaxBytes: 2 << 20})
	if err == nil {
		t.Error("a stream larger than the store was created")
	}
}

// The monitoring is there only if it is asked for.
func TestMonitor(t *testing.T) {
	off := started(t, Config{Store: t.TempDir()})
	if addr := off.srv.MonitorAddr(); addr != nil {
		t.Errorf("monitoring at %v without being asked for", addr)
	}
	on := started(t, Config{Store: t.TempDir(), Monitor: "127.0.0.1:0"})
	r, err := http.Get("http://" + on.srv.MonitorAddr().String() + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Body.Close(); err != nil || r.StatusCode != http.StatusOK {
		t.Errorf("%d, %v", r.StatusCode, err)
	}
	http.DefaultClient.CloseIdleConnections()
}

// Others need the login, and whoever comes from inside has it.
func TestListenWithLogin(t *testing.T) {
	s := started(t, Config{Store: t.TempDir(), Listen: "127.0.0.1:0", User: "reader", Password: "secret"})
	for _, tt := range []struct {
		user, password string
		let            bool
	}{{"reader", "secret", true}, {"reader", "other", false}, {"", "", false}} {
		nc, err := nats.Connect(s.URL(), nats.UserInfo(tt.user, tt.password))
		if (err == nil) != tt.let {
			t.Errorf("%q, %q: %v", tt.user, tt.password, err)
		}
		if err == nil {
			nc.Close()
		}
	}
	jetStreamOn(t, s)
}
