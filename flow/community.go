package flow

import (
	"crypto/sha1"
	"encoding/binary"
)

// communityID computes Community ID version 1 with seed 0
// (github.com/corelight/community-id-spec): SHA-1 over seed, lower address,
// upper address, protocol, a zero byte and, for TCP, UDP, SCTP, ICMP and ICMPv6,
// the ports. The endpoints stand in the key's order, which is the
// specification's; but ICMP messages that nothing answers keep the order they
// were sent in, which is why the sender matters.
func communityID(k *Key, swapped bool) CommunityID {
	var buf [2 + 2*16 + 2 + 4]byte
	size := 4
	if k.IP6 != 0 {
		size = 16
	}
	a, b, portA, portB := k.A[:size], k.B[:size], k.PortA, k.PortB
	icmp := k.Proto == ICMP || k.Proto == ICMPv6
	if icmp && swapped {
		if _, _, paired := icmpPorts(k.Proto, uint8(k.PortB), uint8(k.PortA)); !paired {
			a, b, portA, portB = b, a, portB, portA
		}
	}
	h := append(buf[:2], a...)
	h = append(h, b...)
	h = append(h, byte(k.Proto), 0)
	if icmp || k.Proto == TCP || k.Proto == UDP || k.Proto == SCTP {
		h = binary.BigEndian.AppendUint16(h, portA)
		h = binary.BigEndian.AppendUint16(h, portB)
	}
	return sha1.Sum(h)
}
