// Package publish turns session events into messages on NATS subjects, and back.
//
// In go session.SessionEvents, one call at a time per worker; out come msgpack
// payloads on subjects of the form <prefix>.<protocol>.<kind>, acknowledged by
// JetStream where there is a stream, with every event that did not arrive
// counted by reason in the ledger. For consumers the package reads the payloads
// again: Decode and DecodeAll give typed events, AppendJSON and AppendText give
// renditions of the very same bytes, so that they cannot drift from what was
// published. Reading checks before it unpacks (see Check): payloads come from a
// bus and may hold anything.
//
// # Bytes
//
// An event handed to a worker's sink is borrowed; it is encoded into the
// worker's Batch before the call returns. A Batch is owned by whoever holds it.
// Encoder, AppendJSON and AppendText append to a slice of the caller's, as append
// does. What Decode returns is owned by the caller and shares no memory with the
// payload.
//
// # Goroutines
//
// Each worker has an Encoder of its own, without locks. One bounded queue takes
// batches from the workers to the publisher, which runs in goroutines of its own.
// The functions that read payloads keep no state and may be called from anywhere.
//
// # What it does not do
//
// It does not decide what an event says: that is the session layer's and the
// parsers'. It creates or changes no stream unless told to, it is no broker and
// keeps no log; and it imports no server (package embedded does).
package publish
