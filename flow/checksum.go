package flow

import (
	"encoding/binary"
	"math/bits"
)

// checksums is what was found of a packet's checksums.
type checksums uint8

const (
	badIP        checksums = 1 << iota // of an IPv4 header, the flow's own or one around it
	badTransport                       // of the flow's transport
	// Left to the network card by the sender.
	offloadedIP
	offloadedTransport
)

// ChecksumKind tells the counted checksums apart.
type ChecksumKind uint8

// The kinds. ChecksumOffloaded counts those that were captured on their
// sender before its network card filled the checksum in: they are not bad.
const (
	ChecksumIP ChecksumKind = iota
	ChecksumTCP
	ChecksumUDP
	ChecksumICMP
	ChecksumICMPv6
	ChecksumOffloaded
	numChecksumKinds
)

var checksumNames = [numChecksumKinds]string{"ip", "tcp", "udp", "icmp", "icmp6", "offloaded"}

// String returns the kind as it stands in the ledger.
func (k ChecksumKind) String() string {
	if k < numChecksumKinds {
		return checksumNames[k]
	}
	return "unknown"
}

// ChecksumKinds returns the names of all kinds in the order of their values.
func ChecksumKinds() []string { return checksumNames[:] }

// The values of Config.Checksums.
const (
	ChecksumsCount = "count"
	ChecksumsDrop  = "drop"
	ChecksumsOff   = "off"
)

// ipv4Checksum verifies an IPv4 header (RFC 791 section 3.1). Offloading cards
// leave it 0 in what is captured on the sender.
func (d *decoded) ipv4Checksum(b []byte) {
	if fold(sum(0, b)) == 0xffff {
		return
	}
	if b[10]|b[11] == 0 {
		d.checksums |= offloadedIP
	} else {
		d.checksums |= badIP
	}
}

// transportChecksum verifies the checksum of a whole segment of TCP, UDP, ICMP or
// ICMPv6 (RFC 1071, RFC 8200 section 8.1). at is where it stands.
//
// A sender that leaves the work to its card writes the sum over the
// pseudo-header alone, which is how such packets are captured there; over one
// with length 0 where the card cuts the segment into several.
func (d *decoded) transportChecksum(segment []byte, at int) {
	field := binary.LittleEndian.Uint16(segment[at:]) // as sum has it
	if d.key.Proto == UDP && field == 0 && d.key.IP6 == 0 {
		return // none (RFC 768)
	}
	pseudo := uint64(0)
	if d.key.Proto != ICMP {
		pseudo = d.pseudoHeader(len(segment))
	}
	if fold(sum(pseudo, segment)) == 0xffff {
		return
	}
	if d.key.Proto != ICMP && (field == fold(pseudo) || field == fold(d.pseudoHeader(0))) {
		d.checksums |= offloadedTransport
		return
	}
	d.checksums |= badTransport
}

// pseudoHeader sums what stands before a segment of n bytes. The order of the
// endpoints does not matter, so the key's will do.
func (d *decoded) pseudoHeader(n int) uint64 {
	k := &d.key
	s := uint64(bits.ReverseBytes32(uint32(n))) + uint64(k.Proto)<<8
	if k.IP6 == 0 {
		return s + uint64(binary.LittleEndian.Uint32(k.A[:])) + uint64(binary.LittleEndian.Uint32(k.B[:]))
	}
	return sum(sum(s, k.A[:]), k.B[:])
}

// sum adds bytes to a one's complement sum in 64 bits; the carries go round (RFC
// 1071 section 2). Its words are little-endian, which spares turning each round:
// the sum of swapped words is the swapped sum.
func sum(s uint64, b []byte) uint64 {
	c := uint64(0)
	for len(b) >= 64 {
		a := (*[64]byte)(b)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(a[:]), 0)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(a[8:]), c)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(a[16:]), c)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(a[24:]), c)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(a[32:]), c)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(a[40:]), c)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(a[48:]), c)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(a[56:]), c)
		s, _ = bits.Add64(s, 0, c) // at most 2^64-2 before, or c is 0
		b = b[64:]
	}
	for len(b) >= 8 {
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(b), 0)
		s, _ = bits.Add64(s, 0, c)
		b = b[8:]
	}
	last := uint64(0) // up to 7 bytes; each piece begins at an even one
	if len(b) >= 4 {
		last = uint64(binary.LittleEndian.Uint32(b))
		b = b[4:]
	}
	if len(b) >= 2 {
		last += uint64(binary.LittleEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) > 0 {
		last += uint64(b[0])
	}
	s, c = bits.Add64(s, last, 0)
	s, _ = bits.Add64(s, 0, c)
	return s
}

// fold brings a sum down to 16 bits.
func fold(s uint64) uint16 {
	s = s>>32 + s&0xffffffff
	s = s>>16 + s&0xffff
	s = s>>16 + s&0xffff
	return uint16(s>>16 + s&0xffff)
}
