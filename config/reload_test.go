package config

import (
	"testing"

	"flowscope/parsers"
)

// Every key that is said to be taken up exists and is a value; none of what sockets,
// tables and subjects are made of is.
func TestReloadable(t *testing.T) {
	root := keysOf(Default(parsers.All()...))
	for path := range reloadable {
		if k, ok := root.find(path); !ok || !k.isValue() {
			t.Errorf("%s is no key", path)
		}
	}
	for path, want := range map[string]bool{
		"flow.udp_idle": true, "protocols.dns.ports": true, "protocols.http.body_bytes": true, "protocols.dns.enabled": true,
		"protocols.dns": false, "protocols": false, "flow": false,
		"sensor.name": false, "workers": false, "flow.max_flows": false, "flow.vlans_in_key": false,
		"capture.interfaces": false, "publish.servers": false, "publish.prefix": false, "security.user": false, "monitor.listen": false,
	} {
		if Reloadable(path) != want {
			t.Errorf("%s: %v", path, !want)
		}
	}
}
