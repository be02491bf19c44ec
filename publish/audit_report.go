package publish

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

func (a *auditor) report(said sayings) *AuditReport {
	r := &AuditReport{Messages: a.messages, Events: a.events, Unreadable: a.unreadable, Whole: a.whole}
	short := map[string]map[string]uint64{} // by run and subject
	for _, key := range a.places(said) {
		told := said.of(key)
		missing := a.missing(key, told)
		if missing.short > 0 {
			if short[key.run] == nil {
				short[key.run] = map[string]uint64{}
			}
			short[key.run][key.subject] += missing.short
		}
		row := a.rows[key]
		if row == nil {
			continue
		}
		r.Rows = append(r.Rows, AuditRow{
			Run: key.run, Worker: key.worker, Subject: key.subject, Stored: row.stored, First: row.first(), Last: row.last(),
			Missing: missing.holes, MissingRanges: missing.ranges, Doubled: row.more, DoubledRanges: row.twice,
			Elsewhere: told.Elsewhere,
		})
	}
	for _, run := range slices.Sorted(maps.Keys(said)) {
		s := said[run]
		out := AuditRun{Run: run, Settled: s.ledger != nil, Short: short[run], DuplicatesUnknown: s.blind}
		for at, n := range s.elsewhere {
			if covers(a.subjects, at.subject) {
				out.Elsewhere += n
			}
		}
		if s.ledger != nil && s.settled == nil {
			a.compareSums(&out, s.ledger)
		}
		r.Runs = append(r.Runs, out)
	}
	return r
}

// places lists, in order, all runs, workers and subjects of which something is stored,
// or was told.
func (a *auditor) places(said sayings) []auditKey {
	all := make(map[auditKey]bool, len(a.rows))
	for key := range a.rows {
		all[key] = true
	}
	for run, s := range said {
		for key := range s.want() {
			all[auditKey{run, key.worker, key.subject}] = true
		}
	}
	return slices.SortedFunc(maps.Keys(all), func(x, y auditKey) int {
		return cmp.Or(strings.Compare(x.run, y.run), strings.Compare(x.subject, y.subject), cmp.Compare(x.worker, y.worker))
	})
}

// absence is what is missing at one place: in between, and at the end.
type absence struct {
	holes  uint64
	ranges []Range
	short  uint64
}

// missing compares what is stored at a place with what was told of it. What was there
// before the first number is not known, unless the whole stream was seen.
func (a *auditor) missing(key auditKey, told LastNumber) (m absence) {
	row := a.rows[key]
	switch {
	case row != nil:
		from := row.first()
		if a.whole {
			from = 1
		}
		m.holes, m.ranges = row.missing(from)
		m.short = told.N - min(told.N, row.last())
	case a.whole && covers(a.subjects, key.subject):
		m.short = told.N
	}
	// Nobody knows which of the numbers are elsewhere, but how many.
	excused := min(told.Elsewhere, m.short)
	m.short -= excused
	m.holes -= min(told.Elsewhere-excused, m.holes)
	if m.holes == 0 {
		m.ranges = nil
	}
	return m
}

// compareSums takes a ledger of a sensor that tells no numbers per worker.
func (a *auditor) compareSums(out *AuditRun, ledger map[string]uint64) {
	if !a.whole {
		return
	}
	last := map[string]uint64{}
	for key, row := range a.rows {
		if key.run == out.Run {
			last[key.subject] += row.last()
		}
	}
	for subject, want := range ledger {
		if want <= last[subject] || !covers(a.subjects, subject) {
			continue
		}
		if out.Short == nil {
			out.Short = map[string]uint64{}
		}
		out.Short[subject] = want - last[subject]
	}
}
