package top

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"flowscope/cmd/internal/status"
)

// staleAfter is how long a sensor stays on the screen without an answer.
const staleAfter = 10 * time.Second

// sensor is what is known of one.
type sensor struct {
	last, before *status.Status
	heard        time.Time
}

// Model is the state of the view.
type Model struct {
	source        Source
	interval      time.Duration
	ctx           context.Context
	sensors       map[string]*sensor
	names         []string // sorted
	chosen        int
	asked         time.Time
	trouble       error
	paused        bool
	width, height int
}

var _ tea.Model = (*Model)(nil)

// NewModel returns a view of a source that is asked once per interval.
func NewModel(ctx context.Context, source Source, interval time.Duration) *Model {
	return &Model{ctx: ctx, source: source, interval: interval, sensors: map[string]*sensor{}, width: 80, height: 24}
}

// answer is what a source said.
type answer struct {
	list []*status.Status
	err  error
	at   time.Time
}

type again struct{}

// Init asks for the first time.
func (m *Model) Init() tea.Cmd { return m.ask }

func (m *Model) ask() tea.Msg {
	list, err := m.source.Ask(m.ctx)
	return answer{list, err, time.Now()}
}

// Update takes keys, sizes and answers.
func (m *Model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.KeyPressMsg:
		return m.key(msg.String())
	case answer:
		m.take(msg)
		return m, tea.Tick(m.interval, func(time.Time) tea.Msg { return again{} })
	case again:
		return m, m.ask
	}
	return m, nil
}

func (m *Model) key(k string) (tea.Model, tea.Cmd) {
	switch k {
	case "q", "esc", "ctrl+c":
		return m, tea.Quit
	case "up", "k":
		m.chosen = max(0, m.chosen-1)
	case "down", "j":
		m.chosen = min(max(0, len(m.names)-1), m.chosen+1)
	case "p", "space":
		m.paused = !m.paused
	}
	return m, nil
}

// take notes what sensors have said. One that has begun a new run starts from
// nothing: its counts did too.
func (m *Model) take(a answer) {
	m.trouble = a.err
	if m.paused {
		return
	}
	m.asked = a.at
	for _, s := range a.list {
		known := m.sensors[s.Sensor]
		if known == nil {
			known = &sensor{}
			m.sensors[s.Sensor] = known
		}
		switch {
		case known.last == nil || known.last.Run != s.Run:
			known.before = nil
		case !s.Time.After(known.last.Time):
			continue
		default:
			known.before = known.last
		}
		known.last, known.heard = s, a.at
	}
	for name, s := range m.sensors {
		if a.at.Sub(s.heard) > staleAfter {
			delete(m.sensors, name)
		}
	}
	m.names = slices.SortedFunc(maps.Keys(m.sensors), cmp.Compare[string])
	m.chosen = min(m.chosen, max(0, len(m.names)-1))
}

// rate returns how much a count grows per second; -1 if that is not known yet.
func (s *sensor) rate(of func(*status.Status) uint64) float64 {
	if s.before == nil {
		return -1
	}
	seconds := s.last.Time.Sub(s.before.Time).Seconds()
	now, then := of(s.last), of(s.before)
	if seconds <= 0 || now < then {
		return -1
	}
	return float64(now-then) / seconds
}

// number writes a rate or a count so that it fits into seven columns.
func number(v float64) string {
	switch {
	case v < 0:
		return "·"
	case v < 10 && v != float64(int(v)):
		return fmt.Sprintf("%.1f", v)
	case v < 1e5:
		return fmt.Sprintf("%.0f", v)
	case v < 1e7:
		return fmt.Sprintf("%.0fk", v/1e3)
	case v < 1e10:
		return fmt.Sprintf("%.0fM", v/1e6)
	default:
		return fmt.Sprintf("%.0fG", v/1e9)
	}
}
