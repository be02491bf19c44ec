package dns

import (
	"fmt"
	"time"
)

// Limits of the options.
const (
	maxUnansweredAfter = time.Minute
	maxMaxPending      = 16384
)

// Config holds the options of the DNS factory.
type Config struct {
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
	return Config{UnansweredAfter: 10 * time.Second, MaxPending: 1024}
}

// Validate says what is wrong with the options.
func (c *Config) Validate() error {
	if c.UnansweredAfter <= 0 || c.UnansweredAfter > maxUnansweredAfter {
		return fmt.Errorf("unanswered_after: want more than 0 and at most %v, got %v", maxUnansweredAfter, c.UnansweredAfter)
	}
	if c.MaxPending < 1 || c.MaxPending > maxMaxPending {
		return fmt.Errorf("max_pending: want 1 to %d, got %d", maxMaxPending, c.MaxPending)
	}
	return nil
}
