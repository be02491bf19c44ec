// Package http parses HTTP/1.0 and HTTP/1.1 (RFC 9110, RFC 9112). New makes the
// factory.
//
// In go the bytes of both sides of a connection, in pieces of any size, borrowed
// until the Feed methods return. Out come Request and Response, one of each per
// exchange, when the message has ended: after its body and trailers, or, marked
// as truncated, when the flow ends, bytes go missing or a limit is reached.
// Interim responses (1xx) are not messages of their own: they stand in the
// response that ends the exchange, so that there is one response per request.
// The one exception is 101, which ends an exchange and the protocol with it.
//
// Responses are paired with requests in order, as RFC 9112 section 9.3.2 has it;
// a response whose request was not seen comes out without. After bytes of either
// side were missed a response is only paired where there is one candidate.
//
// Which side asks is seen from what it says, message by message. Bytes that
// cannot begin a message are skipped until a line that does, which is how a
// connection is taken up in its middle and after a gap; a gap inside a body
// whose framing tells its length is stepped over instead. A response is found
// within a line too, since few bodies end in a line feed: by a whole status line
// and what follows it. A request is not: after a body without a final line feed
// the next one is missed.
//
// Whether a response has a body depends on its request. Where only responses are
// captured, one to HEAD that announces a length is taken for one with a body: what
// follows it on the connection, up to that length, is counted as the body, with
// the heads that are in it: its head does not tell.
//
// Bodies are counted and not kept, unless the configuration says how many bytes
// of each are wanted. What leaves the length of a message open to more than one
// reading raises an anomaly that names the reading chosen: see framing.go for the
// rules. Fields that hold secrets are replaced by "[redacted]".
//
// The messages that a parser emits are borrowed: they and their strings live in
// the input or in scratch memory and are void once Emit has returned. A head that
// has to wait for its body is copied into memory that the worker's parsers take
// turns with; all of it together has a limit.
//
// The parsers of one factory are used by one goroutine; PerWorker makes a factory
// for another. The package does not follow what comes after CONNECT or an
// upgrade, and knows no HTTP/2.
package http
