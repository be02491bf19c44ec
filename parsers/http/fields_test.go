package http

import (
	"testing"

	"pgregory.net/rapid"
)

// TestPlainName holds the fast way to the slow one.
func TestPlainName(t *testing.T) {
	names := []string{
		"Host", "Server", "Cookie", "Referer", "Location", "User-Agent", "Set-Cookie", "Content-Type", "Authorization",
		"Content-Length", "Content-Encoding", "Transfer-Encoding", "Proxy-Authorization", "Accept", "If-Modified-Since",
	}
	hit := 0
	rapid.Check(t, func(t *rapid.T) {
		b := []byte(rapid.SampledFrom(names).Draw(t, "name"))
		n := len(b)
		switch rapid.IntRange(0, 3).Draw(t, "change") {
		case 1:
			b[rapid.IntRange(0, n-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
		case 2:
			b[rapid.IntRange(0, n-1).Draw(t, "at")] ^= 0x20
		case 3:
			b = rapid.SliceOfN(rapid.ByteRange('A', 'z'), 1, 30).Draw(t, "any")
			n = len(b)
		}
		line := append(b[:n:n], rapid.SliceOfN(rapid.Byte(), 0, 12).Draw(t, "rest")...)
		kind, ok := plainName(line, n)
		if !ok {
			return
		}
		hit++
		if !isToken(b[:n]) || kind != kindOf(b[:n]) {
			t.Fatalf("%q: %d, kindOf %d, a token: %v", b[:n], kind, kindOf(b[:n]), isToken(b[:n]))
		}
	})
	for _, name := range names {
		kind, ok := plainName([]byte(name+": value"), len(name))
		if !ok || kind != kindOf([]byte(name)) {
			t.Errorf("%s: %d, %v", name, kind, ok)
		}
	}
	if hit == 0 {
		t.Error("the fast way is never taken")
	}
}
