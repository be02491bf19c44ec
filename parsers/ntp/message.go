package ntp

import (
	"time"

	"flowscope/session"
)

// Message is what all modes but control and private have in common (RFC 5905
// section 7.3).
type Message struct {
	// Version is 1 to 4.
	Version uint8 `msgpack:"version"`
	// Leap is the leap indicator: 0 no warning, 1 the last minute of the day has
	// 61 seconds, 2 it has 59, 3 the clock is not synchronised.
	Leap uint8 `msgpack:"leap"`
	// Stratum is 0 unspecified or kiss-o'-death, 1 primary, 2 to 15 secondary,
	// 16 not synchronised.
	Stratum uint8 `msgpack:"stratum"`
	// Poll and Precision are logarithms to the base 2 of seconds.
	Poll      int8 `msgpack:"poll"`
	Precision int8 `msgpack:"precision"`
	// RootDelay and RootDispersion are in nanoseconds.
	RootDelay      int64 `msgpack:"root_delay_ns"`
	RootDispersion int64 `msgpack:"root_dispersion_ns"`
	// ReferenceID is text at strata 0 (kiss code) and 1, above an address in
	// dotted form (for IPv6 the beginning of a hash); 8 hex digits at strata 0
	// and 1 when it is no printable text; "" if it is zero there.
	ReferenceID string `msgpack:"reference_id,omitempty"`
	// The timestamps, each in 16 hex digits and as a time; "" and zero if the
	// timestamp is zero.
	ReferenceTimestamp string    `msgpack:"reference_timestamp,omitempty"`
	ReferenceTime      time.Time `msgpack:"reference_time,omitempty"`
	OriginTimestamp    string    `msgpack:"origin_timestamp,omitempty"`
	OriginTime         time.Time `msgpack:"origin_time,omitempty"`
	ReceiveTimestamp   string    `msgpack:"receive_timestamp,omitempty"`
	ReceiveTime        time.Time `msgpack:"receive_time,omitempty"`
	TransmitTimestamp  string    `msgpack:"transmit_timestamp,omitempty"`
	TransmitTime       time.Time `msgpack:"transmit_time,omitempty"`
	// Extensions lists the extension fields (RFC 7822).
	Extensions []Extension `msgpack:"extensions,omitempty"`
	// KeyID and MAC are the authenticator, the latter in hex digits; a key
	// without MAC is a crypto-NAK.
	KeyID *uint32 `msgpack:"key_id,omitempty"`
	MAC   string  `msgpack:"mac,omitempty"`
	// Size is the length of the message in bytes, as captured.
	Size int `msgpack:"size"`
}

// Extension is one extension field (RFC 7822 section 3).
type Extension struct {
	// Type is the field type.
	Type uint16 `msgpack:"type"`
	// Name is that of the type, "" if it has none.
	Name string `msgpack:"name,omitempty"`
	// Size is the length of the field in bytes, type and length included.
	Size int `msgpack:"size"`
}

// Reply is a message that may answer another.
type Reply struct {
	Message
	// RTT is the time since the request in nanoseconds; nil when it was not
	// seen, or time ran backwards.
	RTT *int64 `msgpack:"rtt_ns,omitempty"`
}

// The kinds by mode.
type (
	// Client is a request, mode 3.
	Client struct{ Message }
	// Server is a reply, mode 4.
	Server struct{ Reply }
	// SymmetricActive is a message of a peer, mode 1.
	SymmetricActive struct{ Reply }
	// SymmetricPassive is a message of a peer, mode 2.
	SymmetricPassive struct{ Reply }
	// Broadcast is a message of a server to all, mode 5.
	Broadcast struct{ Message }
	// Reserved is a message of mode 0: of NTPv1, or of nobody.
	Reserved struct{ Message }
)

// Control is a control message, mode 6 (RFC 9327 section 2).
type Control struct {
	// Version is 1 to 4.
	Version uint8 `msgpack:"version"`
	// Response, Error and More are the bits R, E and M.
	Response bool `msgpack:"response"`
	Error    bool `msgpack:"error"`
	More     bool `msgpack:"more"`
	// Opcode is read_status, read_variables …, else opcode<n>.
	Opcode string `msgpack:"opcode"`
	// Sequence matches responses with commands.
	Sequence uint16 `msgpack:"sequence"`
	// Status is the status word.
	Status uint16 `msgpack:"status"`
	// AssociationID is that of the peer, 0 for the system.
	AssociationID uint16 `msgpack:"association_id"`
	// Offset and Count are of this fragment of the data, in bytes.
	Offset uint16 `msgpack:"offset"`
	Count  uint16 `msgpack:"count"`
	// Data is the data as sent: mostly text, lists of name=value.
	Data string `msgpack:"data,omitempty"`
	// KeyID and MAC are as in Message.
	KeyID *uint32 `msgpack:"key_id,omitempty"`
	MAC   string  `msgpack:"mac,omitempty"`
	// RTT is the time from the command to the first response in nanoseconds;
	// nil when the command was not seen, or time ran backwards.
	RTT *int64 `msgpack:"rtt_ns,omitempty"`
	// Size is as in Message.
	Size int `msgpack:"size"`
}

// Private is a message of mode 7, which ntpd and xntpd use for ntpdc; its format
// is that of ntpd's ntp_request.h.
type Private struct {
	// Version is 1 to 4.
	Version uint8 `msgpack:"version"`
	// Response, More and Authenticated are the bits R, M and A.
	Response      bool `msgpack:"response"`
	More          bool `msgpack:"more"`
	Authenticated bool `msgpack:"authenticated"`
	// Sequence numbers the packets of a response.
	Sequence uint8 `msgpack:"sequence"`
	// Implementation is 2 or 3 for that of xntpd and ntpd.
	Implementation uint8 `msgpack:"implementation"`
	// RequestCode says what is asked for; 42 is monlist.
	RequestCode uint8 `msgpack:"request_code"`
	// Error is of responses, 0 is none.
	Error uint8 `msgpack:"error"`
	// Items and ItemSize are the number and the length in bytes of the items.
	Items    uint16 `msgpack:"items"`
	ItemSize uint16 `msgpack:"item_size"`
	// Size is as in Message.
	Size int `msgpack:"size"`
}

var (
	_ session.Message = (*Client)(nil)
	_ session.Message = (*Server)(nil)
	_ session.Message = (*SymmetricActive)(nil)
	_ session.Message = (*SymmetricPassive)(nil)
	_ session.Message = (*Broadcast)(nil)
	_ session.Message = (*Control)(nil)
	_ session.Message = (*Private)(nil)
	_ session.Message = (*Reserved)(nil)
)

// Kind implements session.Message.
func (*Client) Kind() string { return "client" }

// Kind implements session.Message.
func (*Server) Kind() string { return "server" }

// Kind implements session.Message.
func (*SymmetricActive) Kind() string { return "symmetric_active" }

// Kind implements session.Message.
func (*SymmetricPassive) Kind() string { return "symmetric_passive" }

// Kind implements session.Message.
func (*Broadcast) Kind() string { return "broadcast" }

// Kind implements session.Message.
func (*Control) Kind() string { return "control" }

// Kind implements session.Message.
func (*Private) Kind() string { return "private" }

// Kind implements session.Message.
func (*Reserved) Kind() string { return "reserved" }
