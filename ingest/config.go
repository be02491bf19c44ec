package ingest

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// Config is what users write under capture.
type Config struct {
	// Interfaces are the network interfaces to capture on. Default none: they
	// must be given to capture live.
	Interfaces []string `yaml:"interfaces"`
	// Filter is an expression of the pcap filter language, checked by package
	// filter. Default "": everything passes.
	Filter string `yaml:"filter"`
	// Promiscuous takes frames for other machines too. Default true.
	Promiscuous bool `yaml:"promiscuous"`
	// Snaplen is the largest part of a frame that is captured, in bytes. Default
	// 262144.
	Snaplen int `yaml:"snaplen"`
	// RingBytes is the memory that one ring shares with the kernel, in bytes;
	// each worker has one ring per interface. Default 33554432.
	RingBytes int `yaml:"ring_bytes"`
	// BlockBytes is the part of a ring that the kernel hands over at once, in
	// bytes, a multiple of the page size that has room for a frame of Snaplen bytes.
	// Default 1048576.
	BlockBytes int `yaml:"block_bytes"`
	// BlockTimeout is how long the kernel waits for a block to be full. It
	// delays packets that much at most. Default 20ms.
	BlockTimeout time.Duration `yaml:"block_timeout"`
	// Timestamps is "kernel", or "hardware": those of the network card where it
	// has them, which needs CAP_NET_ADMIN. Default kernel.
	Timestamps string `yaml:"timestamps"`
	// PinWorkers ties worker N to the Nth of the processors that the process may
	// use, counted round. Default false.
	PinWorkers bool `yaml:"pin_workers"`
	// SpareSockets is how often each interface may be removed and made again, under
	// a new index, before the capture ends. So many sockets per worker are opened
	// beforehand, without rings. Default 4; with 0 it ends at once.
	SpareSockets int `yaml:"spare_sockets"`
	// OwnTraffic captures the connection to the NATS servers as well. Default
	// false.
	OwnTraffic bool `yaml:"own_traffic"`
}

// The values of Config.Timestamps.
const (
	TimestampsKernel   = "kernel"
	TimestampsHardware = "hardware"
)

// blockHeadroom is room in a block for its own header, the packet's, and what the
// kernel reserves before the frame (packet(7), TPACKET_V3): well above it.
const blockHeadroom = 512

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		Promiscuous: true, Snaplen: 256 << 10,
		RingBytes: 32 << 20, BlockBytes: 1 << 20, BlockTimeout: 20 * time.Millisecond,
		Timestamps: TimestampsKernel, SpareSockets: 4,
	}
}

// maxInterfaceName is IFNAMSIZ less the final 0.
const maxInterfaceName = 15

// Validate returns everything that is wrong, each with its key. The filter is
// checked by whoever can compile it.
func (c Config) Validate() error {
	var errs []error
	bad := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	page := os.Getpagesize()
	for i, name := range c.Interfaces {
		bad(name == "" || len(name) > maxInterfaceName || strings.ContainsAny(name, "/ \t\n"),
			"interfaces: %q: want the name of a network interface", name)
		bad(slices.Contains(c.Interfaces[:i], name), "interfaces: %q is there twice", name)
	}
	bad(c.Snaplen < 64 || c.Snaplen > 1<<20, "snaplen: %d: want 64 to 1048576", c.Snaplen)
	bad(c.BlockBytes < page || c.BlockBytes > 64<<20 || c.BlockBytes%page != 0,
		"block_bytes: %d: want a multiple of %d up to 67108864", c.BlockBytes, page)
	bad(c.Snaplen <= 1<<20 && c.BlockBytes < c.Snaplen+blockHeadroom,
		"block_bytes: %d: want at least the snaplen (%d) and %d more: what does not fit in a block would be cut off", c.BlockBytes, c.Snaplen, blockHeadroom)
	bad(c.RingBytes < 2*c.BlockBytes || c.RingBytes > 1<<31-1, "ring_bytes: %d: want at least two blocks, and less than 2147483648", c.RingBytes)
	bad(c.BlockTimeout < time.Millisecond || c.BlockTimeout > time.Second, "block_timeout: %v: want 1ms to 1s", c.BlockTimeout)
	bad(c.SpareSockets < 0 || c.SpareSockets > 100, "spare_sockets: %d: want 0 to 100", c.SpareSockets)
	bad(c.Timestamps != TimestampsKernel && c.Timestamps != TimestampsHardware, "timestamps: %q: want kernel or hardware", c.Timestamps)
	return errors.Join(errs...)
}
