package flow

import (
	"encoding/base64"
	"encoding/hex"
	"net/netip"

	"flowscope/ingest"
)

// ID identifies a flow: the first 16 bytes of a SHA-256 over the sensor's name,
// the normalised key, the time of the first packet and a count, see newID.
type ID [16]byte

// String returns 32 hex digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// CommunityID is the digest of a Community ID, version 1
// (github.com/corelight/community-id-spec).
type CommunityID [20]byte

// String returns the published form: "1:" and base64.
func (c CommunityID) String() string {
	return "1:" + base64.StdEncoding.EncodeToString(c[:])
}

// Tunnel is one layer of encapsulation around a flow, outermost first.
type Tunnel struct {
	// Type is gre, vxlan, geneve, gtpu …
	Type string
	// ID is the layer's identifier that belongs to the key (VNI, VSID, key), 0
	// where the type has none.
	ID uint64
}

// Info is what an event says of its flow.
type Info struct {
	ID          ID
	CommunityID CommunityID
	// HasCommunityID is false in decoded events that carry none.
	HasCommunityID bool
	Transport      Transport
	// Src is the initiator, Dst the responder. For ICMP the ports are type and
	// code, as in the Community ID specification.
	Src, Dst netip.AddrPort
	VLANs    []uint16
	Tunnels  []Tunnel
	// Source is the capture file or network interface of the first packet.
	Source string

	vlans [maxPackedVLANs]uint16 // what VLANs points to in the common case
}

// InitiatorBy says how the initiator was found.
type InitiatorBy uint8

// The ways, as in stats.initiator_by.
const (
	ByFirstSeen InitiatorBy = iota
	BySyn
	BySynAck
)

// String returns first_seen, syn or synack.
func (i InitiatorBy) String() string {
	switch i {
	case BySyn:
		return "syn"
	case BySynAck:
		return "synack"
	default:
		return "first_seen"
	}
}

// SideStats counts what one side sent.
type SideStats struct {
	Packets uint64
	// Bytes counts frames at their length on the wire, without frame check
	// sequence; IPBytes from the IP header on; PayloadBytes the payload of the
	// transport.
	Bytes, IPBytes, PayloadBytes uint64
	// Last is the time of the latest packet, 0 if there was none.
	Last ingest.Timestamp
	// TCPFlags is the union of all TCP flags seen (RFC 9293 section 3.1, low
	// eight bits).
	TCPFlags uint8
}

// Stats is a flow's account. It holds no pointers.
type Stats struct {
	// First is the time of the first packet, Last the highest of all packets.
	First, Last ingest.Timestamp
	// Sides is indexed by Side.
	Sides [2]SideStats
	// InitiatorBy says how the initiator was found.
	InitiatorBy InitiatorBy
	// Midstream says that a TCP flow was not seen from its SYN on.
	Midstream bool
}
