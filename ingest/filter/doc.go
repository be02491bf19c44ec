// Package filter compiles a subset of the pcap filter language to classic BPF.
//
// In goes an expression such as "udp port 53 and not net 10.0.0.0/8"; [Parse]
// says what is wrong with it and where. Out comes, for each link type, a
// [Program], which the kernel runs on a packet socket, or [Program.Match] on the
// packets of a capture file. docs/filters.md describes the language.
//
// It differs from libpcap on purpose in one thing: an expression matches frames
// with up to two VLAN tags just as it matches those without, and the word vlan
// is a condition like any other, which moves nothing. Names of hosts are not
// looked up.
//
// An [Expression] never changes and may be used from any goroutine, and so may a
// Program. Expressions are somebody else's text: their length, depth and the
// length of programs are limited.
package filter
