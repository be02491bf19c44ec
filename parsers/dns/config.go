package dns

import (
	"fmt"
	"slices"
	"time"
)

// Limits of the options.
const (
	maxUnansweredAfter = time.Minute
	maxMaxPending      = 16384
)

// Config holds the options of the DNS factory.
type Config struct {
	// Ports are the ports on which a damaged message is still taken for DNS;
	// on others it must be flawless. Default: 53.
	Ports []uint16 `yaml:"ports" comment:"Ports on which a damaged message is still taken for DNS; on others it must be flawless."`
	// UnansweredAfter is how long after its first query a transaction is
	// reported as unanswered, at most one minute. Default: 10s.
	UnansweredAfter time.Duration `yaml:"unanswered_after" comment:"How long after its first query a transaction is reported as unanswered, at most 1m."`
	// MaxPending is how many queries of one flow may wait for their answer, at
	// most 16384; with one more, the oldest is reported as unanswered at once.
	// Default: 1024.
	MaxPending int `yaml:"max_pending" comment:"Queries of one flow that may wait for their answer, at most 16384; with one more, the oldest is reported as unanswered."`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{Ports: []uint16{53}, UnansweredAfter: 10 * time.Second, MaxPending: 1024}
}

// Validate says what is wrong with the options.
func (c *Config) Validate() error {
	if len(c.Ports) == 0 {
		return fmt.Errorf("ports: want at least one")
	}
	for i, p := range c.Ports {
		if p == 0 {
			return fmt.Errorf("ports: want 1 to 65535, got 0")
		}
		if slices.Contains(c.Ports[:i], p) {
			return fmt.Errorf("ports: %d is listed twice", p)
		}
	}
	if c.UnansweredAfter <= 0 || c.UnansweredAfter > maxUnansweredAfter {
		return fmt.Errorf("unanswered_after: want more than 0 and at most %v, got %v", maxUnansweredAfter, c.UnansweredAfter)
	}
	if c.MaxPending < 1 || c.MaxPending > maxMaxPending {
		return fmt.Errorf("max_pending: want 1 to %d, got %d", maxMaxPending, c.MaxPending)
	}
	return nil
}
