package flow

import "strconv"

// Side is one end of a flow.
type Side uint8

// The two sides. The initiator is the sender of a SYN, the receiver of a
// SYN+ACK seen first, else the sender of the flow's first packet.
const (
	Initiator Side = iota
	Responder
)

// Opposite returns the other side.
func (s Side) Opposite() Side { return s ^ 1 }

// String returns "initiator" or "responder".
func (s Side) String() string {
	if s == Initiator {
		return "initiator"
	}
	return "responder"
}

// Transport is an IP protocol number (IANA "Assigned Internet Protocol Numbers").
type Transport uint8

// The transports with a name of their own in events.
const (
	ICMP   Transport = 1
	TCP    Transport = 6
	UDP    Transport = 17
	ICMPv6 Transport = 58
	SCTP   Transport = 132
)

// String returns tcp, udp, icmp, icmp6 or sctp, else the number.
func (t Transport) String() string {
	switch t {
	case ICMP:
		return "icmp"
	case TCP:
		return "tcp"
	case UDP:
		return "udp"
	case ICMPv6:
		return "icmp6"
	case SCTP:
		return "sctp"
	default:
		return strconv.Itoa(int(t))
	}
}

// Reason says why a flow ended.
type Reason uint8

// The reasons, as in closed.reason.
const (
	Fin        Reason = iota // both sides finished, or one did and the tail passed
	Rst                      // reset
	Idle                     // nothing seen for the idle time-out
	Evicted                  // the table was full and this flow the least recently used
	Reused                   // a new connection took the same five-tuple
	EndOfInput               // the input ended or began anew
	Shutdown                 // the sensor was stopped
	numReasons
)

var reasonNames = [numReasons]string{"fin", "rst", "idle", "evicted", "reused", "end_of_input", "shutdown"}

// String returns the reason as it stands in events.
func (r Reason) String() string {
	if r < numReasons {
		return reasonNames[r]
	}
	return "unknown"
}

// Reasons returns the names of all reasons in the order of their values.
func Reasons() []string { return reasonNames[:] }
