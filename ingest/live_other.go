//go:build !linux

package ingest

import (
	"errors"

	"golang.org/x/net/bpf"
)

// Capture captures live; on this system there is none.
type Capture struct{}

// OpenLive fails: live capture needs AF_PACKET, which is Linux's.
func OpenLive(cfg LiveConfig) (*Capture, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	return nil, errors.New("capture: live capture is available on Linux only")
}

// Sources returns nothing.
func (*Capture) Sources() []Source { return nil }

// Refilter does nothing.
func (*Capture) Refilter(func(LinkType) ([]bpf.RawInstruction, error)) error { return nil }

// Interfaces returns nothing.
func (*Capture) Interfaces() []InterfaceStats { return nil }

// Close does nothing.
func (*Capture) Close() error { return nil }
