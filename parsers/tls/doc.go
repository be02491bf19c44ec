// Package tls reads the handshakes of TLS 1.0 to 1.3 (RFC 8446, RFC 5246) and
// SSL 3.0 (RFC 6101), and recognises hellos of SSL 2.0.
//
// In go the bytes of both sides of a TCP connection, borrowed until the call
// returns. Out come ClientHello, HelloRetryRequest, ServerHello, Certificate
// (TLS 1.2 and before) and Alert, one per message, and one Handshake per
// connection that sums it up, whatever its end: finished, refused by an alert,
// reset, closed, lost or cut off. With that summary the parser is done: it reads
// nothing of what an established connection carries.
//
// Whose side is the client's is told by who says ClientHello, not by who opened
// the connection.
//
// Lists of code points are numbers in the order of the wire, what GREASE adds
// included; what a server chooses, and versions, are names. JA3, JA3S and JA4
// are those of their publications. The messages and their strings live in
// scratch memory, or in the input, and are used again as soon as Emit has
// returned.
//
// Messages may be split over records and segments at will, and records hold
// several. A message that lies in one record is read where it is; others are
// put together in memory that has a limit. Encrypted records are passed over by
// their length, without waiting for them. In TLS 1.3 Finished cannot be seen:
// the client's first encrypted record after ServerHello that is no alert is taken
// for it, after early data the first one of Finished's size. Encrypted alerts are
// known by their type, in TLS 1.3 by their size.
//
// After bytes that are missing, a side is read on if the gap lies within one
// record; else only the other side is.
//
// A factory may be used by several goroutines, a parser by one. The package
// decrypts nothing, verifies no signature and no certificate, and knows neither
// DTLS nor QUIC nor TLS that begins inside another protocol.
package tls
