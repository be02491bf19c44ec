package dns

import "flowscope/session"

// Message is what queries and responses have in common (RFC 1035 section 4.1).
type Message struct {
	// ID is the identifier that the querier chose.
	ID uint16 `msgpack:"id"`
	// Opcode is QUERY, IQUERY, STATUS, NOTIFY, UPDATE or DSO, else OPCODE<n>.
	Opcode string `msgpack:"opcode"`
	// Rcode is the mnemonic of the response code, extended by EDNS, else
	// RCODE<n>. Queries have none unless it is not zero.
	Rcode string `msgpack:"rcode,omitempty"`
	// The flags of the header: authoritative answer, truncation, recursion
	// desired, recursion available, the reserved bit, authentic data and
	// checking disabled (RFC 4035 section 3). In LLMNR AA is C and RD is T.
	AA bool `msgpack:"aa"`
	TC bool `msgpack:"tc"`
	RD bool `msgpack:"rd"`
	RA bool `msgpack:"ra"`
	Z  bool `msgpack:"z"`
	AD bool `msgpack:"ad"`
	CD bool `msgpack:"cd"`
	// Questions is the question section; of an UPDATE, the zone section.
	Questions []Question `msgpack:"questions,omitempty"`
	// Answers, Authorities and Additionals are the record sections; of an
	// UPDATE, prerequisites, updates and additional data. The OPT record is
	// in EDNS instead.
	Answers     []Record `msgpack:"answers,omitempty"`
	Authorities []Record `msgpack:"authorities,omitempty"`
	Additionals []Record `msgpack:"additionals,omitempty"`
	// EDNS is nil when the message has no OPT record.
	EDNS *EDNS `msgpack:"edns,omitempty"`
	// Size is the length of the message in bytes, as captured.
	Size int `msgpack:"size"`
}

// Question is one entry of the question section.
type Question struct {
	// Name is in presentation format.
	Name string `msgpack:"name"`
	// Type is the mnemonic, else TYPE<n>.
	Type string `msgpack:"type"`
	// Class is the mnemonic, else CLASS<n>.
	Class string `msgpack:"class"`
	// UnicastResponse is the QU bit of mDNS (RFC 6762 section 5.4).
	UnicastResponse bool `msgpack:"unicast_response,omitempty"`
}

// Record is one resource record.
type Record struct {
	// Name, Type and Class are as in Question.
	Name  string `msgpack:"name"`
	Type  string `msgpack:"type"`
	Class string `msgpack:"class"`
	// CacheFlush is the cache-flush bit of mDNS (RFC 6762 section 10.2).
	CacheFlush bool `msgpack:"cache_flush,omitempty"`
	// TTL is in seconds.
	TTL uint32 `msgpack:"ttl"`
	// Data is the resource data in presentation format, or in the generic form
	// of RFC 3597 section 5; "" when the record has none.
	Data string `msgpack:"data,omitempty"`
}

// EDNS is the content of the OPT pseudo-record (RFC 6891 section 6.1).
type EDNS struct {
	// Version is that of EDNS, 0 so far.
	Version uint8 `msgpack:"version"`
	// UDPSize is the largest UDP payload that the sender takes, in bytes.
	UDPSize uint16 `msgpack:"udp_size"`
	// DO asks for DNSSEC records (RFC 3225 section 3), CO for compact denial
	// (RFC 9824 section 5.1).
	DO bool `msgpack:"do"`
	CO bool `msgpack:"co,omitempty"`
	// ClientSubnet is address/source prefix length (RFC 7871 section 6).
	ClientSubnet string `msgpack:"client_subnet,omitempty"`
	// ClientSubnetScope is the scope prefix length of a response.
	ClientSubnetScope uint8 `msgpack:"client_subnet_scope,omitempty"`
	// EDE lists extended errors (RFC 8914).
	EDE []ExtendedError `msgpack:"ede,omitempty"`
	// Cookie is the client's and, if there is one, the server's cookie in hex
	// digits (RFC 7873 section 4).
	Cookie string `msgpack:"cookie,omitempty"`
	// NSID is the name server identifier (RFC 5001), "" in a request for it.
	NSID string `msgpack:"nsid,omitempty"`
	// Padding is the length of the padding in bytes (RFC 7830).
	Padding int `msgpack:"padding,omitempty"`
	// ReportChannel is the agent domain for error reports (RFC 9567).
	ReportChannel string `msgpack:"report_channel,omitempty"`
	// Options lists all others, and those that do not follow their format.
	Options []Option `msgpack:"options,omitempty"`
}

// ExtendedError is one extended DNS error (RFC 8914 section 2).
type ExtendedError struct {
	// Code is the INFO-CODE.
	Code uint16 `msgpack:"code"`
	// Text is the EXTRA-TEXT.
	Text string `msgpack:"text,omitempty"`
}

// Option is an EDNS option that has no field of its own.
type Option struct {
	// Code is the OPTION-CODE.
	Code uint16 `msgpack:"code"`
	// Data is in hex digits.
	Data string `msgpack:"data,omitempty"`
}

// Query is a message with QR = 0.
type Query struct {
	Message
	// Retries is how many times the same query was sent before.
	Retries uint32 `msgpack:"retries,omitempty"`
}

// Response is a message with QR = 1.
type Response struct {
	Message
	// RTT is the time since the first query of the transaction in nanoseconds;
	// nil when no query was seen, or time ran backwards.
	RTT *int64 `msgpack:"rtt_ns,omitempty"`
	// Retries is how many times the query was sent again.
	Retries uint32 `msgpack:"retries,omitempty"`
}

// Unanswered is a transaction that got no answer in time, or before its flow
// ended. It has the fields of its first query; the side is the querier's.
type Unanswered struct {
	Message
	// Retries is how many times the query was sent again.
	Retries uint32 `msgpack:"retries,omitempty"`
	// CutOff says that the input ended before the answer was due.
	CutOff bool `msgpack:"cut_off,omitempty"`
}

var (
	_ session.Message = (*Query)(nil)
	_ session.Message = (*Response)(nil)
	_ session.Message = (*Unanswered)(nil)
)

// Kind implements session.Message.
func (*Query) Kind() string { return "query" }

// Kind implements session.Message.
func (*Response) Kind() string { return "response" }

// Kind implements session.Message.
func (*Unanswered) Kind() string { return "unanswered" }
