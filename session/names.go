package session

import (
	"flowscope/flow"
	"flowscope/ingest"
)

// The words of the stages below that parsers use, so that a parser imports this
// package alone.
type (
	// Side is one end of a flow: Initiator or Responder.
	Side = flow.Side
	// Transport is an IP protocol number.
	Transport = flow.Transport
	// Timestamp is nanoseconds since the Unix epoch.
	Timestamp = ingest.Timestamp
	// Reason says why a flow ended.
	Reason = flow.Reason
)

// Sides, transports and reasons, as in package flow.
const (
	Initiator = flow.Initiator
	Responder = flow.Responder

	ICMP   = flow.ICMP
	TCP    = flow.TCP
	UDP    = flow.UDP
	ICMPv6 = flow.ICMPv6
	SCTP   = flow.SCTP

	Fin        = flow.Fin
	Rst        = flow.Rst
	Idle       = flow.Idle
	Evicted    = flow.Evicted
	Reused     = flow.Reused
	EndOfInput = flow.EndOfInput
	Shutdown   = flow.Shutdown
)
