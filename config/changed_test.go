package config

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"flowscope/parsers"
)

func TestChanged(t *testing.T) {
	a, b := Default(parsers.All()...), Default(parsers.All()...)
	if got := Changed(a, b); len(got) != 0 {
		t.Errorf("nothing has changed, and yet %v", got)
	}
	b.Sensor.Name = "other"
	b.Flow.UDPIdle = time.Second
	b.Protocols[0].Enabled = false
	b.Publish.Only = []string{"dns"}
	b.Capture.Filter = "udp"
	c := Default(parsers.All()...)
	Adopt(c, b, []string{"capture.filter", "publish.only"})
	if c.Capture.Filter != "udp" || len(c.Publish.Only) != 1 || c.Flow.UDPIdle == time.Second {
		t.Errorf("adopted: %+v", c)
	}
	want := []string{"sensor.name", "capture.filter", "flow.udp_idle", "protocols.dns.enabled", "publish.only"}
	if diff := cmp.Diff(want, Changed(a, b), cmp.Transformer("set", func(list []string) map[string]bool {
		m := map[string]bool{}
		for _, s := range list {
			m[s] = true
		}
		return m
	})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
