package flow

import "flowscope/ingest"

// anomaly numbers the anomalies that a packet may raise on its flow.
type anomaly uint8

const (
	icmpQuotesAnother anomaly = iota
	overlapConflict
	tcpFlagsContradict
	tcpResetOfSYN
	tcpResetOutside
	tcpSYNInSession
	numAnomalies
)

// anomalyTypes describes the anomalies of flows in the order of their numbers.
var anomalyTypes = [numAnomalies]AnomalyType{
	icmpQuotesAnother: {
		Name: "icmp_error", Severity: SeverityInfo,
		Meaning:   "an ICMP error quotes another flow than the one before it; `flow.quoted` names it",
		Reference: "RFC 792, RFC 4443 section 2.4",
	},
	overlapConflict: {
		Name: "tcp_overlap_conflict", Severity: SeverityWarning,
		Meaning:   "two TCP segments differ in bytes that both carry, so what the receiver has read cannot be known",
		Reference: "RFC 9293 section 3.10.7.4",
	},
	tcpFlagsContradict: {
		Name: "tcp_flags", Severity: SeverityWarning,
		Meaning:   "a TCP segment with more than one of SYN, FIN and RST",
		Reference: "RFC 9293 section 3.10.7",
	},
	tcpResetOfSYN: {
		Name: "tcp_reset_of_syn", Severity: SeverityWarning,
		Meaning:   "a RST in reply to a SYN that does not acknowledge it; the flow goes on",
		Reference: "RFC 9293 section 3.10.7.3",
	},
	tcpResetOutside: {
		Name: "tcp_reset_outside_window", Severity: SeverityWarning,
		Meaning:   "a RST whose number lies outside of the receiver's window; the flow goes on",
		Reference: "RFC 9293 section 3.10.7.4, RFC 5961 section 3",
	},
	tcpSYNInSession: {
		Name: "tcp_syn_in_session", Severity: SeverityInfo,
		Meaning:   "a SYN with another number on a connection that is established",
		Reference: "RFC 9293 section 3.10.7.4",
	},
}

// Anomalies returns the anomalies that this package raises on flows.
func Anomalies() []*AnomalyType {
	list := make([]*AnomalyType, numAnomalies)
	for i := range list {
		list[i] = &anomalyTypes[i]
	}
	return list
}

// raise notes an anomaly of the packet being handled.
func (t *Table) raise(a anomaly) { t.raised |= 1 << a }

// sendRaised hands up the anomalies of a packet, after what it carries.
func (t *Table) sendRaised(n slot, side Side, at ingest.Timestamp) {
	t.handUp()
	raised := t.raised
	t.raised = 0
	for a := range numAnomalies {
		if raised&(1<<a) == 0 {
			continue
		}
		e := t.begin(n, t.store.at(n), Anomalous, at)
		e.Side, e.Anomaly = side, &anomalyTypes[a]
		t.send()
	}
}
