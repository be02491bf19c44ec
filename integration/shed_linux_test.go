package integration

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// ask sends a DNS query from a port of its own, as often as there are ports, and
// waits for each answer.
func (s *site) ask(from, n int) {
	s.t.Helper()
	s.within(s.far, func() error {
		for i := range n {
			conn, err := net.DialUDP("udp", &net.UDPAddr{Port: from + i}, &net.UDPAddr{IP: net.ParseIP(nearAddress), Port: 53})
			if err != nil {
				return err
			}
			m := new(dns.Msg)
			m.SetQuestion(fmt.Sprintf("name%d.example.org.", from+i), dns.TypeA)
			_, _, err = patient.ExchangeWithConn(m, &dns.Conn{Conn: conn})
			if err := conn.Close(); err != nil {
				return err
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// TestLiveShedsFlows stops the server while names are asked for, one flow for each,
// until the queue runs full: whole flows are left out and counted, to the last one;
// what is followed says for how many it stands, in all its events; and once the
// server goes on everything is as before.
func TestLiveShedsFlows(t *testing.T) {
	s := newSite(t)
	s.servers()
	store := t.TempDir()
	server := newNATS(t, buildPrograms(t).server, store, "paused", "127.0.0.1:4222", "")
	server.namespace = s.near
	server.start()

	file := filepath.Join(t.TempDir(), "run.yml")
	text := `sensor: {name: test}
workers: 2
monitor: {listen: ""}
capture: {filter: udp port 53}
publish:
  servers: ["nats://127.0.0.1:4222"]
  stream: {mode: create}
  queue_bytes: 1048576
  in_flight: {messages: 64, bytes: 65536}
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	run := start(t, in(s.near, flowscope(t), "run", "--config", file, "--iface", "n0"), "publishing begins")
	says := func(text string) bool { return strings.Contains(run.log.String(), text) }

	const first, step, most = 10_000, 100, 40_000
	next := first
	ask := func(n int) {
		s.ask(next, n)
		next += n
	}
	ask(step) // these are followed, whatever comes
	server.signal(syscall.SIGSTOP)
	for !says("whole flows are left out") {
		if next > most {
			t.Fatalf("no shedding after %d flows:\n%s", next-first, run.log)
		}
		ask(step)
	}
	for !says("one_in=8") { // it grows while the queue is full
		if next > most {
			t.Fatalf("no more shedding after %d flows:\n%s", next-first, run.log)
		}
		ask(step)
		time.Sleep(50 * time.Millisecond) // a level has a second
	}
	ask(10 * step)
	if says("all flows are followed again") {
		t.Errorf("recovered without a server:\n%s", run.log)
	}
	server.signal(syscall.SIGCONT)
	eventually(t, "an empty queue", func() bool { return says("no events are dropped any more") })
	ask(10 * step) // for ten seconds flows are left out, and events are not
	eventually(t, "recovery", func() bool { return says("all flows are followed again") })
	ask(step)
	if status := run.stop(); status != 130 {
		t.Errorf("status %d:\n%s", status, run.log)
	}
	server.end(syscall.SIGTERM)

	ledger := lastLedger(t, store) // it balances
	sent := uint64(next - first)
	if got := ledger.Flows.Started + ledger.Flows.Shed; got != sent {
		t.Errorf("%d flows started and %d shed, %d were sent", ledger.Flows.Started, ledger.Flows.Shed, sent)
	}
	if p := ledger.Packets; p.Received != 2*sent || p.Shed != 2*ledger.Flows.Shed || p.Shed == 0 {
		t.Errorf("%+v: %d were sent", p, 2*sent)
	}
	weights, states := map[string]any{}, []string{}
	weighed := map[string]int{}
	for _, e := range events(t, store) {
		message, _ := e["message"].(map[string]any)
		if e["kind"] == "state" && message["what"] == "flows" {
			states = append(states, fmt.Sprint(message["state"], message["weight"]))
		}
		flow, ok := e["flow"].(map[string]any)
		if !ok {
			continue
		}
		id := flow["id"].(string)
		if before, seen := weights[id]; seen && before != e["weight"] {
			t.Errorf("flow %s stands for %v, then for %v", id, before, e["weight"])
		}
		weights[id] = e["weight"]
		if port := int(flow["src_port"].(float64)); e["weight"] != nil {
			if weighed[fmt.Sprint(e["kind"])]++; port < first+step || port >= next-step {
				t.Errorf("port %d has a weight before or after shedding", port)
			}
		}
	}
	if n := len(states); n < 4 || states[0] != "shedding2" || states[1] != "shedding4" || states[2] != "shedding8" || states[n-1] != "recovered<nil>" {
		t.Errorf("announced: %v", states)
	}
	for _, kind := range []string{"started", "query", "response", "closed"} {
		if weighed[kind] == 0 {
			t.Errorf("no %s with a weight: %v", kind, weighed)
		}
	}
	t.Logf("%d flows sent, %d followed, %d shed; announced %v; with a weight %v", sent, ledger.Flows.Started, ledger.Flows.Shed, states, weighed)
}
