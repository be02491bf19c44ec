package monitor

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// fires is what makes an alert fire, and what it then says. Values are those of a
// minute each, in promtool's notation: first, step and number of further ones.
var fires = []struct {
	alert, severity string
	labels          string
	series          []string
	summary         string
}{
	{"FlowscopeDown", "critical", `job: flowscope`, []string{`up{job="flowscope",instance="a"} 1x9 0x20`}, "a does not answer"},
	{
		"FlowscopeNotReady", "critical", "",
		[]string{`flowscope_ready{instance="a"} 1x9 0x20`},
		"a reads no packets, or cannot deliver events",
	},
	{
		"FlowscopeKernelDrops", "warning", "",
		[]string{
			`flowscope_packets_received_total{instance="a"} 0+1000x30`,
			`flowscope_packets_total{instance="a",outcome="dropped_kernel"} 0+250x30`,
			`flowscope_packets_total{instance="a",outcome="tracked"} 0+750x30`,
		},
		"a loses 25% of its packets: larger rings or more workers",
	},
	{
		"FlowscopeInterfaceDrops", "warning", "interface: eth0",
		[]string{`flowscope_interface_rx_missed_total{instance="a",interface="eth0"} 0+5x30`, `flowscope_interface_rx_dropped_total{instance="a",interface="eth0"} 0x30`},
		"eth0 of a drops packets before the sensor sees them",
	},
	{
		"FlowscopeWrongWorker", "info", `worker: "0"`,
		[]string{`flowscope_worker_wrong_total{instance="a",worker="0"} 0+5x30`},
		"a cannot bring both directions of some tunnels to one worker",
	},
	{
		"FlowscopeEventsDropped", "critical", "reason: queue_full",
		[]string{`flowscope_events_dropped_total{instance="a",reason="queue_full"} 0x17 5000x20`, `flowscope_events_dropped_total{instance="a",reason="other"} 0x40`},
		"a gives up events: queue_full",
	},
	{
		"FlowscopeDeadLetters", "critical", "outcome: dead_letter",
		[]string{`flowscope_events_total{instance="a",outcome="dead_letter"} 0x17 1x20`, `flowscope_events_total{instance="a",outcome="acknowledged"} 0+5x40`},
		"The server of a refuses events for good: sensor.dead_letter events tell which and why",
	},
	{
		"FlowscopeQueueFilling", "warning", "",
		[]string{`flowscope_queue_bytes{instance="a"} 75x30`, `flowscope_queue_max_bytes{instance="a"} 100x30`},
		"The broker of a is too slow: the queue is 75% full",
	},
	{
		"FlowscopeShedding", "warning", "state: shedding",
		[]string{`flowscope_state{instance="a",state="shedding"} 1x30`, `flowscope_state{instance="a",state="capturing"} 0x30`},
		"a leaves out flows because events cannot leave",
	},
	{
		"FlowscopePossiblyDoubled", "info", "",
		[]string{`flowscope_events_possibly_doubled_total{instance="a"} 0x17 9x20`},
		"After an outage a sent events that the stream may hold already",
	},
	{
		"FlowscopeGaps", "warning", "",
		[]string{`flowscope_gap_bytes_total{instance="a"} 0+100x40`, `flowscope_payload_bytes_seen_total{instance="a"} 0+1000x40`},
		"a misses 10% of stream bytes: the tap or mirror loses packets",
	},
	{
		"FlowscopeTableFull", "warning", "",
		[]string{`flowscope_flows_ended_total{instance="a",reason="evicted"} 0x17 300x20`, `flowscope_flows_ended_total{instance="a",reason="idle"} 0+50x40`},
		"a ends flows early: its table is full",
	},
}

// quiet are series of a sensor that nothing is wrong with.
var quiet = []string{
	`up{job="flowscope",instance="a"} 1x40`, `flowscope_ready{instance="a"} 1x40`,
	`flowscope_packets_received_total{instance="a"} 0+1000x40`,
	`flowscope_packets_total{instance="a",outcome="dropped_kernel"} 0x40`, `flowscope_packets_total{instance="a",outcome="tracked"} 0+1000x40`,
	`flowscope_interface_rx_missed_total{instance="a",interface="eth0"} 7x40`, `flowscope_interface_rx_dropped_total{instance="a",interface="eth0"} 7x40`,
	`flowscope_worker_wrong_total{instance="a",worker="0"} 0x40`, `flowscope_events_dropped_total{instance="a",reason="queue_full"} 3x40`,
	`flowscope_events_total{instance="a",outcome="dead_letter"} 2x40`, `flowscope_events_total{instance="a",outcome="acknowledged"} 0+100x40`,
	`flowscope_queue_bytes{instance="a"} 10x40`, `flowscope_queue_max_bytes{instance="a"} 100x40`,
	`flowscope_state{instance="a",state="shedding"} 0x40`, `flowscope_events_possibly_doubled_total{instance="a"} 4x40`,
	`flowscope_gap_bytes_total{instance="a"} 0+1x40`, `flowscope_payload_bytes_seen_total{instance="a"} 0+1000x40`,
	`flowscope_flows_ended_total{instance="a",reason="evicted"} 6x40`,
}

// TestRulesFire has promtool, of Prometheus, evaluate each rule on series for which it
// must fire, and all rules on those of a sensor that is well.
func TestRulesFire(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	rules, err := filepath.Abs("../../../deploy/prometheus/rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(rules)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "rule_files: [%q]\nevaluation_interval: 1m\ntests:\n", rules)
	series := func(all []string) {
		fmt.Fprint(&text, "  - interval: 1m\n    input_series:\n")
		for _, s := range all {
			name, values, _ := strings.Cut(s, "} ")
			fmt.Fprintf(&text, "      - {series: '%s}', values: '%s'}\n", name, values)
		}
		fmt.Fprint(&text, "    alert_rule_test:\n")
	}
	tested := 0
	for _, f := range fires {
		series(f.series)
		fmt.Fprintf(&text, "      - {eval_time: 20m, alertname: %s, exp_alerts: [{exp_labels: {severity: %s, instance: a, %s}, exp_annotations: {summary: %q}}]}\n",
			f.alert, f.severity, f.labels, f.summary)
		if strings.Contains(string(raw), "alert: "+f.alert+"\n") {
			tested++
		}
	}
	series(quiet)
	for _, f := range fires {
		fmt.Fprintf(&text, "      - {eval_time: 40m, alertname: %s, exp_alerts: []}\n", f.alert)
	}
	if all := strings.Count(string(raw), "- alert: "); tested != all || tested != len(fires) {
		t.Errorf("%d of %d rules are tested", tested, all)
	}
	test := filepath.Join(t.TempDir(), "test.yml")
	if err := os.WriteFile(test, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), promtool, "test", "rules", test).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
