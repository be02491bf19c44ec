package tls

import (
	"fmt"
	"slices"
)

// Limits of the options.
const (
	minMaxMessage      = 1 << 10
	maxMaxMessage      = 1 << 20
	maxMaxCertificates = 256
)

// Config holds the options of the TLS factory.
type Config struct {
	// Ports are those on which TLS is tried first; content decides on all.
	// Default: 443, 465, 563, 636, 853, 989, 990, 992 to 995, 5061, 8443.
	Ports []uint16 `yaml:"ports" comment:"Ports on which TLS is tried first; content decides on all."`
	// MaxMessage is the size in bytes up to which handshake messages are read;
	// larger ones are passed over. Default: 131072.
	MaxMessage int `yaml:"max_message" comment:"Size in bytes up to which handshake messages are read, 1024 to 1048576; larger ones are passed over."`
	// MaxCertificates is how many certificates of a chain are published, 0 to
	// 256. Default: 16.
	MaxCertificates int `yaml:"max_certificates" comment:"Certificates of a chain that are published, at most 256."`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		Ports:           []uint16{443, 465, 563, 636, 853, 989, 990, 992, 993, 994, 995, 5061, 8443},
		MaxMessage:      128 << 10,
		MaxCertificates: 16,
	}
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
	if c.MaxMessage < minMaxMessage || c.MaxMessage > maxMaxMessage {
		return fmt.Errorf("max_message: want %d to %d, got %d", minMaxMessage, maxMaxMessage, c.MaxMessage)
	}
	if c.MaxCertificates < 0 || c.MaxCertificates > maxMaxCertificates {
		return fmt.Errorf("max_certificates: want 0 to %d, got %d", maxMaxCertificates, c.MaxCertificates)
	}
	return nil
}
