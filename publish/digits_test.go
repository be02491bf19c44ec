package publish

import (
	"encoding/base64"
	"encoding/hex"
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

func TestDigitsAgainstStandardLibrary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.SliceOfN(rapid.Byte(), 20, 20).Draw(t, "bytes")
		if got, want := string(appendHexID(nil, (*[16]byte)(raw))), hex.EncodeToString(raw[:16]); got != want {
			t.Errorf("hex %s, want %s", got, want)
		}
		if got, want := string(appendBase64Digest(nil, (*[20]byte)(raw))), base64.StdEncoding.EncodeToString(raw); got != want {
			t.Errorf("base64 %s, want %s", got, want)
		}
		for _, a := range []netip.Addr{netip.AddrFrom4([4]byte(raw)), netip.AddrFrom16([16]byte(raw))} {
			if got, want := string(appendAddress(nil, a)), a.String(); got != want {
				t.Errorf("address %s, want %s", got, want)
			}
		}
	})
}

func BenchmarkFlowMap(b *testing.B) {
	info := fakeFlow()
	var source sourcePair
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = appendFlow(buf[:0], info, &source)
	}
}
