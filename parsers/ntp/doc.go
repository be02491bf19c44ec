// Package ntp parses the Network Time Protocol, versions 1 to 4 (RFC 5905 and
// its predecessors RFC 1059, 1119, 1305 and 4330), with extension fields (RFC
// 7822), control messages (RFC 9327) and the private mode 7 of ntpd, over UDP.
//
// In goes one UDP payload at a time, borrowed until Parse returns. Out comes one
// message per datagram, of a kind named after its mode. Each of the four
// timestamps is given as it stands on the wire, in 16 hex digits, and as a time
// in the era that puts it closest to the capture; a timestamp of zero means
// "unknown" to the protocol and is absent.
//
// A reply carries the time since its request if that was seen: the request of
// the opposite side whose transmit timestamp the reply repeats as its origin.
// The last four requests of each flow are remembered.
//
// What is malformed raises the anomaly ntp_malformed and does not end the
// parser. If only what follows the header is damaged the header is published,
// marked truncated.
//
// The messages that a parser emits are borrowed: they and their strings live in
// scratch memory that is used again as soon as Emit has returned. A factory's
// parsers are used by one goroutine; PerWorker makes a factory for another. The
// package checks no authentication and keeps no clock.
package ntp
