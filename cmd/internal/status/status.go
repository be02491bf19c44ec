// Package status is what a running sensor tells of itself: one value, taken at
// one moment, from which the HTTP endpoints, the NATS service and the terminal
// view all read.
//
// The package takes no measurements and opens nothing: whoever assembles a sensor
// fills a Status. It is plain data, and JSON.
package status

import (
	"time"

	"flowscope/publish"
)

// Status is a sensor at one moment. All counts are since its start.
type Status struct {
	Sensor  string    `json:"sensor"`
	Run     string    `json:"run"`
	Version string    `json:"version"`
	Time    time.Time `json:"time"`
	Started time.Time `json:"started"`
	// State is one of starting, capturing, shedding, stopping.
	State string `json:"state"`
	// Ready says that packets are read and events can be delivered; Trouble says
	// why not, or what else is wrong, "" if nothing is.
	Ready   bool   `json:"ready"`
	Trouble string `json:"trouble,omitempty"`

	Ledger *publish.Ledger `json:"ledger"`
	// Subjects are all that events may have; the ledger counts those that had some.
	Subjects []string `json:"-"`
	Workers  []Worker `json:"workers,omitempty"`
	// Interfaces are those captured from.
	Interfaces []Interface `json:"interfaces,omitempty"`
	Queue      Queue       `json:"queue"`
	// Protocols are the parsers' accounts, by name.
	Protocols  map[string]Protocol `json:"protocols,omitempty"`
	Goroutines int                 `json:"goroutines"`
	HeapBytes  uint64              `json:"heap_bytes"`
}

// Worker is the account of one worker.
type Worker struct {
	Packets     uint64 `json:"packets"`
	Dropped     uint64 `json:"dropped"`
	WrongWorker uint64 `json:"wrong_worker,omitempty"`
	FlowsActive uint64 `json:"flows_active"`
	Events      uint64 `json:"events"`
}

// Interface is the account of one network interface.
type Interface struct {
	Name string `json:"name"`
	// Received are the kernel's packets, Dropped those of them that found no
	// room in a ring.
	Received uint64 `json:"received"`
	Dropped  uint64 `json:"dropped"`
	// Unseen passed the interface when it was made anew, before it was captured on.
	Unseen uint64 `json:"unseen"`
	// RxDropped and RxMissed are the interface's own counters since the start.
	RxDropped uint64 `json:"rx_dropped"`
	RxMissed  uint64 `json:"rx_missed"`
}

// Queue is what waits between the workers and the broker.
type Queue struct {
	Bytes    uint64 `json:"bytes"`
	MaxBytes uint64 `json:"max_bytes"`
	// InFlight are messages that are sent and not acknowledged.
	InFlight uint64 `json:"in_flight"`
}

// Protocol is the account of one protocol's parsers.
type Protocol struct {
	Messages uint64 `json:"messages"`
	Errors   uint64 `json:"errors"`
	Gaps     uint64 `json:"gaps"`
	Bytes    uint64 `json:"bytes"`
}
