package dns

import (
	"net/netip"
	"testing"
)

func TestAppendIPv4(t *testing.T) {
	for i := range 256 {
		ip := [4]byte{byte(i), byte(i * 7), byte(255 - i), byte(i / 3)}
		if got, want := string(appendIPv4([]byte("x"), ip[:])), "x"+netip.AddrFrom4(ip).String(); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
}

// TestAppendBase32 has the vectors of RFC 4648 section 10, without padding.
func TestAppendBase32(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "f": "CO", "fo": "CPNG", "foo": "CPNMU", "foob": "CPNMUOG", "fooba": "CPNMUOJ1", "foobar": "CPNMUOJ1E8",
	} {
		if got := string(appendBase32(nil, []byte(in))); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}
