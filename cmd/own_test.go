package cmd

import (
	"log/slog"
	"testing"

	"flowscope/config"
	"flowscope/ingest/filter"
)

func TestOwnTraffic(t *testing.T) {
	for _, test := range []struct {
		servers []string
		hubs    []string
		wanted  string
		capture bool
		want    string
	}{
		{nil, nil, "", false, ""},
		{nil, nil, "udp", false, "udp"},
		{[]string{"nats://192.0.2.1"}, []string{"nats://192.0.2.9"}, "", false, "not ((tcp and host 192.0.2.1 and port 4222))"},
		{[]string{"nats://192.0.2.1"}, nil, "", true, ""},
		{nil, []string{"tls://192.0.2.9", "wss://192.0.2.9", "nats://192.0.2.8:1"}, "udp", false, "(udp) and not ((tcp and host 192.0.2.8 and port 1) or (tcp and host 192.0.2.9 and port 443) or (tcp and host 192.0.2.9 and port 7422))"},
		{
			[]string{"wss://192.0.2.2", "tls://[2001:db8::1]:5000", "wss://192.0.2.2"},
			nil, "port 53 or 80", false,
			"(port 53 or 80) and not ((tcp and host 192.0.2.2 and port 443) or (tcp and host 2001:db8::1 and port 5000))",
		},
	} {
		c := config.Default()
		c.Publish.Servers, c.Capture.OwnTraffic, c.Publish.Embedded.Leaf.Servers = test.servers, test.capture, test.hubs
		l := &live{settled: &settled{Config: c}, log: slog.New(slog.DiscardHandler), dest: &destination{peers: newPeers()}}
		got := joined(test.wanted, l.ownExpression(t.Context(), test.capture))
		if got != test.want {
			t.Errorf("%v: %s", test.servers, got)
		}
		if _, err := filter.Parse(got); err != nil {
			t.Error(err)
		}
	}
}
