// Package syslog parses syslog messages in the formats of RFC 5424 and RFC 3164,
// over UDP (RFC 5426) and TCP in both framings of RFC 6587, which may alternate.
//
// In go payloads of datagrams, or the bytes of a stream, borrowed. Out comes one
// Message each. Of the old format, which RFC 3164 describes and does not
// prescribe, as much is told apart as is there: a priority, a time, a host, a
// tag; the rest is text. What fields hold is as sent; the nil value "-" of RFC
// 5424 is absent.
//
// A message that says it is of RFC 5424 and is not raises the anomaly
// syslog_malformed and is read as one of the old format. Messages of streams are
// cut at 32 KiB, and marked truncated. After a gap, and in the middle of a
// connection, a parser goes on at the next message that it can find.
//
// The messages that a parser emits are borrowed: they live in scratch memory
// that is used again as soon as Emit has returned. A factory's parsers are used
// by one goroutine; PerWorker makes a factory for another. The package knows no
// TLS and neither RELP nor RFC 3195.
package syslog
