package publish

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestFilter(t *testing.T) {
	// One of each of these is made.
	made := [][2]string{
		{"dns", "started"},
		{"dns", "query"},
		{"dns", "parser_closed"},
		{"dns", "anomaly"},
		{"dns", "tick"},
		{"dns", "closed"},
		{"http", "started"},
		{"http", "request"},
		{"http", "closed"},
		{"flow", "started"},
		{"flow", "closed"},
	}
	tests := []struct {
		name     string
		events   string
		only     []string
		filtered Reasons
		subjects map[string]uint64
	}{
		{"messages", EventsMessages, nil, Reasons{"events": 8}, map[string]uint64{
			"flowscope.dns.query": 1, "flowscope.dns.parser_closed": 1, "flowscope.http.request": 1,
		}},
		{"only", EventsAll, []string{"http", "flow"}, Reasons{"only": 6}, map[string]uint64{
			"flowscope.http.started": 1, "flowscope.http.request": 1, "flowscope.http.closed": 1,
			"flowscope.flow.started": 1, "flowscope.flow.closed": 1,
		}},
		{"both", EventsMessages, []string{"http"}, Reasons{"only": 8, "events": 2}, map[string]uint64{
			"flowscope.http.request": 1,
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			reg := deliveryRegistry(t)
			cfg := DefaultConfig()
			cfg.Events, cfg.Only = tt.events, tt.only
			p := runPublisher(t, cfg, Options{Registry: reg}, NewDiscard())
			sink, m := p.Sink(0), newMaker(reg, 1)
			for _, topic := range made {
				sink.HandleEvent(m.event(t, topic[0], topic[1]))
			}
			unknown := m.event(t, "dns", "query")
			unknown.Topic = -1
			sink.HandleEvent(unknown)
			sink.Close()
			if err := p.Close(within(t, 20*time.Second)); err != nil {
				t.Fatal(err)
			}
			l := p.Ledger()
			checkBalance(t, l)
			if diff := cmp.Diff(tt.filtered, l.Events.Filtered); diff != "" {
				t.Errorf("filtered (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.subjects, l.Subjects); diff != "" {
				t.Errorf("subjects (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(Reasons{"unknown_topic": 1}, l.Events.Dropped); diff != "" {
				t.Errorf("dropped (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOnlyRefusesUnknownProtocols(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Only = []string{"gopher"}
	_, err := New(cfg, Options{Sensor: "s", Run: "r", Registry: deliveryRegistry(t), Workers: 1}, NewDiscard())
	if err == nil || !strings.Contains(err.Error(), `"gopher"`) || !strings.Contains(err.Error(), "flow, dns, http") {
		t.Errorf("New: %v, want the unknown and the known protocols named", err)
	}
}
