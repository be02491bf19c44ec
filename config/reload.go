package config

import "strings"

// reloadable are the keys that a running sensor takes up. All others are part of how
// its sockets, tables, connections and subjects were made, or of who it is.
var reloadable = map[string]bool{
	"capture.filter":      true,
	"capture.own_traffic": true,

	"flow.tcp_idle":           true,
	"flow.tcp_setup_idle":     true,
	"flow.udp_idle":           true,
	"flow.other_idle":         true,
	"flow.idle_overrides":     true,
	"flow.tick_interval":      true,
	"flow.closing_tail":       true,
	"flow.checksums":          true,
	"flow.fragment_timeout":   true,
	"flow.max_fragmented":     true,
	"flow.max_fragment_bytes": true,

	"flow.reassembly.policy":        true,
	"flow.reassembly.history":       true,
	"flow.reassembly.side_bytes":    true,
	"flow.reassembly.total_bytes":   true,
	"flow.reassembly.acked_after":   true,
	"flow.reassembly.unacked_after": true,
	"flow.reassembly.one_way_after": true,

	"session.probe_packets":     true,
	"session.probe_bytes":       true,
	"session.probe_time":        true,
	"session.messages_per_call": true,
	"session.parallel":          true,
	"session.buffer_total":      true,
	"session.watchdog":          true,
	"session.anomaly_interval":  true,

	"publish.batch_bytes":     true,
	"publish.queue_bytes":     true,
	"publish.in_flight.bytes": true,
	"publish.events":          true,
	"publish.only":            true,
	"publish.drain_timeout":   true,
	"publish.ack_timeout":     true,
	"publish.stall_timeout":   true,
	"publish.heartbeat":       true,
}

// Reloadable says whether a running sensor takes up another value of a key when it
// reads its configuration again; all others need a restart. Of protocols it takes up
// everything.
func Reloadable(path string) bool {
	if protocol, ok := strings.CutPrefix(path, "protocols."); ok {
		return strings.Contains(protocol, ".")
	}
	return reloadable[path]
}

// reloadMark stands behind the comment of each such key.
const reloadMark = " [reload]"
