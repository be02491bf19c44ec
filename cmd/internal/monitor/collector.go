package monitor

import (
	"slices"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"flowscope/cmd/internal/status"
	"flowscope/flow"
	"flowscope/publish"
)

// Metric describes one metric; docs/metrics.md holds the table of all.
type Metric struct {
	Name, Help string
	Labels     []string
	Counter    bool
	// read hands each value with its labels to put.
	read func(s *status.Status, put putFunc)
}

type putFunc func(value float64, labels ...string)

// Metrics returns all metrics, in the order of the documentation. Labels come from
// enumerations and from the machine's own interfaces: never from the wire.
func Metrics() []Metric {
	return []Metric{
		gauge("info", "Always 1; who this is.", func(s *status.Status, put putFunc) { put(1, s.Sensor, s.Run, s.Version) }, "sensor", "run", "version"),
		gauge("ready", "1 while packets are read and events can be delivered.", func(s *status.Status, put putFunc) { put(bit(s.Ready)) }),
		gauge("state", "1 for the state that the sensor is in.", states, "state"),
		gauge("start_time_seconds", "When the run began, Unix time.", func(s *status.Status, put putFunc) { put(float64(s.Started.UnixMilli()) / 1e3) }),
		counter("packets_received_total", "Packets received, the kernel's drops among them.", func(s *status.Status, put putFunc) { put(count(s.Ledger.Packets.Received)) }),
		counter("packets_total", "What became of packets; sums up to those received.", packets, "outcome"),
		counter("packets_undecodable_total", "Packets that could not be decoded, by reason.", reasons(flow.UndecodableReasons(), func(l *publish.Ledger) publish.Reasons { return l.Packets.Undecodable }), "reason"),
		counter("flows_started_total", "Flows begun.", func(s *status.Status, put putFunc) { put(count(s.Ledger.Flows.Started)) }),
		counter("flows_ended_total", "Flows ended, by reason.", reasons(flow.Reasons(), func(l *publish.Ledger) publish.Reasons { return l.Flows.Ended }), "reason"),
		counter("flows_shed_total", "Flows not followed while events could not leave.", func(s *status.Status, put putFunc) { put(count(s.Ledger.Flows.Shed)) }),
		gauge("flows_active", "Flows being tracked.", func(s *status.Status, put putFunc) { put(count(s.Ledger.Flows.Active)) }),
		counter("events_made_total", "Events made.", func(s *status.Status, put putFunc) { put(count(s.Ledger.Events.Made)) }),
		counter("events_total", "What became of events; sums up to those made, with flowscope_events_pending.", events, "outcome"),
		counter("events_dropped_total", "Events given up, by reason.", reasons(publish.DropReasons(), func(l *publish.Ledger) publish.Reasons { return l.Events.Dropped }), "reason"),
		gauge("events_pending", "Events made and not settled yet.", func(s *status.Status, put putFunc) { put(count(s.Ledger.Events.Pending)) }),
		counter("events_resent_total", "Events sent again after trouble.", func(s *status.Status, put putFunc) { put(count(s.Ledger.Events.Resent)) }),
		counter("events_duplicates_total", "Acknowledged events that the stream had already.", func(s *status.Status, put putFunc) { put(count(s.Ledger.Events.Duplicates)) }),
		counter("events_possibly_doubled_total", "Events sent again after the stream may have forgotten them.", func(s *status.Status, put putFunc) { put(count(s.Ledger.Events.PossiblyDoubled)) }),
		counter("subject_events_total", "Events per subject.", func(s *status.Status, put putFunc) {
			all(s.Subjects, s.Ledger.Subjects, put)
		}, "subject"),
		counter("payload_bytes_seen_total", "Payload bytes of all packets.", func(s *status.Status, put putFunc) { put(count(s.Ledger.Payload.Seen)) }),
		counter("payload_bytes_total", "What became of payload bytes; sums up to those seen, with flowscope_payload_bytes_buffered.", payload, "outcome"),
		gauge("payload_bytes_buffered", "Payload bytes held for later.", func(s *status.Status, put putFunc) { put(count(s.Ledger.Payload.Buffered)) }),
		counter("gap_bytes_total", "Bytes of streams that were never seen.", func(s *status.Status, put putFunc) { put(count(s.Ledger.GapBytes)) }),
		gauge("queue_bytes", "Bytes waiting for the broker.", func(s *status.Status, put putFunc) { put(count(s.Queue.Bytes)) }),
		gauge("queue_max_bytes", "Most bytes that may wait.", func(s *status.Status, put putFunc) { put(count(s.Queue.MaxBytes)) }),
		gauge("in_flight", "Messages sent and not acknowledged.", func(s *status.Status, put putFunc) { put(count(s.Queue.InFlight)) }),
		counter("worker_packets_total", "Packets per worker.", perWorker(func(w *status.Worker) uint64 { return w.Packets }), "worker"),
		counter("worker_dropped_total", "Packets that found no room in a worker's ring.", perWorker(func(w *status.Worker) uint64 { return w.Dropped }), "worker"),
		counter("worker_wrong_total", "Packets that reached a worker to which their flow does not belong.", perWorker(func(w *status.Worker) uint64 { return w.WrongWorker }), "worker"),
		counter("worker_events_total", "Events per worker.", perWorker(func(w *status.Worker) uint64 { return w.Events }), "worker"),
		gauge("worker_flows_active", "Flows per worker.", perWorker(func(w *status.Worker) uint64 { return w.FlowsActive }), "worker"),
		counter("interface_received_total", "Packets per interface, the kernel's drops among them.", perInterface(func(i *status.Interface) uint64 { return i.Received }), "interface"),
		counter("interface_dropped_total", "Packets per interface that found no room in a ring.", perInterface(func(i *status.Interface) uint64 { return i.Dropped }), "interface"),
		counter("interface_unseen_total", "Packets that passed an interface that was made anew before it was captured on, by its own count.", perInterface(func(i *status.Interface) uint64 { return i.Unseen }), "interface"),
		counter("interface_rx_dropped_total", "What the interface itself says it dropped.", perInterface(func(i *status.Interface) uint64 { return i.RxDropped }), "interface"),
		counter("interface_rx_missed_total", "What the interface's hardware says it missed.", perInterface(func(i *status.Interface) uint64 { return i.RxMissed }), "interface"),
		counter("protocol_messages_total", "Messages per protocol.", perProtocol(func(p status.Protocol) uint64 { return p.Messages }), "protocol"),
		counter("protocol_errors_total", "Parsers that ended for an error, per protocol.", perProtocol(func(p status.Protocol) uint64 { return p.Errors }), "protocol"),
		counter("protocol_gaps_total", "Gaps that parsers met, per protocol.", perProtocol(func(p status.Protocol) uint64 { return p.Gaps }), "protocol"),
		counter("protocol_bytes_total", "Payload bytes given to parsers, per protocol.", perProtocol(func(p status.Protocol) uint64 { return p.Bytes }), "protocol"),
	}
}

func gauge(name, help string, read func(*status.Status, putFunc), labels ...string) Metric {
	return Metric{Name: "flowscope_" + name, Help: help, Labels: labels, read: read}
}

func counter(name, help string, read func(*status.Status, putFunc), labels ...string) Metric {
	m := gauge(name, help, read, labels...)
	m.Counter = true
	return m
}

func count(n uint64) float64 { return float64(n) }

func bit(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// States are all values of status.Status.State.
func States() []string { return []string{"starting", "capturing", "shedding", "stopping"} }

func states(s *status.Status, put putFunc) {
	for _, name := range States() {
		put(bit(name == s.State), name)
	}
}

func packets(s *status.Status, put putFunc) {
	p := &s.Ledger.Packets
	put(count(p.Handled), "handled")
	put(count(p.Filtered), "filtered")
	put(count(p.Shed), "shed")
	put(count(p.Duplicate), "duplicate")
	put(count(p.NotIP), "not_ip")
	put(count(p.FragmentsHeld), "fragments_held")
	put(count(p.Undecodable.Sum()), "undecodable")
	put(count(p.DroppedKernel), "dropped_kernel")
}

func events(s *status.Status, put putFunc) {
	e := &s.Ledger.Events
	put(count(e.Filtered.Sum()), "filtered")
	put(count(e.Acknowledged), "acknowledged")
	put(count(e.Sent), "sent")
	put(count(e.Written), "written")
	put(count(e.DeadLetter), "dead_letter")
	put(count(e.Dropped.Sum()), "dropped")
}

func payload(s *status.Status, put putFunc) {
	p := &s.Ledger.Payload
	put(count(p.Delivered), "delivered")
	put(count(p.Duplicate), "duplicate")
	put(count(p.NoParser), "no_parser")
	put(count(p.Discarded.Sum()), "discarded")
}

func reasons(known []string, of func(*publish.Ledger) publish.Reasons) func(*status.Status, putFunc) {
	return func(s *status.Status, put putFunc) { all(known, of(s.Ledger), put) }
}

// all puts the known labels, 0 for those that were not counted yet: the rate of a
// series that begins with its first burst would not show that burst. What was counted
// and is not known comes as well.
func all(known []string, counts map[string]uint64, put putFunc) {
	for _, label := range known {
		put(count(counts[label]), label)
	}
	for label, n := range counts {
		if !slices.Contains(known, label) {
			put(count(n), label)
		}
	}
}

func perWorker(of func(*status.Worker) uint64) func(*status.Status, putFunc) {
	return func(s *status.Status, put putFunc) {
		for i := range s.Workers {
			put(count(of(&s.Workers[i])), strconv.Itoa(i))
		}
	}
}

func perInterface(of func(*status.Interface) uint64) func(*status.Status, putFunc) {
	return func(s *status.Status, put putFunc) {
		for i := range s.Interfaces {
			put(count(of(&s.Interfaces[i])), s.Interfaces[i].Name)
		}
	}
}

func perProtocol(of func(status.Protocol) uint64) func(*status.Status, putFunc) {
	return func(s *status.Status, put putFunc) {
		for name, p := range s.Protocols {
			put(count(of(p)), name)
		}
	}
}

// collector turns one status into metrics each time it is asked.
type collector struct {
	status  func() *status.Status
	metrics []Metric
	descs   []*prometheus.Desc
}

var _ prometheus.Collector = (*collector)(nil)

func newCollector(get func() *status.Status) *collector {
	c := &collector{status: get, metrics: Metrics()}
	for _, m := range c.metrics {
		c.descs = append(c.descs, prometheus.NewDesc(m.Name, m.Help, m.Labels, nil))
	}
	return c
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	s := c.status()
	for i, m := range c.metrics {
		kind := prometheus.GaugeValue
		if m.Counter {
			kind = prometheus.CounterValue
		}
		m.read(s, func(value float64, labels ...string) {
			out <- prometheus.MustNewConstMetric(c.descs[i], kind, value, labels...)
		})
	}
}
