package top

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/nats-io/nats.go"

	"flowscope/cmd/internal/monitor"
	"flowscope/cmd/internal/status"
	"flowscope/publish"
)

// told is what a sensor says n seconds after its start, at rates that the test
// knows: 1,000 packets, 10 drops and 500 events a second.
func told(name string, n int) *status.Status {
	k := uint64(n)
	return &status.Status{
		Sensor: name, Run: "r1", Version: "v1", State: "capturing", Ready: true,
		Started: time.Unix(0, 0), Time: time.Unix(int64(n), 0),
		Ledger: &publish.Ledger{
			Packets:  publish.Packets{Received: 1000 * k, DroppedKernel: 10 * k},
			Flows:    publish.Flows{Active: 77},
			Events:   publish.Events{Made: 500 * k, Acknowledged: 400 * k, Dropped: publish.Reasons{"queue_full": 100 * k}},
			Subjects: map[string]uint64{"flowscope.dns.query": 200 * k, "flowscope.http.request": 300 * k},
		},
		Workers: []status.Worker{{Packets: 600 * k, Dropped: 10 * k, Events: 300 * k, FlowsActive: 40}, {Packets: 400 * k, Events: 200 * k, FlowsActive: 37}},
		Queue:   status.Queue{Bytes: 25, MaxBytes: 100, InFlight: 9},
	}
}

type nobody struct{}

func (nobody) Ask(context.Context) ([]*status.Status, error) { return nil, nil }

func screen(m *Model) []string { return strings.Split(ansi.Strip(m.screen()), "\n") }

func find(t *testing.T, lines []string, start string) []string {
	t.Helper()
	for _, l := range lines {
		if strings.HasPrefix(l, start) {
			return strings.Fields(l)
		}
	}
	t.Fatalf("no line begins with %q:\n%s", start, strings.Join(lines, "\n"))
	return nil
}

func TestRates(t *testing.T) {
	m := NewModel(t.Context(), nobody{}, time.Second)
	m.Update(tea.WindowSizeMsg{Width: 120, Height: 40})
	now := time.Unix(1000, 0)
	m.Update(answer{list: []*status.Status{told("edge-1", 10), told("edge-2", 10)}, at: now})
	if got := find(t, screen(m), "edge-1"); got[2] != "·" {
		t.Errorf("a rate from one answer: %v", got)
	}
	m.Update(answer{list: []*status.Status{told("edge-1", 12), told("edge-2", 14)}, at: now.Add(2 * time.Second)})
	lines := screen(m)
	if got, want := strings.Join(find(t, lines, "edge-1"), " "), "edge-1 capturing 1000 10 77 500 400 100 25% 9"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got, want := strings.Join(find(t, lines, "flowscope.http.request"), " "), "flowscope.http.request 300 3600 0 600 10 40 300"; got != want {
		t.Errorf("the busiest subject, beside worker 0: got %s, want %s", got, want)
	}
	if got, want := strings.Join(find(t, lines, "flowscope.dns.query"), " "), "flowscope.dns.query 200 2400 1 400 0 37 200"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestKeys(t *testing.T) {
	m := NewModel(t.Context(), nobody{}, time.Second)
	m.Update(answer{list: []*status.Status{told("a", 1), told("b", 1)}, at: time.Unix(1, 0)})
	press := func(key rune) tea.Cmd { _, cmd := m.Update(tea.KeyPressMsg{Code: key, Text: string(key)}); return cmd }
	press('j')
	press('j')
	if m.chosen != 1 {
		t.Errorf("chosen is %d", m.chosen)
	}
	press('k')
	press('k')
	if m.chosen != 0 {
		t.Errorf("chosen is %d", m.chosen)
	}
	press('p')
	m.Update(answer{list: []*status.Status{told("c", 1)}, at: time.Unix(2, 0)})
	if len(m.rows) != 2 {
		t.Errorf("paused, and yet %v", m.rows)
	}
	if cmd := press('q'); cmd == nil || cmd() != tea.Quit() {
		t.Error("q does not quit")
	}
}

// The screen never grows beyond the terminal, whatever sensors say.
func TestFits(t *testing.T) {
	m := NewModel(t.Context(), nobody{}, time.Second)
	m.Update(tea.WindowSizeMsg{Width: 40, Height: 5})
	odd := told(strings.Repeat("é\x1b]0;x\a", 40), 3)
	odd.Ready, odd.Trouble = false, strings.Repeat("trouble ", 40)
	m.Update(answer{list: []*status.Status{odd, told("b", 1)}, at: time.Unix(1, 0)})
	lines := strings.Split(m.screen(), "\n")
	if len(lines) > 5 {
		t.Errorf("%d lines", len(lines))
	}
	for _, l := range lines {
		if w := ansi.StringWidth(l); w > 40 {
			t.Errorf("%d columns: %q", w, l)
		}
		if strings.Contains(l, "\x1b]") {
			t.Errorf("a name steers the terminal: %q", l)
		}
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{-1: "·", 0: "0", 1.25: "1.2", 12.7: "13", 99999: "99999", 123456: "123k", 12345678: "12M", 2e10: "20G"} {
		if got := number(v); got != want {
			t.Errorf("number(%v) is %s, want %s", v, got, want)
		}
	}
}

func TestHTTPSource(t *testing.T) {
	server := httptest.NewServer(monitor.Handler(func() *status.Status { return told("edge-1", 3) }, false))
	defer server.Close()
	list, err := (&HTTP{Address: strings.TrimPrefix(server.URL, "http://"), Wait: time.Minute}).Ask(t.Context())
	if err != nil || len(list) != 1 || list[0].Sensor != "edge-1" || list[0].Ledger.Packets.Received != 3000 {
		t.Errorf("%v %v", list, err)
	}
	if _, err := (&HTTP{Address: "127.0.0.1:1", Wait: time.Minute}).Ask(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "no sensor on this machine answers: dial tcp 127.0.0.1:1: ") {
		t.Errorf("error is %v", err)
	}
	odd := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(`{"sensor":"x"}`)) }))
	defer odd.Close()
	if _, err := (&HTTP{Address: strings.TrimPrefix(odd.URL, "http://"), Wait: time.Minute}).Ask(t.Context()); err == nil {
		t.Error("what is no status is taken for one")
	}
}

// A sensor that hangs has a kernel that accepts for it: it does not hold the view up,
// whether it says nothing or stops halfway.
func TestHTTPSourceHangs(t *testing.T) {
	for name, start := range map[string]string{"no answer": "", "half an answer": "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				if c, err := l.Accept(); err == nil {
					defer c.Close()
					_, _ = http.ReadRequest(bufio.NewReader(c))
					_, _ = io.WriteString(c, start)
					<-t.Context().Done()
				}
			}()
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			_, err = (&HTTP{Address: l.Addr().String(), Wait: 50 * time.Millisecond}).Ask(ctx)
			if err == nil || !strings.Contains(err.Error(), "hangs: no answer from "+l.Addr().String()+" within 50ms") || ctx.Err() != nil {
				t.Errorf("error is %v", err)
			}
		})
	}
}

func TestHTTPSourceWaits(t *testing.T) {
	for interval, want := range map[time.Duration]time.Duration{100 * time.Millisecond: time.Second, time.Second: 2 * time.Second, time.Hour: 5 * time.Second} {
		if got := NewHTTP("x", interval).Wait; got != want {
			t.Errorf("asked every %v it waits for %v, want %v", interval, got, want)
		}
	}
}

// A fleet is asked through a server; without one the view says that, not that all
// sensors are dead.
func TestFleetWithoutServer(t *testing.T) {
	nc, err := nats.Connect("nats://127.0.0.1:1", nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if _, err := (&Fleet{Conn: nc, Wait: time.Minute}).Ask(t.Context()); err == nil || !strings.Contains(err.Error(), "no NATS server is connected") {
		t.Errorf("error is %v", err)
	}
}
