package flow

import "flowscope/ingest"

// trouble numbers the anomalies that concern no flow.
type trouble uint8

const (
	troubleFragmentConflict trouble = iota
	troubleFragmentCap
	troubleTableFull
	numTroubles
)

var troubleTypes = [numTroubles]AnomalyType{
	troubleFragmentConflict: {
		Name: "fragment_conflict", Severity: SeverityWarning,
		Meaning:   "fragments of one datagram overlap with different bytes; it is dropped",
		Reference: "RFC 5722 section 4, RFC 8200 section 4.5",
	},
	troubleFragmentCap: {
		Name: "fragment_cap", Severity: SeverityWarning,
		Meaning: "more datagrams in fragments wait than are kept; the oldest is dropped",
	},
	troubleTableFull: {
		Name: "flow_table_full", Severity: SeverityWarning,
		Meaning: "the flow table is full; the least recently used flow has ended",
	},
}

// SensorAnomalies returns the anomalies that this package raises without a flow.
func SensorAnomalies() []*AnomalyType {
	list := make([]*AnomalyType, numTroubles)
	for i := range list {
		list[i] = &troubleTypes[i]
	}
	return list
}

// report raises an anomaly that concerns no flow.
func (t *Table) report(what trouble, at ingest.Timestamp) {
	e := &t.event
	*e = Event{Kind: Anomalous, Time: at, Anomaly: &troubleTypes[what], table: t}
	t.send()
}

// reportFragments raises what the defragmenter has noted.
func (t *Table) reportFragments(at ingest.Timestamp) {
	noted := t.fragments.noted
	t.fragments.noted = 0
	for what := range numTroubles {
		if noted&(1<<what) != 0 {
			t.report(what, at)
		}
	}
}
