package snmp

import "flowscope/session"

// Header is what all messages have in common.
type Header struct {
	// Version is "1", "2c" or "3".
	Version string `msgpack:"version"`
	// Community is the community string of versions 1 and 2c, "[redacted]"
	// unless the options say otherwise.
	Community string `msgpack:"community,omitempty"`
	// MessageID matches responses with requests (RFC 3412 section 6.2); nil
	// before version 3, as are the others down to ContextEngineID.
	MessageID *int32 `msgpack:"message_id,omitempty"`
	// SecurityLevel is noAuthNoPriv, authNoPriv or authPriv (RFC 3411 section
	// 3.4.3).
	SecurityLevel string `msgpack:"security_level,omitempty"`
	// Reportable says that a report is welcome.
	Reportable bool `msgpack:"reportable,omitempty"`
	// SecurityModel is 3 for the user-based one, of which alone the following
	// are known.
	SecurityModel int32 `msgpack:"security_model,omitempty"`
	// EngineID is the authoritative engine in hex digits, EngineBoots and
	// EngineTime (in seconds) its clock (RFC 3414 section 2.2).
	EngineID    string `msgpack:"engine_id,omitempty"`
	EngineBoots *int32 `msgpack:"engine_boots,omitempty"`
	EngineTime  *int32 `msgpack:"engine_time,omitempty"`
	// User is the user name.
	User string `msgpack:"user,omitempty"`
	// ContextEngineID is in hex digits, Context the context name (RFC 3412
	// section 6.8).
	ContextEngineID string `msgpack:"context_engine_id,omitempty"`
	Context         string `msgpack:"context,omitempty"`
	// Size is the length of the message in bytes, as captured.
	Size int `msgpack:"size"`
}

// Message is a message with a PDU (RFC 3416 section 3).
type Message struct {
	Header
	// RequestID matches responses with requests; nil for traps of version 1.
	RequestID *int32 `msgpack:"request_id,omitempty"`
	// ErrorStatus is noError, tooBig …, else the number; "" for noError in other
	// PDUs than responses and reports.
	ErrorStatus string `msgpack:"error_status,omitempty"`
	// ErrorIndex is the variable in error, counted from 1; 0 is none.
	ErrorIndex int32 `msgpack:"error_index,omitempty"`
	// Varbinds are the variables.
	Varbinds []Varbind `msgpack:"varbinds,omitempty"`
}

// Varbind is one variable.
type Varbind struct {
	// OID is its name in dotted decimal, "" if that is malformed.
	OID string `msgpack:"oid,omitempty"`
	// Type is Integer32, OctetString, Null, ObjectIdentifier, IpAddress,
	// Counter32, Gauge32, TimeTicks, Opaque, NsapAddress, Counter64, UInteger32,
	// noSuchObject, noSuchInstance, endOfMibView, else the tag in two hex digits.
	Type string `msgpack:"type"`
	// Value is an int64 or uint64 for numbers; a string for OctetString, for
	// ObjectIdentifier and IpAddress in dotted decimal; a []byte for Opaque,
	// NsapAddress and tags without a name; nil where there is none or it is
	// malformed. Decoded, numbers may be of any integer type.
	Value any `msgpack:"value,omitempty"`
}

// Reply is a message that may answer another.
type Reply struct {
	Message
	// RTT is the time since the request in nanoseconds; nil when it was not
	// seen, or time ran backwards.
	RTT *int64 `msgpack:"rtt_ns,omitempty"`
}

// The kinds by PDU.
type (
	// Get asks for variables.
	Get struct{ Message }
	// GetNext asks for those that follow.
	GetNext struct{ Message }
	// Set changes variables.
	Set struct{ Message }
	// Response answers any of these, and informs.
	Response struct{ Reply }
	// Inform is a notification that wants a response.
	Inform struct{ Message }
	// Report is between engines of version 3.
	Report struct{ Reply }
)

// GetBulk asks for many variables at once (RFC 3416 section 4.2.3).
type GetBulk struct {
	Message
	// NonRepeaters is for how many variables only one successor is wanted.
	NonRepeaters int32 `msgpack:"non_repeaters"`
	// MaxRepetitions is how many are wanted of the others.
	MaxRepetitions int32 `msgpack:"max_repetitions"`
}

// Trap is a notification, of version 1 (RFC 1157 section 4.1.6) or later.
type Trap struct {
	Message
	// Enterprise is the kind of object that sends the trap; "" after version 1,
	// as are the others.
	Enterprise string `msgpack:"enterprise,omitempty"`
	// AgentAddress is the object's address.
	AgentAddress string `msgpack:"agent_address,omitempty"`
	// GenericTrap is coldStart, warmStart, linkDown, linkUp,
	// authenticationFailure, egpNeighborLoss, enterpriseSpecific, else the
	// number.
	GenericTrap string `msgpack:"generic_trap,omitempty"`
	// SpecificTrap is the enterprise's code.
	SpecificTrap *int32 `msgpack:"specific_trap,omitempty"`
	// Uptime is the time since the agent started, in hundredths of a second.
	Uptime *uint32 `msgpack:"uptime_ticks,omitempty"`
}

// Encrypted is a message of version 3 whose PDU is encrypted.
type Encrypted struct {
	Header
	// EncryptedSize is the length of the encrypted part in bytes.
	EncryptedSize int `msgpack:"encrypted_size"`
	// RTT is the time since the message of the opposite side with the same
	// message id in nanoseconds; nil when there was none: then this is a
	// request, or its request was not seen.
	RTT *int64 `msgpack:"rtt_ns,omitempty"`
}

var (
	_ session.Message = (*Get)(nil)
	_ session.Message = (*GetNext)(nil)
	_ session.Message = (*GetBulk)(nil)
	_ session.Message = (*Set)(nil)
	_ session.Message = (*Response)(nil)
	_ session.Message = (*Trap)(nil)
	_ session.Message = (*Inform)(nil)
	_ session.Message = (*Report)(nil)
	_ session.Message = (*Encrypted)(nil)
)

// Kind implements session.Message.
func (*Get) Kind() string { return "get" }

// Kind implements session.Message.
func (*GetNext) Kind() string { return "get_next" }

// Kind implements session.Message.
func (*GetBulk) Kind() string { return "get_bulk" }

// Kind implements session.Message.
func (*Set) Kind() string { return "set" }

// Kind implements session.Message.
func (*Response) Kind() string { return "response" }

// Kind implements session.Message.
func (*Trap) Kind() string { return "trap" }

// Kind implements session.Message.
func (*Inform) Kind() string { return "inform" }

// Kind implements session.Message.
func (*Report) Kind() string { return "report" }

// Kind implements session.Message.
func (*Encrypted) Kind() string { return "encrypted" }
