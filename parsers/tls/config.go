package tls

import (
	"fmt"
)

// Limits of the options.
const (
	minMaxMessage      = 1 << 10
	maxMaxMessage      = 1 << 20
	maxMaxCertificates = 256
)

// Config holds the options of the TLS factory.
type Config struct {
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
		MaxMessage:      128 << 10,
		MaxCertificates: 16,
	}
}

// Validate says what is wrong with the options.
func (c *Config) Validate() error {
	if c.MaxMessage < minMaxMessage || c.MaxMessage > maxMaxMessage {
		return fmt.Errorf("max_message: want %d to %d, got %d", minMaxMessage, maxMaxMessage, c.MaxMessage)
	}
	if c.MaxCertificates < 0 || c.MaxCertificates > maxMaxCertificates {
		return fmt.Errorf("max_certificates: want 0 to %d, got %d", maxMaxCertificates, c.MaxCertificates)
	}
	return nil
}
