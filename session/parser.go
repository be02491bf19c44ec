package session

import (
	"errors"

	"flowscope/flow"
)

// ErrDone is returned by a parser that has seen all it wants of a flow. The
// parser ends with reason done; the flow goes on without it.
var ErrDone = errors.New("parser is done with this flow")

// SessionParser parses one stream flow, both directions through the same value.
// Calls are serial and in the order of the packets.
//
// Each Feed method takes the next contiguous bytes of its side, borrowed until
// it returns, and returns how many of them it consumed; the rest is presented
// again, with what follows it. The error is nil, ErrDone, or a description of
// what is malformed (up to 256 bytes are kept), which ends the parser but not
// the flow.
type SessionParser interface {
	FeedInitiator(data []byte, out *Output) (n int, err error)
	FeedResponder(data []byte, out *Output) (n int, err error)
}

// DatagramParser parses the datagrams of one flow, both directions through the
// same value. Parse takes one payload, borrowed until it returns; the error is
// as for SessionParser.
type DatagramParser interface {
	Parse(payload []byte, side flow.Side, out *Output) error
}

// Waker is an optional ability of parsers: Wake is called when the time given
// to Output.WakeAt has come; out.Now is that time.
type Waker interface {
	Wake(out *Output) error
}

// Closer is an optional ability of parsers: Close is called when the flow ends
// while the parser is still running, so that it can report what stayed open.
type Closer interface {
	Close(reason flow.Reason, out *Output)
}

// Resetter is an optional ability of parsers: Reset makes the parser as good as
// new, so that the driver can give it to another flow. Parsers without it are
// left to the garbage collector.
type Resetter interface {
	Reset()
}
