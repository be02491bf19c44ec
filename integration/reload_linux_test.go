package integration

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"flowscope/publish"
)

// TestLiveReload changes what the stages of a running sensor can take up, and shows
// of each that it did; what does not change goes on.
func TestLiveReload(t *testing.T) {
	s := newSite(t)
	s.servers()
	dir := t.TempDir()
	store, file := filepath.Join(dir, "store"), filepath.Join(dir, "run.yml")
	elsewhere := t.TempDir() // where the file is that the name leads to
	if err := os.Symlink(filepath.Join(elsewhere, "real.yml"), file); err != nil {
		t.Fatal(err)
	}
	configure := func(publish, more string) {
		t.Helper()
		text := "sensor: {name: test}\nworkers: 2\nmonitor: {listen: \"127.0.0.1:9477\"}\ncapture: {filter: " + spoken + "}\npublish: {" + publish + "embedded: {store: " + store + "}}\n" + more
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	configure("heartbeat: 0s, ", "")
	run := start(t, in(s.near, flowscope(t), "run", "--config", file, "--iface", "n0"), "msg=confined")
	reload := func(want string) {
		t.Helper()
		n := strings.Count(run.log.String(), "configuration reloaded")
		hangUp(t, run, "configuration reloaded")
		eventually(t, "another reload", func() bool { return strings.Count(run.log.String(), "configuration reloaded") > n })
		if log := run.log.String(); !strings.Contains(log, want) || strings.Contains(log, "cannot take up") {
			t.Errorf("the log does not say %s:\n%s", want, log)
		}
	}
	var talk *net.UDPConn // one flow, of no protocol, from the beginning to the end
	s.within(s.far, func() (err error) {
		talk, err = net.DialUDP("udp", nil, &net.UDPAddr{IP: net.ParseIP(nearAddress), Port: 9})
		return err
	})
	defer talk.Close()
	say := func() { _, _ = talk.Write([]byte("hello")) } // nobody listens, and that may be told
	seen := func(what string, ok func(*publish.Ledger) bool) {
		t.Helper()
		eventually(t, what, func() bool {
			var status struct{ Ledger publish.Ledger }
			err := json.Unmarshal([]byte(s.get(t, "http://127.0.0.1:9477/status")), &status)
			return err == nil && ok(&status.Ledger)
		})
	}
	visit := func(times uint64) { // the last of so many; what was said before it is seen, too
		t.Helper()
		s.visit(t)
		seen("the page", func(l *publish.Ledger) bool { return l.Subjects["flowscope.http.response"] == times })
	}
	say()
	visit(1)
	first := time.Now()

	configure("heartbeat: 500ms, drain_timeout: 20s, ", `
flow: {udp_idle: 4s, tick_interval: 1s}
session: {watchdog: 20s, anomaly_interval: 0s}
protocols: {http: {body_bytes: 10}, dns: {unanswered_after: 1s, ports: [5300]}}
`)
	reload(`changed="flow.udp_idle flow.tick_interval session.watchdog session.anomaly_interval protocols.dns.ports protocols.dns.unanswered_after protocols.http.body_bytes publish.drain_timeout publish.heartbeat" needs_restart=""`)
	visit(2)
	for time.Since(first) < 6*time.Second { // longer than what it is silent for
		say()
		time.Sleep(300 * time.Millisecond)
	}
	visit(3)
	seen("the end of what is silent", func(l *publish.Ledger) bool { return l.Subjects["flowscope.flow.closed"] > 0 })

	// The way back, without a protocol, and with what cannot be taken up.
	configure("heartbeat: 500ms, drain_timeout: 20s, ", "flow: {checksums: drop, max_flows: 1000}\nprotocols: {dns: {enabled: false}, http: {ports: [80]}}\n")
	reload("needs_restart=flow.max_flows")
	visit(4)
	if status := run.stop(); status != 130 {
		t.Errorf("status %d:\n%s", status, run.log)
	}

	var bodies []string
	count := map[string]int{}
	for _, e := range events(t, store) {
		message, _ := e["message"].(map[string]any)
		flow, _ := e["flow"].(map[string]any)
		what := fmt.Sprint(e["protocol"], ".", e["kind"])
		if flow["dst_port"] == 9.0 {
			what += fmt.Sprint(" ", e["reason"])
		}
		count[what]++
		if what == "http.response" {
			bodies = append(bodies, fmt.Sprint(message["body"] != nil || message["body_b64"] != nil))
		}
	}
	if got := strings.Join(bodies, " "); got != "false true true false" {
		t.Errorf("responses with their body: %s", got)
	}
	if count["sensor.heartbeat"] < 5 {
		t.Errorf("few heartbeats: %v", count)
	}
	if count["flow.tick <nil>"] < 2 || count["flow.closed idle"] != 1 || count["flow.closed shutdown"] != 0 {
		t.Errorf("of the long flow: %v", count)
	}
	if count["dns.response"] != 3 || count["dns.started"] != 3 {
		t.Errorf("%d responses: %v", count["dns.response"], count)
	}
	lastLedger(t, store)
}
