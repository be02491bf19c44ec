package top

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"flowscope/cmd/internal/status"
)

// stage is a view, asked once a second, and a clock to play by.
type stage struct {
	*testing.T
	m     *Model
	start time.Time
}

func newStage(t *testing.T) *stage {
	s := &stage{t, NewModel(t.Context(), nobody{}, time.Second), time.Unix(100000, 0)}
	s.m.Update(tea.WindowSizeMsg{Width: 120, Height: 40})
	return s
}

// at is n seconds after the start.
func (s *stage) at(n float64) time.Time { return s.start.Add(time.Duration(n * float64(time.Second))) }

// says brings an answer after n seconds.
func (s *stage) says(n float64, err error, list ...*status.Status) {
	s.m.Update(answer{list: list, err: err, at: s.at(n)})
}

// passes lets time pass without one.
func (s *stage) passes(n float64) { s.m.Update(beat(s.at(n))) }

// rows are those of the table, blanks shortened.
func (s *stage) rows() []string {
	var rows []string
	lines := screen(s.m)
	i := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "SENSOR") })
	if i < 0 {
		return nil
	}
	for _, l := range lines[i+1:] {
		if l == "" {
			break
		}
		rows = append(rows, strings.Join(strings.Fields(l), " "))
	}
	return rows
}

func (s *stage) wantRows(want ...string) {
	s.Helper()
	if got := s.rows(); !slices.Equal(got, want) {
		s.Errorf("the rows are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func (s *stage) wantHead(want string) {
	s.Helper()
	if got := screen(s.m)[0]; !strings.Contains(got, "top  "+want+"  ") {
		s.Errorf("the head is %q, want %q", got, want)
	}
}

// of is what a sensor says in its n-th second, in a run of its own.
func of(name, run string, n int) *status.Status {
	s := told(name, n)
	s.Run = run
	return s
}

const lively = "capturing 1000 10 77 500 400 100 25% 9"

// One that falls silent shows no rates, then says when it was heard last, and goes
// only after a good while.
func TestSilence(t *testing.T) {
	s := newStage(t)
	s.wantHead("0 sensors")
	s.says(0, nil, told("a", 10), told("b", 10))
	s.says(1, nil, told("a", 11), told("b", 11))
	s.wantHead("2 sensors")
	s.wantRows("a "+lively, "b "+lively)
	for n := 2; n <= 8; n++ {
		s.says(float64(n), nil, told("a", 10+n))
	}
	s.wantRows("a "+lively, "b silent 7s · · · · · · · ·")
	s.wantHead("2 sensors (1 silent)")
	s.m.Update(tea.KeyPressMsg{Code: 'j', Text: "j"})
	when := "last heard " + s.at(1).Format(time.TimeOnly)
	if text := strings.Join(screen(s.m), "\n"); !strings.Contains(text, when+", 7s ago: capturing\n") {
		t.Errorf("the chosen one does not say %q:\n%s", when, text)
	}
	if got := find(t, screen(s.m), "flowscope.dns.query"); strings.Join(got, " ") != "flowscope.dns.query · 2200 1 · · · ·" {
		t.Errorf("a silent sensor's subject and worker: %v", got)
	}
	s.says(301, nil, told("a", 311))
	s.wantRows("a "+lively, "b lost "+when+", 5m ago: capturing")
	s.wantHead("2 sensors (1 lost)")
	s.says(600, nil, told("a", 610))
	s.says(601, nil, told("a", 611))
	s.wantRows("a "+lively, "b lost "+when+", 10m ago: capturing")
	s.says(602, nil, told("a", 612))
	s.wantRows("a " + lively)
	s.wantHead("1 sensor")
	s.passes(1300)
	if text := strings.Join(screen(s.m), "\n"); !strings.Contains(text, "no sensor has answered for 10m") {
		t.Errorf("all are gone:\n%s", text)
	}
}

// A missed answer is chance; one who speaks again is there again, and its clock may
// have been set back meanwhile.
func TestSilenceEnds(t *testing.T) {
	s := newStage(t)
	s.says(0, nil, told("a", 10))
	s.says(1, nil, told("a", 11))
	s.passes(3.4)
	s.wantRows("a " + lively)
	s.passes(3.6)
	s.wantRows("a silent 2s · · · · · · · ·")
	s.says(60, nil, told("a", 70))
	s.says(61, nil, told("a", 71))
	s.wantRows("a " + lively)
	for n := 62; n < 70; n++ {
		s.says(float64(n), nil, told("a", n-40))
	}
	s.wantRows("a " + lively)
}

// A source that knows that it got no answer leaves no row beside its error that looks
// alive, and an error does not steer the terminal.
func TestErrorSilences(t *testing.T) {
	s := newStage(t)
	s.says(0, nil, told("a", 10))
	s.says(1, nil, told("a", 11))
	s.says(2, errors.New("\x1b[2Jrefused"))
	s.wantRows("a silent 1s · · · · · · · ·")
	if text := s.m.screen(); strings.Contains(text, "\x1b[2J") || !strings.Contains(text, "refused") {
		t.Errorf("the error is shown as %q", text)
	}
	s.says(3, errors.New("some only"), told("a", 13))
	s.wantRows("a " + lively)
}

// Two sensors of one name have a row and rates each.
func TestSameName(t *testing.T) {
	s := newStage(t)
	s.says(0, nil, of("host", "aaaaaaaa1", 10), of("host", "aaaaaaaa2", 20))
	s.says(1, nil, of("host", "aaaaaaaa2", 21), of("host", "aaaaaaaa1", 11))
	s.wantRows("host aaaa1 "+lively, "host aaaa2 "+lively)
	s.wantHead("2 sensors")
	for n := 2; n < 6; n++ { // one of them dies beside the other: that is no restart
		s.says(float64(n), nil, of("host", "aaaaaaaa2", 20+n))
	}
	s.wantRows("host aaaa1 silent 4s · · · · · · · ·", "host aaaa2 "+lively)
}

// A sensor that is started again has one row, chosen if the old one was, and counts
// from nothing.
func TestRestart(t *testing.T) {
	for _, gap := range []int{1, 5, 100} {
		s := newStage(t)
		s.says(0, nil, told("a", 10), of("b", "r1", 10))
		s.says(1, nil, told("a", 11), of("b", "r1", 11))
		s.m.Update(tea.KeyPressMsg{Code: 'j', Text: "j"})
		for n := 2; n <= gap; n++ {
			s.says(float64(n), nil, told("a", 10+n))
		}
		s.says(float64(gap+1), nil, told("a", 11+gap), told("aa", 1), of("b", "r2", 1)) // one more, so that rows move
		s.wantRows("a "+lively, "aa capturing · · 77 · · · 25% 9", "b capturing · · 77 · · · 25% 9")
		find(t, screen(s.m), "b  run r2")
		s.wantHead("3 sensors")
	}
}

// The old run may still stop while the new one is there already.
func TestHandover(t *testing.T) {
	s := newStage(t)
	old := func(n int) *status.Status {
		o := of("a", "run-1", n)
		o.State = "stopping"
		return o
	}
	young := func(n int) *status.Status {
		y := of("a", "run-2", n)
		y.Started = time.Unix(5, 0)
		return y
	}
	s.says(0, nil, old(10))
	s.says(1, nil, old(11), young(11))
	s.wantHead("2 sensors")
	s.says(2, nil, young(12))
	s.says(3, nil, young(13))
	s.says(4, nil, young(14))
	s.wantRows("a " + lively)
}

// Nobody is silent because the view was paused, and a pause stands still.
func TestPauseIsNoSilence(t *testing.T) {
	s := newStage(t)
	press := func() { s.m.Update(tea.KeyPressMsg{Code: 'p', Text: "p"}) }
	s.says(0, nil, told("a", 10), told("b", 10))
	s.says(1, nil, told("a", 11), told("b", 11))
	press()
	for n := 2; n <= 60; n++ {
		s.says(float64(n), nil, told("a", 10+n))
		s.passes(float64(n) + 0.5)
	}
	s.wantRows("a "+lively, "b "+lively)
	press()
	s.passes(61)
	s.wantRows("a "+lively, "b lost last heard "+s.at(1).Format(time.TimeOnly)+", 60s ago: capturing")
}

// What is remembered is bounded, and who answers comes before who does not.
func TestCrowd(t *testing.T) {
	s := newStage(t)
	s.says(0, nil, told("a", 10), told("z", 10))
	var many []*status.Status
	for i := range maxSensors - 1 {
		many = append(many, told(fmt.Sprintf("m%04d", i), 1))
	}
	s.says(1, nil, append(many, told("z", 11))...)
	if got := s.m.rows; len(got) != maxSensors || got[0].name != "m0000" || got[maxSensors-1].name != "z" {
		t.Errorf("%d rows from %v to %v", len(got), got[0], got[len(got)-1])
	}
}

// Rows of absent sensors fit the screen and print what they were told.
func TestAbsentFits(t *testing.T) {
	s := newStage(t)
	s.m.Update(tea.WindowSizeMsg{Width: 60, Height: 9})
	odd := told(strings.Repeat("é\x1b]0;x\a", 40), 3)
	odd.Run, odd.State, odd.Trouble = "\x1b[2J", "\x1b[2J", strings.Repeat("trouble\x1b[2J ", 40)
	other := *odd
	other.Run = ""
	for _, n := range []float64{0, 5, 300} {
		s.says(n, nil)
		if n == 0 {
			s.says(n, nil, odd, &other)
		}
		for _, l := range strings.Split(s.m.screen(), "\n") {
			if w := ansi.StringWidth(l); w > 60 || strings.Contains(l, "\x1b]") || strings.Contains(l, "\x1b[2J") {
				t.Errorf("after %vs, %d columns: %q", n, w, l)
			}
		}
	}
}

// stuck does not answer until the context ends.
type stuck struct{}

func (stuck) Ask(ctx context.Context) ([]*status.Status, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// Time passes on the screen while a source does not answer, and the next question
// comes one interval after the last, however long the answer took.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewModel(t.Context(), stuck{}, time.Second)
		commands, ok := m.Init()().(tea.BatchMsg)
		if !ok || len(commands) != 2 {
			t.Fatalf("%d commands to begin with", len(commands))
		}
		began := time.Now()
		msg := commands[1]()
		if _, next := m.Update(msg); next == nil || m.now.Sub(began) != time.Second {
			t.Errorf("after a second the view is at %v", m.now.Sub(began))
		}
		for took, want := range map[time.Duration]time.Duration{0: time.Second, 300 * time.Millisecond: 700 * time.Millisecond, 2 * time.Second: 0} {
			_, cmd := m.Update(answer{at: time.Now(), took: took})
			asked := time.Now()
			if cmd(); time.Since(asked) != want {
				t.Errorf("an answer that took %v: asked again after %v, want %v", took, time.Since(asked), want)
			}
		}
	})
}
