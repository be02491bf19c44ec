package top

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"flowscope/cmd/internal/status"
)

// What stands out on the screen (ECMA-48 SGR).
const (
	plain   = "\x1b[m"
	bold    = "\x1b[1m"
	reverse = "\x1b[7m"
	red     = "\x1b[31m"
)

// View draws the screen: all sensors in a table, and the chosen one in detail.
func (m *Model) View() tea.View {
	v := tea.NewView(m.screen())
	v.AltScreen = true
	v.WindowTitle = "flowscope top"
	return v
}

func (m *Model) screen() string {
	var b lines
	b.max, b.width = m.height, m.width
	state := m.now.Format(time.TimeOnly)
	if m.paused {
		state = "paused"
	}
	b.add("%sflowscope top%s  %s  %s  ↑↓ choose  p pause  q quit", bold, plain, m.census(), state)
	if m.trouble != nil {
		b.add("%s%s%s", red, printable(m.trouble.Error()), plain)
	}
	switch {
	case len(m.rows) == 0 && m.heard:
		b.add("no sensor has answered for %s", ago(m.patience.forgotten))
		return b.String()
	case len(m.rows) == 0:
		b.add("no sensor has answered yet")
		return b.String()
	}
	b.add("%s%-20s %-10s %8s %8s %7s %8s %8s %8s %6s %8s%s", bold, "SENSOR", "STATE", "PKT/S", "DROP/S", "FLOWS", "EVENT/S", "ACK/S", "LOST/S", "QUEUE", "INFLIGHT", plain)
	for i, who := range m.rows {
		m.row(&b, i, who)
	}
	if s := m.sensors[m.rows[m.chosen]]; s != nil {
		b.add("")
		s.detail(&b)
	}
	return b.String()
}

// detail shows one sensor: who it is, its subjects by rate, its workers and
// interfaces.
func (s *sensor) detail(b *lines) {
	l := s.last
	b.add("%s%s%s  run %s  version %s  up %s  %s heap", bold, printable(l.Sensor), plain, printable(l.Run), printable(l.Version),
		l.Time.Sub(l.Started).Round(time.Second), size(l.HeapBytes))
	switch {
	case s.presence != live:
		b.add("%s%s%s", red, s.farewell(), plain)
	case s.trouble() != "":
		b.add("%s%s%s", red, s.trouble(), plain)
	}
	left := s.subjects()
	right := s.workers()
	for i := range max(len(left), len(right)) {
		b.add("%-48s  %s", at(left, i), at(right, i))
	}
}

func at(list []string, i int) string {
	if i < len(list) {
		return list[i]
	}
	return ""
}

// subjects lists the subjects, those with the most events per second first.
func (s *sensor) subjects() []string {
	type row struct {
		name string
		rate float64
		n    uint64
	}
	var rows []row
	for _, name := range slices.Sorted(maps.Keys(s.last.Ledger.Subjects)) {
		count := func(st *status.Status) uint64 { return st.Ledger.Subjects[name] }
		rows = append(rows, row{printable(name), s.rate(count), count(s.last)})
	}
	slices.SortStableFunc(rows, func(a, b row) int {
		if a.rate != b.rate {
			return cmpFloat(b.rate, a.rate)
		}
		return cmpFloat(float64(b.n), float64(a.n))
	})
	list := []string{fmt.Sprintf("%-32s %7s %7s", "SUBJECT", "EVENT/S", "EVENTS")}
	for _, r := range rows {
		list = append(list, fmt.Sprintf("%-32s %7s %7s", clip(r.name, 32), number(r.rate), number(float64(r.n))))
	}
	return list
}

func cmpFloat(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	default:
		return 0
	}
}

func (s *sensor) workers() []string {
	list := []string{fmt.Sprintf("%-12s %8s %8s %7s %8s", "WORKER", "PKT/S", "DROP/S", "FLOWS", "EVENT/S")}
	for i := range s.last.Workers {
		of := func(count func(*status.Worker) uint64) func(*status.Status) uint64 {
			return func(st *status.Status) uint64 {
				if i < len(st.Workers) {
					return count(&st.Workers[i])
				}
				return 0
			}
		}
		list = append(list, fmt.Sprintf("%-12s %8s %8s %7s %8s", strconv.Itoa(i),
			number(s.rate(of(func(w *status.Worker) uint64 { return w.Packets }))),
			number(s.rate(of(func(w *status.Worker) uint64 { return w.Dropped }))),
			number(s.gauge(s.last.Workers[i].FlowsActive)),
			number(s.rate(of(func(w *status.Worker) uint64 { return w.Events })))))
	}
	for i, n := range s.last.Interfaces {
		of := func(count func(*status.Interface) uint64) func(*status.Status) uint64 {
			return func(st *status.Status) uint64 {
				if i < len(st.Interfaces) {
					return count(&st.Interfaces[i])
				}
				return 0
			}
		}
		list = append(list, fmt.Sprintf("%-12s %8s %8s", clip(printable(n.Name), 12),
			number(s.rate(of(func(n *status.Interface) uint64 { return n.Received }))),
			number(s.rate(of(func(n *status.Interface) uint64 { return n.Dropped })))))
	}
	return list
}

func size(n uint64) string {
	if n < 1<<30 {
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
}

// printable keeps what others say from steering the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}

func clip(s string, n int) string { return ansi.Truncate(s, n, "…") }

// lines gathers what fits on the screen.
type lines struct {
	b          strings.Builder
	n          int
	max, width int
}

func (l *lines) add(format string, args ...any) {
	if l.n == l.max {
		return
	}
	if l.n++; l.n > 1 {
		l.b.WriteByte('\n')
	}
	l.b.WriteString(clip(fmt.Sprintf(format, args...), l.width))
}

func (l *lines) String() string { return l.b.String() }
