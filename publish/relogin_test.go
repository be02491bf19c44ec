package publish

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// syncBuffer is a log that others write.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// While there is no connection the file of a login may be gone, open to others or hold
// something else: the former login is used, and the log says why. One that is right is
// taken up without a reload.
func TestLoginIsReadAgainForEachConnection(t *testing.T) {
	tests := []struct {
		name, config    string
		content, second string // of the file; "" for a login that does not change
		auth            func(path string) Auth
		login           func(o *server.Options, content string)
	}{
		{
			"user", "", "sensor:old", "sensor:new",
			func(path string) Auth { return Auth{UserFile: path} },
			func(o *server.Options, content string) { o.Username, o.Password, _ = strings.Cut(content, ":") },
		},
		{
			"token", "", "old", "new",
			func(path string) Auth { return Auth{TokenFile: path} },
			func(o *server.Options, content string) { o.Authorization = content },
		},
		{
			"credentials", "testdata/auth/operator.conf", testdata(t, "sensor.creds"), "",
			func(path string) Auth { return Auth{Credentials: path} },
			func(*server.Options, string) {},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			port := server.RANDOM_PORT
			start := func(content string) *server.Server {
				return serverWith(t, tt.config, func(o *server.Options) {
					o.Port = port
					tt.login(o, content)
				})
			}
			srv := start(tt.content)
			port = srv.Addr().(*net.TCPAddr).Port
			file := secretFile(t, tt.content)
			log := &syncBuffer{}
			cfg := Config{Servers: []string{"nats://" + srv.Addr().String()}, Auth: tt.auth(file), ConnectTimeout: 10 * time.Second}
			nc, err := Connect(t.Context(), cfg, "test", slog.New(slog.NewTextHandler(log, nil)))
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			again := func(content string) {
				t.Helper()
				waitFor(t, "the end of the connection", func() bool { return !nc.IsConnected() })
				srv = start(content)
				waitFor(t, "the next connection", nc.IsConnected)
			}
			stop := func() { srv.Shutdown(); srv.WaitForShutdown() }
			write := func(content string, mode os.FileMode) {
				t.Helper()
				if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
				if err := os.Chmod(file, mode); err != nil {
					t.Fatal(err)
				}
			}
			for _, wrong := range []struct {
				change func()
				told   string
			}{
				{func() { write("topsecret\nother", 0o600) }, "auth: "},
				{func() { write(tt.content, 0o604) }, "0604"},
				{func() { _ = os.Remove(file) }, "no such file"},
			} {
				if tt.name == "token" && wrong.told == "auth: " {
					wrong.change = func() { write("\n", 0o600) } // any line is a token
				}
				stop()
				wrong.change()
				again(tt.content)
				if !strings.Contains(log.String(), "the login is as before") || !strings.Contains(log.String(), wrong.told) {
					t.Errorf("the log does not say %q:\n%s", wrong.told, log)
				}
			}
			if strings.Contains(log.String(), "topsecret") {
				t.Errorf("a secret is shown:\n%s", log)
			}
			if tt.second == "" {
				return
			}
			stop()
			write(tt.second, 0o600)
			again(tt.second)
		})
	}
}

// A server that refuses a login again and again does not have the log filled with what is
// wrong with its file.
func TestLoginThatStaysWrong(t *testing.T) {
	log := &syncBuffer{}
	next := again(slog.New(slog.NewTextHandler(log, nil)), "former", func() (string, error) { return "", errors.New("no such file") })
	for range 1000 {
		if got := next(); got != "former" {
			t.Fatalf("the login is %q", got)
		}
	}
	if lines := strings.Count(log.String(), "\n"); lines != 1 {
		t.Errorf("%d lines:\n%s", lines, log)
	}
}
