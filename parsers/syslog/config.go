package syslog

import (
	"fmt"
	"slices"
)

// Config holds the options of the syslog factory.
type Config struct {
	// Ports are the ports on which a priority is enough, and over UDP any text;
	// on others a message must have a time or the version of RFC 5424.
	// Default: 514, 601.
	Ports []uint16 `yaml:"ports" comment:"Ports on which a priority is enough, and over UDP any text; on others a message must begin in one of the two formats."`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config { return Config{Ports: []uint16{514, 601}} }

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
