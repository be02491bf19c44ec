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
// the flow. A call consumes all it can: the rest comes again only when there is
// more. The same bytes give the same messages however they are split.
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

// GapAction is a parser's answer to a gap.
type GapAction uint8

// The answers.
const (
	// StopSide: no more bytes of this side; the parser goes on with the other.
	// It is what happens to parsers that are no GapHandler. With both sides
	// stopped the parser ends with reason gap.
	StopSide GapAction = iota
	// Continue: the parser finds its way; the next bytes are those after the gap.
	Continue
	// Stop: the parser ends with reason gap.
	Stop
)

// GapHandler is an optional ability of stream parsers: Gap is called when bytes of
// a side are missing and will not come. n is how many, 0 if that is not known.
// What the parser had not consumed of that side is dropped before. Parsers of
// protocols that resynchronise are told so of each side whose beginning was not
// seen, with n 0, before its first bytes.
type GapHandler interface {
	Gap(side flow.Side, n int, out *Output) GapAction
}

// FinHandler is an optional ability of stream parsers: Fin is called when a side
// has sent its last byte. What the parser had not consumed of it has been
// presented and stays unread; rest is that, borrowed. The error is as for Feed.
type FinHandler interface {
	Fin(side flow.Side, rest []byte, out *Output) error
}

// RstHandler is an optional ability of stream parsers: Rst is called when the
// connection was reset. Only what was in flight may be emitted, marked as
// truncated. The parser ends with its flow; nothing else is called but Close.
type RstHandler interface {
	Rst(side flow.Side, out *Output)
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
