// Package meter parses the protocol of imaginary electricity meters. A frame is
// the octets 'M' and '1', its type, the length of its body in two octets, big
// endian, and the body. On TCP frames follow one another, on UDP each datagram is
// one. Meters report, their collector acknowledges by number.
package meter
