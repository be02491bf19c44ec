package top

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"flowscope/cmd/internal/status"
)

// Model is the state of the view.
type Model struct {
	source        Source
	interval      time.Duration
	patience      patience
	ctx           context.Context
	sensors       map[id]*sensor
	rows          []id // those of the screen, in their order
	chosen        int  // of rows
	now           time.Time
	trouble       error
	troubled      time.Time // when trouble was met
	heard         bool      // any sensor, ever
	paused        bool
	width, height int
}

var _ tea.Model = (*Model)(nil)

// NewModel returns a view of a source that is asked once per interval.
func NewModel(ctx context.Context, source Source, interval time.Duration) *Model {
	return &Model{
		ctx: ctx, source: source, interval: interval, patience: patienceOf(interval),
		sensors: map[id]*sensor{}, width: 80, height: 24,
	}
}

// answer is what a source said, and how long it took.
type answer struct {
	list []*status.Status
	err  error
	at   time.Time
	took time.Duration
}

type again struct{}

// beat is the time as it passes, whether a source answers or not.
type beat time.Time

// Init asks for the first time.
func (m *Model) Init() tea.Cmd { return tea.Batch(m.ask, m.beat()) }

func (m *Model) ask() tea.Msg {
	began := time.Now()
	list, err := m.source.Ask(m.ctx)
	now := time.Now()
	return answer{list, err, now, now.Sub(began)}
}

func (m *Model) beat() tea.Cmd {
	return tea.Tick(min(m.interval, time.Second), func(t time.Time) tea.Msg { return beat(t) })
}

// Update takes keys, sizes, answers and the time.
func (m *Model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.KeyPressMsg:
		return m.key(msg.String())
	case answer:
		m.take(msg)
		return m, tea.Tick(max(0, m.interval-msg.took), func(time.Time) tea.Msg { return again{} })
	case again:
		return m, m.ask
	case beat:
		m.look(time.Time(msg))
		return m, m.beat()
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
		m.chosen = min(max(0, len(m.rows)-1), m.chosen+1)
	case "p", "space":
		m.paused = !m.paused
	}
	return m, nil
}

// take notes what sensors have said. While paused that is only who is still there,
// so that nobody looks silent afterwards.
func (m *Model) take(a answer) {
	m.trouble, m.troubled = a.err, a.at
	for _, said := range a.list {
		who := id{said.Sensor, said.Run}
		known := m.sensors[who]
		switch {
		case m.paused && known != nil:
			known.heard = a.at
		case m.paused:
		default:
			if known == nil {
				known = &sensor{}
				m.sensors[who] = known
			}
			known.hear(said, a.at)
			m.heard = true
		}
	}
	m.look(a.at)
}

// look judges who is there at a time, and puts the rows in order.
func (m *Model) look(now time.Time) {
	if m.paused {
		return
	}
	m.now = now
	newest := map[string]*successor{}
	for who, s := range m.sensors {
		s.look(now, m.patience)
		if s.presence == live && m.trouble != nil && s.heard.Before(m.troubled) {
			s.presence, s.before = silent, nil // the source knows that it got no answer
		}
		if newest[who.name] == nil {
			newest[who.name] = &successor{}
		}
		newest[who.name].add(s)
	}
	maps.DeleteFunc(m.sensors, func(who id, s *sensor) bool {
		return s.silence > m.patience.forgotten || newest[who.name].replaces(s)
	})
	m.crowd()
	m.order()
}

// crowd forgets those who are silent for longest if there are too many.
func (m *Model) crowd() {
	over := len(m.sensors) - maxSensors
	if over <= 0 {
		return
	}
	longest := slices.SortedFunc(maps.Keys(m.sensors), func(a, b id) int { return m.sensors[a].heard.Compare(m.sensors[b].heard) })
	for _, who := range longest[:over] {
		delete(m.sensors, who)
	}
}

// order makes the rows anew. The choice stays with its sensor, or goes to the run
// that took its place.
func (m *Model) order() {
	var chosen id
	if m.chosen < len(m.rows) {
		chosen = m.rows[m.chosen]
	}
	m.rows = slices.SortedFunc(maps.Keys(m.sensors), func(a, b id) int { return compareSensors(m.sensors[a], m.sensors[b]) })
	i := slices.Index(m.rows, chosen)
	if i < 0 {
		i = slices.IndexFunc(m.rows, func(who id) bool { return who.name == chosen.name })
	}
	if i < 0 {
		i = min(m.chosen, max(0, len(m.rows)-1))
	}
	m.chosen = i
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
