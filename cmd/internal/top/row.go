package top

import (
	"fmt"
	"strings"
	"time"

	"flowscope/cmd/internal/status"
)

// census counts the rows, and those among them that do not answer.
func (m *Model) census() string {
	var of [lost + 1]int
	for _, s := range m.sensors {
		of[s.presence]++
	}
	text := fmt.Sprintf("%d sensors", len(m.rows))
	if len(m.rows) == 1 {
		text = "1 sensor"
	}
	var absent []string
	if n := of[silent]; n > 0 {
		absent = append(absent, fmt.Sprintf("%d silent", n))
	}
	if n := of[lost]; n > 0 {
		absent = append(absent, fmt.Sprintf("%d lost", n))
	}
	if len(absent) > 0 {
		text += " (" + strings.Join(absent, ", ") + ")"
	}
	return text
}

func (m *Model) row(b *lines, i int, who id) {
	s := m.sensors[who]
	begin, end := "", ""
	switch {
	case i == m.chosen:
		begin, end = reverse, plain
	case s.presence != live:
		begin, end = red, plain
	}
	const row = "%s%-20s %-10s %8s %8s %7s %8s %8s %8s %6s %8s%s"
	l, name := s.last, m.title(i)
	switch s.presence {
	case lost:
		b.add("%s%-20s %-10s %s%s", begin, name, "lost", s.farewell(), end)
	case silent:
		b.add(row, begin, name, "silent "+ago(s.silence), "·", "·", "·", "·", "·", "·", "·", "·", end)
	default:
		b.add(row, begin, name, clip(printable(l.State), 10),
			number(s.rate(received)), number(s.rate(dropped)), number(float64(l.Ledger.Flows.Active)),
			number(s.rate(made)), number(s.rate(delivered)), number(s.rate(lostEvents)), fill(l.Queue), number(float64(l.Queue.InFlight)), end)
	}
}

// title is what a row is called: the sensor's name, and the end of its run if another
// row has that name too.
func (m *Model) title(i int) string {
	who := m.rows[i]
	name := printable(who.name)
	if (i == 0 || m.rows[i-1].name != who.name) && (i+1 == len(m.rows) || m.rows[i+1].name != who.name) {
		return clip(name, 20)
	}
	run := []rune(printable(who.run))
	return clip(name, 14) + " " + clip(string(run[max(0, len(run)-5):]), 5)
}

// farewell is when a sensor that does not answer was heard last, and what it did then.
func (s *sensor) farewell() string {
	text := fmt.Sprintf("last heard %s, %s ago: %s", s.heard.Format(time.TimeOnly), ago(s.silence), printable(s.last.State))
	if trouble := s.trouble(); trouble != "" {
		text += ", " + trouble
	}
	return text
}

// trouble is what the sensor says is wrong, "" if nothing is.
func (s *sensor) trouble() string {
	if s.last.Ready && s.last.Trouble == "" {
		return ""
	}
	return printable(strings.TrimSpace("not ready: " + s.last.Trouble))
}

// ago writes a time that has passed in whole seconds, or minutes and hours if it is long.
func ago(d time.Duration) string {
	switch {
	case d < 100*time.Second:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < 100*time.Minute:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	default:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
}

func received(s *status.Status) uint64   { return s.Ledger.Packets.Received }
func dropped(s *status.Status) uint64    { return s.Ledger.Packets.DroppedKernel }
func made(s *status.Status) uint64       { return s.Ledger.Events.Made }
func lostEvents(s *status.Status) uint64 { return s.Ledger.Events.Dropped.Sum() }

func delivered(s *status.Status) uint64 {
	return s.Ledger.Events.Acknowledged + s.Ledger.Events.Sent + s.Ledger.Events.Written
}

func fill(q status.Queue) string {
	if q.MaxBytes == 0 {
		return "·"
	}
	return fmt.Sprintf("%d%%", 100*q.Bytes/q.MaxBytes)
}
