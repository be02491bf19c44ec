package flow

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"net/netip"
)

// Key tells flows apart. It is normalised: the lower of the two endpoints,
// compared by address and then by port, is A, whoever sent the packet. It holds
// no pointers.
type Key struct {
	// A and B are the addresses; of IPv4 the first four bytes count.
	A, B         [16]byte
	PortA, PortB uint16
	Proto        Transport
	// IP6 is 1 for IPv6, 0 for IPv4.
	IP6 uint8
	// Sub separates flows that ports cannot: the identifier of ICMP echo.
	Sub uint16
	// Scope separates equal addresses of different tenants. See scopeOf.
	Scope uint64
}

// equal is ==, without a call.
func (k *Key) equal(o *Key) bool {
	return k.PortA == o.PortA && k.PortB == o.PortB && k.A == o.A && k.B == o.B &&
		k.Proto == o.Proto && k.IP6 == o.IP6 && k.Sub == o.Sub && k.Scope == o.Scope
}

func (k *Key) addrA() netip.Addr { return k.addr(&k.A) }
func (k *Key) addrB() netip.Addr { return k.addr(&k.B) }

func (k *Key) addr(a *[16]byte) netip.Addr {
	if k.IP6 != 0 {
		return netip.AddrFrom16(*a)
	}
	return netip.AddrFrom4([4]byte(a[:4]))
}

// seed keys the table's hash, so that nobody who chooses addresses and ports can
// make flows collide.
type seed [4]uint64

func newSeed() seed {
	return seed{rand.Uint64(), rand.Uint64(), rand.Uint64(), rand.Uint64() | 1}
}

// hash folds the key with multiplications of 64 by 64 bits.
func (s *seed) hash(k *Key) uint64 {
	a := mum(binary.LittleEndian.Uint64(k.A[:8])^s[0], binary.LittleEndian.Uint64(k.B[:8])^s[1])
	ports := uint64(k.PortA)<<48 | uint64(k.PortB)<<32 | uint64(k.Sub)<<16 | uint64(k.Proto)<<8 | uint64(k.IP6)
	b := mum(ports^s[2], k.Scope^s[3])
	if k.IP6 != 0 {
		a ^= mum(binary.LittleEndian.Uint64(k.A[8:])^s[2], binary.LittleEndian.Uint64(k.B[8:])^s[0]) + s[3]
	}
	return mum(a^s[3], b^s[0])
}

func mum(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// Layouts of Key.Scope. Up to four VLANs stand there as they are; everything
// else is a keyed hash of the whole list.
const (
	scopeVLANBits   = 12
	scopeCountShift = 56
	scopeHashed     = 1 << 63
	maxPackedVLANs  = 4
)

// scopeOf returns the scope for a packet's VLANs and tunnels.
func (s *seed) scopeOf(p *path) uint64 {
	if p.keyed == 0 && p.tunnels == 0 {
		return 0
	}
	if p.tunnels == 0 && p.keyed <= maxPackedVLANs {
		scope := uint64(p.keyed) << scopeCountShift
		for i, v := range p.vlan[:p.keyed] {
			scope |= uint64(v) << (scopeVLANBits * i)
		}
		return scope
	}
	h := s[0]
	for _, v := range p.vlan[:p.keyed] {
		h = mum(h^uint64(v), s[1]|1)
	}
	for i := range p.tunnels {
		t := &p.tunnel[i]
		h = mum(h^(t.id<<8|uint64(t.kind)), s[3])
	}
	return h | scopeHashed
}

// scopeVLANs returns the VLANs packed in a scope; ok is false where the scope is
// a hash.
func scopeVLANs(scope uint64) (vlans [maxPackedVLANs]uint16, n int, ok bool) {
	if scope&scopeHashed != 0 {
		return vlans, 0, false
	}
	n = int(scope >> scopeCountShift)
	for i := range n {
		vlans[i] = uint16(scope>>(scopeVLANBits*i)) & 0xfff
	}
	return vlans, n, true
}
