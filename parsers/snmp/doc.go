// Package snmp parses the Simple Network Management Protocol, versions 1 (RFC
// 1157), 2c (RFC 1901, 3416) and 3 (RFC 3412) with the user-based security model
// (RFC 3414), over UDP.
//
// In goes one UDP payload at a time, borrowed until Parse returns. Out comes one
// message per datagram, of a kind named after its PDU; one of kind encrypted where
// the PDU cannot be read. Object identifiers are dotted decimal. Community
// strings are replaced by "[redacted]" unless the options say otherwise.
//
// Values are checked strictly against the basic encoding rules (ITU-T X.690) and
// the ranges of RFC 2578; lengths may be written with more octets than they need. What is
// malformed raises the anomaly snmp_malformed and does not end the parser; the
// message is published as far as it could be read, marked truncated, if its PDU
// was reached.
//
// A response carries the time since its request if that was seen: the latest of
// the opposite side with the same request id. Reports and encrypted messages go by
// the message id of version 3. The last sixteen requests of each flow are
// remembered.
//
// Work and memory are linear in the size of the payload: the structure has a
// fixed depth, nothing is decoded by recursion.
//
// The messages that a parser emits are borrowed: they and their strings live in
// scratch memory that is used again as soon as Emit has returned. A factory's
// parsers are used by one goroutine; PerWorker makes a factory for another. The
// package decrypts and authenticates nothing and knows no MIB.
package snmp
