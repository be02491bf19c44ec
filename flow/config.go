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
	// IdleOverrides are other time-outs for flows of a transport and port, either
	// side's, or of a whole transport: "tcp/22=1h", "udp=30s", "47=5m". Those of
	// TCP hold once a connection is established. Default none.
	IdleOverrides []string `yaml:"idle_overrides"`
	// TickInterval is the packet time between two periodic statistics of a
	// flow, counted from its first packet; 0 is none. Default 0.
	TickInterval time.Duration `yaml:"tick_interval"`
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
	// Reassembly is about the streams of TCP flows.
	Reassembly Reassembly `yaml:"reassembly"`
}

// The policies of Reassembly.Policy.
const (
	PolicyFirst = "first"
	PolicyLast  = "last"
)

// Reassembly sets the limits and time-outs of TCP streams.
type Reassembly struct {
	// Policy says whose bytes count where segments overlap that wait behind a
	// hole: first or last. Default first.
	Policy string `yaml:"policy"`
	// History is how many bytes per side that were handed up and not
	// acknowledged are kept, while somebody reads, to compare with what is
	// sent again; 0 is none. Default 16384.
	History int `yaml:"history"`
	// SideBytes bounds what waits behind holes per side; the oldest hole is
	// given up first. Default 1048576.
	SideBytes int `yaml:"side_bytes"`
	// TotalBytes bounds all that is kept of streams, over all workers: first
	// what is kept to compare with makes room, then the oldest hole. Default
	// 268435456.
	TotalBytes int `yaml:"total_bytes"`
	// AckedAfter is how long a hole is waited for that the other side has
	// acknowledged. Default 10ms.
	AckedAfter time.Duration `yaml:"acked_after"`
	// UnackedAfter is how long any other hole is waited for. Default 10s.
	UnackedAfter time.Duration `yaml:"unacked_after"`
	// OneWayAfter takes its place while nothing is seen of the other side.
	// Default 1s.
	OneWayAfter time.Duration `yaml:"one_way_after"`
}

// minSideBytes has room for one segment of any size.
const minSideBytes = 128 << 10

// Validate names the first value that is out of range, by its configuration key.
func (r *Reassembly) Validate() error {
	switch {
	case r.Policy != PolicyFirst && r.Policy != PolicyLast:
		return fmt.Errorf("policy: %q: want first or last", r.Policy)
	case r.History < 0 || r.History > 1<<20:
		return fmt.Errorf("history: %d: want 0 to %d", r.History, 1<<20)
	case r.SideBytes < minSideBytes || r.SideBytes > maxAhead/2:
		return fmt.Errorf("side_bytes: %d: want %d to %d", r.SideBytes, minSideBytes, maxAhead/2)
	case r.TotalBytes < minSideBytes || r.TotalBytes > 1<<40:
		return fmt.Errorf("total_bytes: %d: want %d to %d", r.TotalBytes, minSideBytes, 1<<40)
	}
	for _, d := range []struct {
		key string
		v   time.Duration
	}{
		{"acked_after", r.AckedAfter},
		{"unacked_after", r.UnackedAfter},
		{"one_way_after", r.OneWayAfter},
	} {
		if d.v < time.Millisecond || d.v > time.Hour {
			return fmt.Errorf("%s: %v: want 1ms to 1h", d.key, d.v)
		}
	}
	return nil
}

// Share returns the limits of one of so many workers.
func (c Config) Share(workers int) Config {
	c.MaxFlows = max(1, c.MaxFlows/workers)
	c.Reassembly.TotalBytes = max(minSideBytes, c.Reassembly.TotalBytes/workers)
	return c
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

		Reassembly: Reassembly{
			Policy:       PolicyFirst,
			History:      16 << 10,
			SideBytes:    1 << 20,
			TotalBytes:   256 << 20,
			AckedAfter:   10 * time.Millisecond,
			UnackedAfter: 10 * time.Second,
			OneWayAfter:  time.Second,
		},
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
	if err := checkIdleOverrides(c.IdleOverrides); err != nil {
		return fmt.Errorf("idle_overrides: %w", err)
	}
	if c.TickInterval != 0 && (c.TickInterval < time.Second || c.TickInterval > maxIdle) {
		return fmt.Errorf("tick_interval: %v: want 0 or 1s to %v", c.TickInterval, maxIdle)
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
	if err := c.Reassembly.Validate(); err != nil {
		return fmt.Errorf("reassembly.%w", err)
	}
	return nil
}
