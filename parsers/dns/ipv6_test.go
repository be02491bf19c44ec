package dns

import (
	"math/rand/v2"
	"net/netip"
	"testing"
)

// TestIPv6 compares addresses with every pattern of zero groups with netip's.
func TestIPv6(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	buf := make([]byte, 0, 64)
	check := func(ip [16]byte) {
		if got, want := string(appendIPv6(append(buf[:0], "before "...), ip[:])), "before "+netip.AddrFrom16(ip).String(); got != want {
			t.Fatalf("%x: got %s, want %s", ip, got, want)
		}
	}
	for pattern := range 1 << 8 {
		for range 200 {
			var ip [16]byte
			for g := range 8 {
				if pattern>>g&1 == 0 {
					v := uint16(r.Uint32()) >> r.IntN(16)
					ip[2*g], ip[2*g+1] = byte(v>>8), byte(v)
				}
			}
			check(ip)
		}
	}
	for last := range 1 << 16 {
		check([16]byte{10: 0xff, 11: 0xff, 12: 192, 13: 0, 14: byte(last >> 8), 15: byte(last)})
	}
	short := make([]byte, 0, 1)
	if got := string(appendIPv6(short, netip.MustParseAddr("2001:db8::1").AsSlice())); got != "2001:db8::1" {
		t.Errorf("got %s", got)
	}
}
