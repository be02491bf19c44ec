package session

import (
	"fmt"
	"time"
)

// Config sets the limits of detection and of parsers.
type Config struct {
	// ProbePackets is how many data packets of a flow are held while its
	// protocol is not known. Default 4.
	ProbePackets int `yaml:"probe_packets"`
	// ProbeBytes is how many bytes per side are held meanwhile. Default 4096.
	ProbeBytes int `yaml:"probe_bytes"`
	// ProbeTime is how long that may last, in packet time. Default 5s.
	ProbeTime time.Duration `yaml:"probe_time"`
	// MessagesPerCall is how many messages a parser may emit in one call;
	// beyond that it is ended. Default 10000.
	MessagesPerCall int `yaml:"messages_per_call"`
	// Parallel lets all parsers that match watch a flow, not only the first.
	// The flow is the first one's. Default false.
	Parallel bool `yaml:"parallel"`
	// BufferTotal is how many bytes are held in all for parsers that have not
	// consumed them yet, and for detection; beyond that the parser that needs
	// more is ended. Of a driver it is the driver's own share. Default 268435456.
	BufferTotal int `yaml:"buffer_total"`
	// Watchdog is how long a parser may take for one call, in wall time; then
	// the process ends, naming protocol and flow, because a loop cannot be
	// stopped. 0 is for ever. Default 10s.
	Watchdog time.Duration `yaml:"watchdog"`
	// AnomalyInterval is the least packet time between two anomalies of one
	// name on one flow; those between are counted. Default 1s.
	AnomalyInterval time.Duration `yaml:"anomaly_interval"`
}

// Share returns the limits of one of so many workers.
func (c Config) Share(workers int) Config {
	c.BufferTotal = max(1<<20, c.BufferTotal/workers)
	return c
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		ProbePackets:    4,
		ProbeBytes:      4096,
		ProbeTime:       5 * time.Second,
		MessagesPerCall: 10_000,
		BufferTotal:     256 << 20,
		Watchdog:        10 * time.Second,
		AnomalyInterval: time.Second,
	}
}

// Validate names the first value that is out of range, by its configuration key.
func (c *Config) Validate() error {
	switch {
	case c.ProbePackets < 1 || c.ProbePackets > 64:
		return fmt.Errorf("probe_packets: %d: want 1 to 64", c.ProbePackets)
	case c.ProbeBytes < 64 || c.ProbeBytes > 1<<20:
		return fmt.Errorf("probe_bytes: %d: want 64 to %d", c.ProbeBytes, 1<<20)
	case c.ProbeTime < time.Millisecond || c.ProbeTime > time.Minute:
		return fmt.Errorf("probe_time: %v: want 1ms to 1m", c.ProbeTime)
	case c.MessagesPerCall < 1 || c.MessagesPerCall > 1<<20:
		return fmt.Errorf("messages_per_call: %d: want 1 to %d", c.MessagesPerCall, 1<<20)
	case c.BufferTotal < 1<<20 || c.BufferTotal > 1<<40:
		return fmt.Errorf("buffer_total: %d: want %d to %d", c.BufferTotal, 1<<20, int64(1)<<40)
	case c.Watchdog != 0 && (c.Watchdog < 100*time.Millisecond || c.Watchdog > time.Hour):
		return fmt.Errorf("watchdog: %v: want 100ms to 1h, or 0s for none", c.Watchdog)
	case c.AnomalyInterval < 0 || c.AnomalyInterval > time.Hour:
		return fmt.Errorf("anomaly_interval: %v: want 0s to 1h", c.AnomalyInterval)
	}
	return nil
}
