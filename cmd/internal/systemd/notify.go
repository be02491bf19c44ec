// Package systemd tells a service manager how the process is doing: the datagrams
// of sd_notify(3), and how often the manager's watchdog wants one.
//
// In go states, out go datagrams to the socket named by NOTIFY_SOCKET; without one
// nothing happens. A Notifier may be used by several goroutines.
package systemd

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// Notifier sends to the service manager. The zero value sends nothing.
type Notifier struct {
	conn *net.UnixConn
	// Watchdog is the interval within which the manager wants to hear Alive; 0
	// if it does not.
	Watchdog time.Duration
}

// New connects to the manager that the environment names. pid is this process's:
// a watchdog meant for another one is left alone.
func New(environ []string, pid int) (*Notifier, error) {
	env := map[string]string{}
	for _, e := range environ {
		if key, value, ok := strings.Cut(e, "="); ok {
			env[key] = value
		}
	}
	path := env["NOTIFY_SOCKET"]
	if path == "" {
		return &Notifier{}, nil
	}
	if path[0] != '/' && path[0] != '@' {
		return nil, fmt.Errorf("NOTIFY_SOCKET=%s: want a path, or @ and a name", path)
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("connect to the service manager: %w", err)
	}
	n := &Notifier{conn: conn}
	if p := env["WATCHDOG_PID"]; p != "" && p != strconv.Itoa(pid) {
		return n, nil
	}
	if usec := env["WATCHDOG_USEC"]; usec != "" {
		v, err := strconv.ParseInt(usec, 10, 64)
		if err != nil || v <= 0 {
			return nil, errors.Join(fmt.Errorf("WATCHDOG_USEC=%s: want microseconds", usec), conn.Close())
		}
		n.Watchdog = time.Duration(v) * time.Microsecond
	}
	return n, nil
}

// Ready says that the service has started; status is for people.
func (n *Notifier) Ready(status string) error { return n.send("READY=1\nSTATUS=" + oneLine(status)) }

// Status changes what people see.
func (n *Notifier) Status(status string) error { return n.send("STATUS=" + oneLine(status)) }

// Reloading says that the configuration is being read again; Ready says that this
// is over. at is the monotonic clock, see Monotonic.
func (n *Notifier) Reloading(at time.Duration) error {
	return n.send(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", at.Microseconds()))
}

// Stopping says that the service ends.
func (n *Notifier) Stopping() error { return n.send("STOPPING=1") }

// Alive feeds the watchdog.
func (n *Notifier) Alive() error { return n.send("WATCHDOG=1") }

// Close lets go of the socket.
func (n *Notifier) Close() error {
	if n.conn == nil {
		return nil
	}
	return n.conn.Close()
}

func (n *Notifier) send(state string) error {
	if n.conn == nil {
		return nil
	}
	if _, err := n.conn.Write([]byte(state)); err != nil {
		return fmt.Errorf("notify the service manager: %w", err)
	}
	return nil
}

func oneLine(s string) string { return strings.ReplaceAll(s, "\n", " ") }
