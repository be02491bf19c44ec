package http

import "flowscope/session"

// Header is one field of a head or of trailers: its name as it stands on the
// wire, and its value without the white space around it.
type Header [2]string

// Name returns the field's name.
func (h Header) Name() string { return h[0] }

// Value returns the field's value, "[redacted]" for secrets.
func (h Header) Value() string { return h[1] }

// Message is what requests and responses have in common (RFC 9112 section 2).
type Message struct {
	// Version is the protocol version as on the wire, HTTP/1.1; "" when the
	// message was cut off before it.
	Version string `msgpack:"version,omitempty"`
	// ContentType is the first field of that name.
	ContentType string `msgpack:"content_type,omitempty"`
	// ContentLength is the length that the message announces, nil if it
	// announces none or none that can be read. It need not be how the message
	// was framed.
	ContentLength *uint64 `msgpack:"content_length,omitempty"`
	// Headers lists all fields in order.
	Headers []Header `msgpack:"headers,omitempty"`
	// Trailers lists the fields after a chunked body.
	Trailers []Header `msgpack:"trailers,omitempty"`
	// BodySize is the length of the body in bytes, without chunk framing and as
	// sent, compressed or not; bytes that were missed count.
	BodySize uint64 `msgpack:"body_size"`
	// BodyMissing is how many bytes of BodySize were missed.
	BodyMissing uint64 `msgpack:"body_missing,omitempty"`
	// Body is the body's beginning, if it is wanted.
	Body []byte `msgpack:"body,omitempty"`
	// BodyDecoded says that Body was compressed on the wire.
	BodyDecoded bool `msgpack:"body_decoded,omitempty"`
	// Depth is the exchange's number on the connection, from 1.
	Depth uint32 `msgpack:"depth"`

	ascii  bool // the head is all ASCII
	asked  bool // so is Response.Request
	length uint64
}

// Request is a request message (RFC 9112 section 3).
type Request struct {
	// Method is as on the wire.
	Method string `msgpack:"method"`
	// Target is as on the wire.
	Target string `msgpack:"target"`
	Message
	// Host, UserAgent and Referer are the first fields of these names.
	Host      string `msgpack:"host,omitempty"`
	UserAgent string `msgpack:"user_agent,omitempty"`
	Referer   string `msgpack:"referer,omitempty"`
}

// Response is a response message (RFC 9112 section 4).
type Response struct {
	// Status is the status code.
	Status uint16 `msgpack:"status"`
	// Reason is the reason phrase.
	Reason string `msgpack:"reason,omitempty"`
	Message
	// Server and Location are the first fields of these names.
	Server   string `msgpack:"server,omitempty"`
	Location string `msgpack:"location,omitempty"`
	// Request is what was asked for, nil if the request was not seen.
	Request *RequestLine `msgpack:"request,omitempty"`
	// Elapsed is the time from the first byte of the request to the first of the
	// response in nanoseconds; nil without Request, or if time ran backwards.
	Elapsed *int64 `msgpack:"elapsed_ns,omitempty"`
	// Interim lists the interim responses (1xx) that came before.
	Interim []Interim `msgpack:"interim,omitempty"`
}

// RequestLine says what a response responds to.
type RequestLine struct {
	// Method, Target and Host are as in Request.
	Method string `msgpack:"method"`
	Target string `msgpack:"target,omitempty"`
	Host   string `msgpack:"host,omitempty"`
}

// Interim is an interim response (RFC 9110 section 15.2).
type Interim struct {
	// Status and Reason are as in Response.
	Status uint16 `msgpack:"status"`
	Reason string `msgpack:"reason,omitempty"`
	// Headers lists all fields in order.
	Headers []Header `msgpack:"headers,omitempty"`
}

var (
	_ session.Message = (*Request)(nil)
	_ session.Message = (*Response)(nil)
)

// Kind implements session.Message.
func (*Request) Kind() string { return "request" }

// Kind implements session.Message.
func (*Response) Kind() string { return "response" }
