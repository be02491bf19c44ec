package flow

import (
	"fmt"
	"time"
)

// Config sets the limits and time-outs of a Table.
type Config struct {
	// MaxFlows is how many flows are tracked at once, over all workers; the
	// least recently used one ends when another begins. Default 1,000,000.
	MaxFlows int `yaml:"max_flows"`
	// TCPIdle ends established TCP flows without packets. Default 300s.
	TCPIdle time.Duration `yaml:"tcp_idle"`
	// TCPSetupIdle ends TCP flows that were never established. Default 20s.
	TCPSetupIdle time.Duration `yaml:"tcp_setup_idle"`
	// UDPIdle ends UDP flows without packets. Default 60s.
	UDPIdle time.Duration `yaml:"udp_idle"`
	// OtherIdle ends all other flows without packets. Default 30s.
	OtherIdle time.Duration `yaml:"other_idle"`
	// ClosingTail is how long a closed TCP flow takes in late packets before
	// its closed event. Default 5s.
	ClosingTail time.Duration `yaml:"closing_tail"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		MaxFlows:     1_000_000,
		TCPIdle:      300 * time.Second,
		TCPSetupIdle: 20 * time.Second,
		UDPIdle:      60 * time.Second,
		OtherIdle:    30 * time.Second,
		ClosingTail:  5 * time.Second,
	}
}

// maxIdle bounds the time-outs, which are kept in 32 bits of milliseconds.
const maxIdle = 7 * 24 * time.Hour

// Validate names the first value that is out of range, by its configuration key.
func (c *Config) Validate() error {
	if c.MaxFlows < 1 || c.MaxFlows > 1<<30 {
		return fmt.Errorf("max_flows: %d: want 1 to %d", c.MaxFlows, 1<<30)
	}
	for _, d := range []struct {
		key string
		v   time.Duration
	}{
		{"tcp_idle", c.TCPIdle},
		{"tcp_setup_idle", c.TCPSetupIdle},
		{"udp_idle", c.UDPIdle},
		{"other_idle", c.OtherIdle},
		{"closing_tail", c.ClosingTail},
	} {
		if d.v < time.Millisecond || d.v > maxIdle {
			return fmt.Errorf("%s: %v: want 1ms to %v", d.key, d.v, maxIdle)
		}
	}
	return nil
}
