package ingest

import (
	"errors"
	"fmt"
	"log/slog"

	"golang.org/x/net/bpf"
)

// LiveConfig is what a Capture needs beside what users write.
type LiveConfig struct {
	Config
	// Workers is the number of sources, at least 1.
	Workers int
	// Filter returns the program that packets of a link type must pass, for frames
	// whose outer VLAN tag the kernel keeps beside them. nil lets everything pass.
	// It is asked once per interface, and again by Refilter.
	Filter func(LinkType) ([]bpf.RawInstruction, error)
	// Spread returns the program that gives the worker of a packet, for
	// PACKET_FANOUT_CBPF. It may be nil with one worker.
	Spread func(link LinkType, workers int) ([]bpf.RawInstruction, error)
	// Log takes what happens to interfaces; nil is silence.
	Log *slog.Logger
	// Changed is told what happens to interfaces, too; nil is nobody. It is called
	// by the goroutines of the workers, and must not wait nor call the Capture.
	Changed func(InterfaceChange)
}

// InterfaceChange says that packets of an interface can come from now on, or not
// any more.
type InterfaceChange struct {
	// Name is the interface as configured.
	Name string
	Up   bool
	// Detail is for people, to be read after the name: "was removed".
	Detail string
	// Unseen is how much had passed an interface that was made anew before it was
	// captured on, by its own count, see InterfaceStats.
	Unseen uint64
}

// InterfaceStats are the counters of one network interface.
type InterfaceStats struct {
	Name string
	// Received is what passed the filter, Dropped what of it found no room in
	// the rings.
	Received, Dropped uint64
	// Unseen is what passed interfaces that were made anew before they were captured
	// on: what they had received and sent by their own count, whatever the filter
	// would have said of it. It is not among Received.
	Unseen uint64
	// CardDropped and CardMissed are the interface's own counters since the
	// capture began: rx_dropped and rx_missed_errors. These packets never
	// reached a socket.
	CardDropped, CardMissed uint64
	// Up says that the interface is up.
	Up bool
}

// InterfaceGoneError says that an interface was removed, and that one that is made
// anew under its name cannot be captured on: it is another interface, which takes
// new sockets, and there are none.
type InterfaceGoneError struct {
	Name string
	// Spares is how often there were some: Config.SpareSockets.
	Spares int
	// Cause is why the last ones could not be used, nil if they were.
	Cause error
}

// Error names the interface and the key.
func (e *InterfaceGoneError) Error() string {
	const again = "start again to capture on one of that name"
	text := fmt.Sprintf("capture on %s: the interface was removed, and capture.spare_sockets is 0: %s", e.Name, again)
	if e.Spares > 0 {
		text = fmt.Sprintf("capture on %s: the interface was removed, and the spare sockets for %d times are used up (capture.spare_sockets): %s", e.Name, e.Spares, again)
	}
	if e.Cause != nil {
		text += ": " + e.Cause.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *InterfaceGoneError) Unwrap() error { return e.Cause }

// check refuses what cannot be opened.
func (c *LiveConfig) check() error {
	if err := c.Validate(); err != nil {
		return fmt.Errorf("capture: %w", err)
	}
	switch {
	case len(c.Interfaces) == 0:
		return errors.New("capture: no interface given")
	case c.Workers < 1 || c.Workers > MaxWorkers:
		return fmt.Errorf("capture: %d workers: want 1 to %d", c.Workers, MaxWorkers)
	case c.Workers > 1 && c.Spread == nil:
		return errors.New("capture: several workers and no way to divide packets over them")
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Changed == nil {
		c.Changed = func(InterfaceChange) {}
	}
	return nil
}

// MaxWorkers is how many sockets the kernel divides packets over.
const MaxWorkers = 256
