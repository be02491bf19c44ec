package config

import (
	"fmt"
	"net"
	"strconv"
)

// Monitor says where a running sensor can be looked at.
type Monitor struct {
	// Listen is host:port of the HTTP endpoints, "" for none. Default
	// 127.0.0.1:9477.
	Listen string `yaml:"listen"`
	// Pprof adds /debug/pprof/. Default false.
	Pprof bool `yaml:"pprof"`
	// Service offers the NATS micro service "flowscope". Default true.
	Service bool `yaml:"service"`
}

func defaultMonitor() Monitor { return Monitor{Listen: "127.0.0.1:9477", Service: true} }

// Validate names the first value that is wrong, by its configuration key.
func (m *Monitor) Validate() error {
	if m.Listen == "" {
		return nil
	}
	_, port, err := net.SplitHostPort(m.Listen)
	if err != nil {
		return fmt.Errorf("listen: %q: want host:port, such as 127.0.0.1:9477", m.Listen)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("listen: port %q: want 0 to 65535", port)
	}
	return nil
}
