package publish

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// AppendText appends the ledger as an aligned table for people: one block per
// account, zero lines left out except for each account's total, events per
// subject at the end, and whatever does not balance.
func (l *Ledger) AppendText(b []byte) []byte {
	t := table{b: b}
	t.head("packets", l.Packets.Received, "received")
	t.row(l.Packets.Handled, "handled")
	t.row(l.Packets.Filtered, "filtered")
	t.row(l.Packets.Shed, "shed")
	t.row(l.Packets.Duplicate, "duplicate")
	t.row(l.Packets.NotIP, "not IP")
	t.row(l.Packets.FragmentsHeld, "fragments held")
	t.reasons(l.Packets.Undecodable, "undecodable")
	t.row(l.Packets.DroppedKernel, "dropped by the kernel")
	t.row(l.Packets.Unseen, "unseen (beside)")
	t.reasons(l.Packets.Checksums, "checksum (beside)")

	t.head("flows", l.Flows.Started, "started")
	t.reasons(l.Flows.Ended, "ended")
	t.row(l.Flows.Active, "active")
	t.row(l.Flows.Shed, "shed (beside)")

	e := &l.Events
	t.head("events", e.Made, "made")
	t.reasons(e.Filtered, "filtered")
	t.row(e.Acknowledged, "acknowledged")
	t.row(e.Sent, "sent")
	t.row(e.Written, "written")
	t.row(e.DeadLetter, "refused (dead_letter)")
	t.row(e.Pending, "NOT DELIVERED (pending)")
	t.reasons(e.Dropped, "dropped")
	t.row(e.Resent, "resent (beside)")
	t.row(e.Duplicates, "duplicates (within acknowledged)")
	t.row(e.PossiblyDoubled, "possibly doubled (beside)")

	t.head("payload", l.Payload.Seen, "bytes seen")
	t.row(l.Payload.Delivered, "delivered")
	t.row(l.Payload.Duplicate, "duplicate")
	t.row(l.Payload.NoParser, "no parser")
	t.reasons(l.Payload.Discarded, "discarded")
	t.row(l.Payload.Buffered, "buffered")
	t.row(l.GapBytes, "in gaps (beside)")

	if len(l.Subjects) > 0 {
		t.b = append(t.b, "subjects\n"...)
		for _, s := range slices.Sorted(maps.Keys(l.Subjects)) {
			t.row(l.Subjects[s], s)
		}
	}
	return l.appendRates(t.b)
}

func (l *Ledger) appendRates(b []byte) []byte {
	if l.Seconds > 0 {
		b = fmt.Appendf(b, "%.3f s, %.0f packets/s, %.0f events/s\n",
			l.Seconds, float64(l.Packets.Received)/l.Seconds, float64(l.Events.Made)/l.Seconds)
	}
	if l.PeakRSS > 0 {
		b = fmt.Appendf(b, "peak memory %.1f MiB\n", float64(l.PeakRSS)/(1<<20))
	}
	if err := l.Balance(); err != nil {
		b = append(append(b, err.Error()...), '\n')
	}
	return b
}

// table writes lines of a right-aligned number and its meaning.
type table struct{ b []byte }

const numberWidth = 20

func (t *table) line(indent string, n uint64, meaning string) {
	t.b = fmt.Appendf(t.b, "%-10s %*s  %s\n", indent, numberWidth, grouped(n), meaning)
}

func (t *table) head(name string, n uint64, meaning string) { t.line(name, n, meaning) }

func (t *table) row(n uint64, meaning string) {
	if n > 0 {
		t.line("", n, meaning)
	}
}

func (t *table) reasons(r Reasons, meaning string) {
	for _, k := range slices.Sorted(maps.Keys(r)) {
		t.row(r[k], meaning+": "+k)
	}
}

// grouped writes 1234567 as 1,234,567.
func grouped(n uint64) string {
	s := strconv.FormatUint(n, 10)
	var b strings.Builder
	for i, c := range []byte(s) {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteByte(c)
	}
	return b.String()
}
