// Package input wraps the packet source of a replay: Watch notices packets of
// link types that cannot be decoded, Filter leaves out what does not pass an
// expression, Pace hands packets on at the speed at which
// they were captured.
//
// Packets go through as they are, bytes borrowed from the inner source as before.
// The wrappers are sources: one goroutine uses them. They change nothing in a
// packet, and count what they leave out.
package input
