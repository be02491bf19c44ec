// Package input wraps the packet source of a replay: Watch notices packets of
// link types that cannot be decoded, Pace hands packets on at the speed at which
// they were captured.
//
// Packets go through as they are, bytes borrowed from the inner source as before.
// The wrappers are sources: one goroutine uses them. They drop nothing and change
// nothing in a packet.
package input
