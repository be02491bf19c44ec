package flow

import "slices"

// Outcome says what became of a packet in decoding.
type Outcome uint8

// The outcomes. Handled packets belong to a flow that is followed; the others are
// counted.
const (
	Handled Outcome = iota
	NotIP
	FragmentHeld
	ShedPacket // of a flow that is not followed, see Table.Shed
	// From here on the packet is undecodable, by reason.
	UnknownLinkType
	ShortLink
	ShortIP
	BadIPHeader
	BadIPLength
	ShortTransport
	BadTransport
	BadChecksum // and the configuration says to drop such
	TooDeep
	BadFragment      // cannot belong to any datagram
	FragmentConflict // overlaps another with different bytes
	FragmentTimeout  // its datagram was not complete in time
	FragmentCap      // its datagram gave way to younger ones
	numOutcomes
)

// firstUndecodable is the first outcome that counts as undecodable.
const firstUndecodable = UnknownLinkType

var outcomeNames = [numOutcomes]string{
	"handled", "not_ip", "fragment_held", "shed",
	"link_type", "short_link_header", "short_ip_header", "bad_ip_header", "bad_ip_length",
	"short_transport_header", "bad_transport_header", "bad_checksum", "too_deep",
	"bad_fragment", "fragment_conflict", "fragment_timeout", "fragment_cap",
}

// UndecodableReasons returns the names of all outcomes that count as undecodable.
func UndecodableReasons() []string { return slices.Clone(outcomeNames[firstUndecodable:]) }

// String returns the outcome as it stands in the ledger.
func (o Outcome) String() string {
	if o < numOutcomes {
		return outcomeNames[o]
	}
	return "unknown"
}
