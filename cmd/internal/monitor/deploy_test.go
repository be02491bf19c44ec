package monitor

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// What deploy/ asks Prometheus for must be there, with these labels.
var metricUse = regexp.MustCompile(`\b((?:flowscope|process|go)_[a-z_]+)\b(?:\{([^}]*)\})?`)

var (
	labelUse = regexp.MustCompile(`([a-z_]+)\s*(?:=~|!=|!~|=)`)
	grouping = regexp.MustCompile(`\bby \(([^)]*)\)`)
	word     = regexp.MustCompile(`[a-z_]+`)
)

// fromPrometheus are the labels that it adds itself.
var fromPrometheus = []string{"instance", "job"}

func checkExpression(t *testing.T, where, expr string) {
	t.Helper()
	uses := metricUse.FindAllStringSubmatch(expr, -1)
	if len(uses) == 0 && !regexp.MustCompile(`\bup\b`).MatchString(expr) {
		t.Errorf("%s: %q asks for nothing", where, expr)
	}
	known := slices.Clone(fromPrometheus)
	for _, use := range uses {
		if use[1][0] != 'f' {
			continue // of the client library
		}
		i := slices.IndexFunc(Metrics(), func(m Metric) bool { return m.Name == use[1] })
		if i < 0 {
			t.Errorf("%s: no metric %s", where, use[1])
			continue
		}
		labels := append(slices.Clone(fromPrometheus), Metrics()[i].Labels...)
		known = append(known, labels...)
		for _, l := range labelUse.FindAllStringSubmatch(use[2], -1) {
			if !slices.Contains(labels, l[1]) {
				t.Errorf("%s: %s has no label %s", where, use[1], l[1])
			}
		}
	}
	for _, by := range grouping.FindAllStringSubmatch(expr, -1) {
		for _, l := range word.FindAllString(by[1], -1) {
			if !slices.Contains(known, l) {
				t.Errorf("%s: grouped by %s, which no metric has", where, l)
			}
		}
	}
}

// checkSeries wants a series of a sensor that has counted nothing yet for each metric
// of an expression, with the labels that are asked for: what only comes with its first
// count is missed by every rate.
func checkSeries(t *testing.T, where, expr, metrics string) {
	t.Helper()
	for _, use := range metricUse.FindAllStringSubmatch(expr, -1) {
		found := false
		for line := range strings.Lines(metrics) {
			series := strings.FieldsFunc(line, func(c rune) bool { return strings.ContainsRune("{}, ", c) })
			found = found || series[0] == use[1] && (use[2] == "" || slices.Contains(series, use[2]))
		}
		if !found {
			t.Errorf("%s: a sensor that has just begun has no %s", where, use[0])
		}
	}
}

func TestRules(t *testing.T) {
	raw, err := os.ReadFile("../../../deploy/prometheus/rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	if err := yaml.UnmarshalWithOptions(raw, &file, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	_, metrics := get(t, Handler(fresh, false), "/metrics")
	var told []string
	n := 0
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			n++
			checkExpression(t, r.Alert, r.Expr)
			checkSeries(t, r.Alert, r.Expr, metrics)
			told = append(told, r.Alert)
			if r.Alert == "" || r.Labels["severity"] == "" || r.Annotations["summary"] == "" {
				t.Errorf("rule %d, %s: want a name, a severity and a summary", n, r.Alert)
			}
		}
	}
	// What is lost for good is told of, wherever it is lost.
	for _, alert := range []string{"FlowscopeKernelDrops", "FlowscopeEventsDropped", "FlowscopeDeadLetters", "FlowscopeTableFull"} {
		if !slices.Contains(told, alert) {
			t.Errorf("no rule %s", alert)
		}
	}
	if n < 12 {
		t.Errorf("%d rules", n)
	}
}

func TestDashboard(t *testing.T) {
	raw, err := os.ReadFile("../../../deploy/grafana/dashboards/flowscope.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct {
			ID      int
			Title   string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr, RefID string }
		}
	}
	if err := json.Unmarshal(raw, &board); err != nil {
		t.Fatal(err)
	}
	taken := map[[2]int]string{}
	for _, p := range board.Panels {
		for _, target := range p.Targets {
			checkExpression(t, p.Title, target.Expr)
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("%s lies over %q or outside", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
	if len(board.Panels) < 15 {
		t.Errorf("%d panels", len(board.Panels))
	}
}
