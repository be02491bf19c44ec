package http

import (
	"bytes"
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
		line := append(append(b[:n:n], ':'), rapid.SliceOfN(rapid.Byte(), 0, 30).Draw(t, "rest")...)
		got, kind, ok := plainName(line)
		if !ok {
			return
		}
		hit++
		name := line[:bytes.IndexByte(line, ':')]
		if got != len(name) || !isToken(name) || kind != kindOf(name) {
			t.Fatalf("%q: %d bytes, %d, kindOf %d, a token: %v", line, got, kind, kindOf(name), isToken(name))
		}
	})
	for _, name := range names {
		n, kind, ok := plainName([]byte(name + ": value: that is long enough"))
		if !ok || n != len(name) || kind != kindOf([]byte(name)) {
			t.Errorf("%s: %d, %d, %v", name, n, kind, ok)
		}
	}
	if hit == 0 {
		t.Error("the fast way is never taken")
	}
}
