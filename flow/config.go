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
	// VLANsInKey tells flows apart by their VLANs. Without it, both directions
	// may carry different ones; events then name those of the first packet.
	// Default true.
	VLANsInKey bool `yaml:"vlans_in_key"`
	// Checksums says what is done with those of IPv4, TCP, UDP and ICMP: count
	// the bad ones, drop (their packets are counted as undecodable), or off, to
	// not look at them. Default count.
	Checksums string `yaml:"checksums"`
	// FragmentTimeout is how long fragments wait for the rest of their
	// datagram. Default 30s.
	FragmentTimeout time.Duration `yaml:"fragment_timeout"`
	// MaxFragmented is how many datagrams in fragments wait at once, per
	// worker; the oldest gives way. Each holds 64 KiB at most. Default 4096.
	MaxFragmented int `yaml:"max_fragmented"`
	// MaxFragmentBytes bounds the memory of all of them, per worker. Default
	// 67108864.
	MaxFragmentBytes int `yaml:"max_fragment_bytes"`
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

		VLANsInKey: true,
		Checksums:  ChecksumsCount,

		FragmentTimeout: 30 * time.Second,
		MaxFragmented:   4096,

		MaxFragmentBytes: 64 << 20,
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
		{"fragment_timeout", c.FragmentTimeout},
	} {
		if d.v < time.Millisecond || d.v > maxIdle {
			return fmt.Errorf("%s: %v: want 1ms to %v", d.key, d.v, maxIdle)
		}
	}
	switch c.Checksums {
	case ChecksumsCount, ChecksumsDrop, ChecksumsOff:
	default:
		return fmt.Errorf("checksums: %q: want count, drop or off", c.Checksums)
	}
	if c.MaxFragmented < 1 || c.MaxFragmented > 1<<20 {
		return fmt.Errorf("max_fragmented: %d: want 1 to %d", c.MaxFragmented, 1<<20)
	}
	if c.MaxFragmentBytes < maxDatagram || c.MaxFragmentBytes > 1<<40 {
		return fmt.Errorf("max_fragment_bytes: %d: want %d to %d", c.MaxFragmentBytes, maxDatagram, 1<<40)
	}
	return nil
}
