// Package session turns flows into typed events: it finds out which protocol a
// flow speaks, runs a parser of that protocol's factory on it, and hands every
// message, anomaly, beginning and end to a sink as a SessionEvent.
//
// In come the events of package flow (Driver is a flow.Handler); out go
// SessionEvents to a Sink, per flow in the order started, messages and anomalies
// and parser_closed, closed. All bytes and events are borrowed until the call
// returns: the sink encodes an event before it returns, a parser copies what it
// keeps. One goroutine per worker calls the Driver and through it parsers and
// sink; only Driver.Stats may be called from others. Factories and the Registry
// are immutable and shared.
//
// The package knows no transport headers, no clock but the packets', no output
// format, and no protocol: those are in parsers/<name>, listed in package
// parsers or in somebody's own main.
package session
