package cmd

import (
	"encoding/json"
	"errors"
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
	switch {
	case !report.Clean():
		return errors.New("the stream is not complete, or holds events twice")
	case report.Messages == 0:
		return fmt.Errorf("nothing to audit: the stream holds no message of %s", strings.Join(want.Subjects, ", "))
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
			among := ""
			if row.Elsewhere > 0 {
				among = " among"
			}
			b = fmt.Appendf(b, ", MISSING %d%s%s", row.Missing, among, ranges(row.MissingRanges))
		}
		if row.Doubled > 0 {
			b = fmt.Appendf(b, ", DOUBLED %d%s", row.Doubled, ranges(row.DoubledRanges))
		}
		b = append(b, '\n')
	}
	for i := range r.Runs {
		run := &r.Runs[i]
		for _, subject := range slices.Sorted(maps.Keys(run.Short)) {
			b = fmt.Appendf(b, "run %s %s: MISSING %d at the end\n", run.Run, subject, run.Short[subject])
		}
		if run.Elsewhere > 0 {
			b = fmt.Appendf(b, "run %s: %d of its events were in the stream already, from another run\n", run.Run, run.Elsewhere)
		}
		if run.DuplicatesUnknown && missesSome(r, run) {
			b = fmt.Appendf(b, "run %s: its sensor was not told which events the stream had already: they count as missing\n", run.Run)
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
	if !r.Whole && r.Messages > 0 {
		b = append(b, "what was stored before is not known: this is not the stream's beginning, or messages were removed from it\n"...)
	}
	return fmt.Appendf(b, "%d events in %d messages\n", r.Events, r.Messages)
}

func missesSome(r *publish.AuditReport, run *publish.AuditRun) bool {
	return len(run.Short) > 0 || slices.ContainsFunc(r.Rows, func(row publish.AuditRow) bool {
		return row.Run == run.Run && row.Missing > 0
	})
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
