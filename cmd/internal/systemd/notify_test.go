package systemd

import (
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

func manager(t *testing.T) (*net.UnixConn, string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("no Unix datagrams on windows")
	}
	path := filepath.Join(t.TempDir(), "n")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn, path
}

// The words are those of sd_notify(3).
func TestNotify(t *testing.T) {
	conn, path := manager(t)
	n, err := New([]string{"NOTIFY_SOCKET=" + path, "WATCHDOG_USEC=20000000", "WATCHDOG_PID=7"}, 7)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if n.Watchdog != 20*time.Second {
		t.Errorf("watchdog is %v", n.Watchdog)
	}
	for _, tt := range []struct {
		do   func() error
		want string
	}{
		{func() error { return n.Ready("capturing\nfrom eth0") }, "READY=1\nSTATUS=capturing from eth0"},
		{func() error { return n.Status("shedding") }, "STATUS=shedding"},
		{func() error { return n.Reloading(3 * time.Second) }, "RELOADING=1\nMONOTONIC_USEC=3000000"},
		{n.Alive, "WATCHDOG=1"},
		{n.Stopping, "STOPPING=1"},
	} {
		if err := tt.do(); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 256)
		k, err := conn.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(buf[:k]); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func TestNoManager(t *testing.T) {
	n, err := New([]string{"HOME=/"}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Ready("x"); err != nil || n.Watchdog != 0 {
		t.Errorf("%v, watchdog %v", err, n.Watchdog)
	}
	if err := n.Close(); err != nil {
		t.Error(err)
	}
}

func TestBadEnvironment(t *testing.T) {
	_, path := manager(t)
	for _, tt := range []struct {
		env  []string
		want string
	}{
		{[]string{"NOTIFY_SOCKET=relative"}, "NOTIFY_SOCKET"},
		{[]string{"NOTIFY_SOCKET=" + path + ".gone"}, "connect"},
		{[]string{"NOTIFY_SOCKET=" + path, "WATCHDOG_USEC=soon"}, "WATCHDOG_USEC"},
	} {
		if _, err := New(tt.env, 1); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: error is %v, want %s", tt.env, err, tt.want)
		}
	}
	n, err := New([]string{"NOTIFY_SOCKET=" + path, "WATCHDOG_USEC=1000", "WATCHDOG_PID=2"}, 1)
	if err != nil || n.Watchdog != 0 {
		t.Errorf("a watchdog for another process: %v, %v", n, err)
	}
}
