package cmd

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"

	"flowscope/publish"
	"flowscope/session"
)

// audit reads what is stored and says what is missing or doubled; that is a
// failure.
func (c *subCommand) audit(p *process, nc *nats.Conn, cfg publish.Config, want publish.SubscribeConfig, format publish.Format) error {
	own := strings.TrimSuffix(publish.StreamSubject(cfg.Prefix), ">") + session.SensorProtocol + "."
	report, err := publish.Audit(p.soft, nc, want, []string{own + "heartbeat", own + "ledger"})
	if p.soft.Err() != nil {
		return errInterrupted
	}
	if err != nil {
		return err
	}
	var text []byte
	if format == publish.JSON {
		if text, err = json.Marshal(report); err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
		text = append(text, '\n')
	} else {
		text = auditText(report)
	}
	if _, err := p.stdout.Write(text); err != nil {
		return outputError(err)
	}
	if !report.Clean() {
		return fmt.Errorf("the stream is not complete, or holds events twice")
	}
	return nil
}

// auditText is the report for people: a line for each row, and what is wrong
// below it.
func auditText(r *publish.AuditReport) (b []byte) {
	for i := range r.Rows {
		row := &r.Rows[i]
		b = fmt.Appendf(b, "run %s worker %d %s: %d events, numbers %d to %d", row.Run, row.Worker, row.Subject, row.Stored, row.First, row.Last)
		if row.Missing > 0 {
			b = fmt.Appendf(b, ", MISSING %d%s", row.Missing, ranges(row.MissingRanges))
		}
		if row.Doubled > 0 {
			b = fmt.Appendf(b, ", DOUBLED %d%s", row.Doubled, ranges(row.DoubledRanges))
		}
		b = append(b, '\n')
	}
	for i := range r.Runs {
		for _, subject := range slices.Sorted(maps.Keys(r.Runs[i].Short)) {
			b = fmt.Appendf(b, "run %s %s: MISSING %d at the end\n", r.Runs[i].Run, subject, r.Runs[i].Short[subject])
		}
	}
	for _, id := range r.IDs {
		b = fmt.Appendf(b, "id %s: STORED MORE THAN ONCE\n", id)
	}
	if more := r.DoubledIDs - uint64(len(r.IDs)); more > 0 {
		b = fmt.Appendf(b, "%d more ids are stored more than once\n", more)
	}
	if r.Unreadable > 0 {
		b = fmt.Appendf(b, "%d messages are no events of flowscope\n", r.Unreadable)
	}
	return fmt.Appendf(b, "%d events in %d messages\n", r.Events, r.Messages)
}

// ranges lists numbers: " (3, 7-9)".
func ranges(list []publish.Range) string {
	parts := make([]string, len(list))
	for i, r := range list {
		if parts[i] = fmt.Sprint(r.First); r.Last > r.First {
			parts[i] += fmt.Sprintf("-%d", r.Last)
		}
	}
	return " (" + strings.Join(parts, ", ") + ")"
}
