package cmd

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"flowscope/cmd/internal/monitor"
	"flowscope/config"
	"flowscope/publish/embedded"
)

// The log says where events can be read and where the sensor can be looked at.
func TestTellPlaces(t *testing.T) {
	start := func(cfg embedded.Config) *embedded.Server {
		cfg.Store = t.TempDir()
		s, err := embedded.Start(cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		return s
	}
	m, err := monitor.Listen(config.Monitor{Listen: "127.0.0.1:0"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	reached := start(embedded.Config{Listen: "127.0.0.1:0"})
	for _, tt := range []struct {
		name string
		dest *destination
		want []string
	}{
		{"servers", &destination{}, []string{"servers=nats://192.0.2.1:4222,nats://192.0.2.2:4222", "stream=FLOWSCOPE"}},
		{"embedded", &destination{server: start(embedded.Config{}), folder: "/data/store"}, []string{"publish.embedded.listen", "store=/data/store"}},
		{"embedded, listening", &destination{server: reached, folder: "/data/store"}, []string{"server=" + reached.URL(), "store=/data/store"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var logged bytes.Buffer
			c := config.Default()
			c.Publish.Servers = []string{"nats://192.0.2.1:4222", "nats://192.0.2.2:4222"}
			l := &live{settled: &settled{Config: c}, dest: tt.dest, monitor: m, log: slog.New(slog.NewTextHandler(&logged, nil))}
			l.tellPlaces()
			for _, want := range append(tt.want, "url=http://"+m.Addr()+"/status") {
				if !strings.Contains(logged.String(), want) {
					t.Errorf("no %s in\n%s", want, logged.String())
				}
			}
		})
	}
}
