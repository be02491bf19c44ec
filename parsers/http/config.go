package http

import (
	"fmt"
	"strings"
)

// Limits of the options.
const (
	minHeadBytes   = 1 << 10
	maxHeadBytes   = 1 << 18
	maxHeaders     = 4096
	maxPendingMost = 16384
	maxBodyBytes   = 1 << 19
	minMemory      = 1 << 20
)

// Config holds the options of the HTTP factory.
type Config struct {
	// MaxHeadBytes is how much of a message's head is read, in bytes; of the rest
	// only the framing counts. Default: 65536.
	MaxHeadBytes int `yaml:"max_head_bytes" comment:"How much of a message's head is published, in bytes; beyond that only its framing is read."`
	// MaxHeaders is how many header fields of a message are published. Default: 256.
	MaxHeaders int `yaml:"max_headers" comment:"How many header fields of a message are published; beyond that only its framing is read."`
	// MaxPending is how many requests of a connection may wait for their
	// responses and be paired with them. Default: 256.
	MaxPending int `yaml:"max_pending" comment:"Requests of one connection that may wait for their response; the responses to more come out unpaired."`
	// MaxMemory bounds what one worker keeps of heads and bodies that wait for
	// their end, in bytes. Default: 256 MiB.
	MaxMemory int `yaml:"max_memory" comment:"Memory per worker for heads and bodies of messages that have not ended, in bytes; what does not fit is cut off."`
	// BodyBytes is how much of each body is published, in bytes; 0 is nothing.
	BodyBytes int `yaml:"body_bytes" comment:"How much of each body is published, in bytes, at most 524288; 0 is nothing."`
	// DecodeBodies says that bodies in gzip or deflate are published unpacked, up
	// to BodyBytes. Default: false.
	DecodeBodies bool `yaml:"decode_bodies" comment:"Publish bodies in gzip or deflate unpacked; body_bytes bounds both forms."`
	// Secrets names fields that are published as they are: authorization,
	// proxy-authorization, cookie, set-cookie. Default: none.
	Secrets []string `yaml:"secrets" comment:"Fields that are published as they are, not as [redacted]: authorization, proxy-authorization, cookie, set-cookie."`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		MaxHeadBytes: 1 << 16,
		MaxHeaders:   256,
		MaxPending:   256,
		MaxMemory:    256 << 20,
		Secrets:      []string{},
	}
}

// Validate says what is wrong with the options.
func (c *Config) Validate() error {
	for _, s := range c.Secrets {
		if secretNames[strings.ToLower(s)] == 0 {
			return fmt.Errorf("secrets: %q is none of authorization, proxy-authorization, cookie, set-cookie", s)
		}
	}
	return cmpRanges(
		limit{"max_head_bytes", c.MaxHeadBytes, minHeadBytes, maxHeadBytes},
		limit{"max_headers", c.MaxHeaders, 1, maxHeaders},
		limit{"max_pending", c.MaxPending, 1, maxPendingMost},
		limit{"max_memory", c.MaxMemory, minMemory, 1 << 40},
		limit{"body_bytes", c.BodyBytes, 0, maxBodyBytes},
	)
}

type limit struct {
	key             string
	value, min, max int
}

func cmpRanges(limits ...limit) error {
	for _, l := range limits {
		if l.value < l.min || l.value > l.max {
			return fmt.Errorf("%s: want %d to %d, got %d", l.key, l.min, l.max, l.value)
		}
	}
	return nil
}
