package snmp

import (
	"fmt"
	"slices"
)

// Config holds the options of the SNMP factory.
type Config struct {
	// Ports are the ports on which a plausible beginning is enough; on others
	// the message must be whole. Default: 161, 162.
	Ports []uint16 `yaml:"ports" comment:"Ports on which a plausible beginning is enough; on others the message must be whole."`
	// Communities says whether community strings are published; otherwise they
	// are replaced by "[redacted]". Default: false.
	Communities bool `yaml:"communities" comment:"Publish community strings, which are passwords; otherwise they are replaced by [redacted]."`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config { return Config{Ports: []uint16{161, 162}} }

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
