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
	// SideIDs are identifiers that each side chooses for what it sends, as in
	// its first packet: the endpoint identifier of gtpu (TEID), the call of GRE
	// version 1, the session of erspan, the labels of mpls, outermost first.
	SideIDs [2][]uint32
}

// Quoted names the flow of the packet that an ICMP error quotes.
type Quoted struct {
	// ID is that flow's, if it was being tracked when the error came and the
	// error is from one of its ends; HasID says so.
	ID    ID
	HasID bool
	// CommunityID is that flow's, if the quotation reaches as far as its ports;
	// HasCommunityID says so.
	CommunityID    CommunityID
	HasCommunityID bool
	Transport      Transport
	// Src sent the quoted packet, Dst did not get it; ports as in Info.
	Src, Dst netip.AddrPort
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
	// Quoted is the flow that an ICMP error quotes: of an anomaly the one that
	// it is about, else the first; nil if there is none.
	Quoted *Quoted
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
	// BadChecksums counts datagrams whose checksum is wrong; they show in the
	// history.
	BadChecksums uint32
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
	// History is the packets of flows other than TCP as letters.
	History PackedHistory
}
