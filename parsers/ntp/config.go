package ntp

import (
	"fmt"
	"slices"
)

// Config holds the options of the NTP factory.
type Config struct {
	// Ports are the ports on which a plausible header is enough; on others
	// only an ordinary request or reply is taken for NTP. Default: 123.
	Ports []uint16 `yaml:"ports" comment:"Ports on which a plausible header is enough; on others only an ordinary request or reply is taken for NTP."`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config { return Config{Ports: []uint16{123}} }

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
	return nil
}
