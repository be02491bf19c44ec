package flow

// Severity ranks anomalies.
type Severity string

// The severities.
const (
	SeverityInfo    Severity = "info"
	SeverityWarning Severity = "warning"
	SeverityError   Severity = "error"
)

// AnomalyType describes one anomaly; docs/events.md holds the table of all.
type AnomalyType struct {
	// Name is the anomaly's reason in events, [a-z0-9_]+.
	Name string
	// Severity ranks it.
	Severity Severity
	// Meaning says in one line what was seen.
	Meaning string
	// Reference names the RFC and section that it departs from, "" if none.
	Reference string
}
