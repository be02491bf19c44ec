package integration

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/vmihailenco/msgpack/v5"
)

// inside is a dialer whose connections belong to a namespace.
type inside struct {
	site *site
	ns   string
}

func (d inside) Dial(network, address string) (conn net.Conn, err error) {
	d.site.within(d.ns, func() error {
		conn, err = net.Dial(network, address)
		return nil
	})
	return conn, err
}

// TestLiveLeavesOutDiscoveredServers captures on the interface that the connection to
// a cluster of two goes over, of which one is configured. The sensor is told of the
// other, moves there when the first is gone, and captures neither connection, but
// what else goes over the interface.
func TestLiveLeavesOutDiscoveredServers(t *testing.T) {
	s := newSite(t)
	built := buildPrograms(t)
	node := func(name, address, route, other string) *natsProcess {
		_, port, _ := strings.Cut(address, ":")
		extra := fmt.Sprintf("client_advertise: \"127.0.0.1:%s\"\ncluster { name: pair, listen: %q, routes: [\"nats-route://%s\"] }", port, route, other)
		n := newNATS(t, built.server, t.TempDir(), name, address, extra)
		n.namespace = s.near
		n.start()
		return n
	}
	first := node("first", "127.0.0.1:4222", "127.0.0.1:6222", "127.0.0.1:6223")
	node("second", "0.0.0.0:4223", "127.0.0.1:6223", "127.0.0.1:6222")

	// The test listens from outside, which the sensor does not see.
	var nc *nats.Conn
	eventually(t, "the second server", func() bool {
		var err error
		nc, err = nats.Connect("nats://"+nearAddress+":4223", nats.SetCustomDialer(inside{s, s.far}), nats.NoReconnect())
		return err == nil
	})
	defer nc.Close()
	var mu sync.Mutex
	ports, heartbeats := map[string]int{}, 0
	_, err := nc.Subscribe("flowscope.>", func(m *nats.Msg) {
		var e struct {
			Kind string `msgpack:"kind"`
			Flow struct {
				Src uint16 `msgpack:"src_port"`
				Dst uint16 `msgpack:"dst_port"`
			} `msgpack:"flow"`
		}
		if err := msgpack.Unmarshal(m.Data, &e); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		if e.Kind == "heartbeat" {
			heartbeats++
		}
		ports[fmt.Sprint(e.Flow.Src)]++
		ports[fmt.Sprint(e.Flow.Dst)]++
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	seen := func(port string) int {
		mu.Lock()
		defer mu.Unlock()
		return ports[port]
	}

	file := filepath.Join(t.TempDir(), "run.yml")
	text := "sensor: {name: test}\nmonitor: {listen: \"\"}\npublish: {mode: core, servers: [\"nats://127.0.0.1:4222\"], heartbeat: 200ms}\nsession: {probe_time: 100ms}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	run := start(t, in(s.near, flowscope(t), "run", "--config", file, "--iface", "lo"), "dst host 127.0.0.1 and dst port 4223")
	first.kill()
	eventually(t, "the other server", func() bool { return strings.Contains(run.log.String(), "server=nats://127.0.0.1:4223") })
	mu.Lock()
	before := heartbeats
	mu.Unlock()
	eventually(t, "heartbeats by way of the other server", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return heartbeats > before+5
	})
	s.within(s.near, func() error { // a connection as any other
		l, err := net.Listen("tcp", "127.0.0.1:7777")
		if err != nil {
			return err
		}
		defer l.Close()
		conn, err := net.Dial("tcp", "127.0.0.1:7777")
		if err != nil {
			return err
		}
		if _, err := conn.Write([]byte("hello, hello, hello\n")); err != nil {
			return err
		}
		return conn.Close()
	})
	if status := run.stop(); status != 130 {
		t.Errorf("status %d:\n%s", status, run.log)
	}
	eventually(t, "another connection among the events", func() bool { return seen("7777") > 0 })
	for _, port := range []string{"4222", "4223"} {
		if n := seen(port); n > 0 {
			t.Errorf("%d events of port %s:\n%s", n, port, run.log)
		}
	}
	if t.Failed() {
		t.Logf("%v", ports)
	}
}
