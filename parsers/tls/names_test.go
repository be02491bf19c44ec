package tls

import (
	stdtls "crypto/tls"
	"slices"
	"testing"
)

// TestSuiteNames compares with the names of the standard library.
func TestSuiteNames(t *testing.T) {
	for _, s := range slices.Concat(stdtls.CipherSuites(), stdtls.InsecureCipherSuites()) {
		if got := suiteName(s.ID); got != s.Name {
			t.Errorf("%#04x is %q, want %q", s.ID, got, s.Name)
		}
	}
	if !slices.IsSortedFunc(suites[:], func(a, b suite) int { return int(a.id) - int(b.id) }) {
		t.Error("the table is not sorted")
	}
	if got := suiteName(0xfafa); got != "" {
		t.Errorf("a reserved value is called %q", got)
	}
}

// TestGREASE has the values of RFC 8701 section 2.
func TestGREASE(t *testing.T) {
	reserved := []uint16{
		0x0a0a, 0x1a1a, 0x2a2a, 0x3a3a, 0x4a4a, 0x5a5a, 0x6a6a, 0x7a7a, 0x8a8a, 0x9a9a, 0xaaaa, 0xbaba, 0xcaca, 0xdada, 0xeaea, 0xfafa,
	}
	for v := range 1 << 16 {
		if got, want := grease(uint16(v)), slices.Contains(reserved, uint16(v)); got != want {
			t.Errorf("%#04x: %v, want %v", v, got, want)
		}
	}
}

func TestNamesOfPoints(t *testing.T) {
	var s text
	for _, tt := range []struct{ got, want string }{
		{s.version(tls13), "TLS 1.3"},
		{s.version(ssl3), "SSL 3.0"},
		{s.version(0x7f12), "TLS 1.3 draft 18"},
		{s.version(0x7f1c), "TLS 1.3 draft 28"},
		{s.version(0x3a3a), "0x3a3a"},
		{s.version(0x7f1d), "0x7f1d"},
		{s.group(29), "x25519"},
		{s.group(4588), "X25519MLKEM768"},
		{s.group(0x2a2a), "0x2a2a"},
		{s.group(0), "0x0000"},
		{s.suite(0x1301), "TLS_AES_128_GCM_SHA256"},
		{s.suite(0xfefe), "0xfefe"},
		{s.number(alertName(40), 40), "handshake_failure"},
		{s.number(alertName(121), 121), "ech_required"},
		{s.number(alertName(99), 99), "99"},
		{s.number(alertName(200), 200), "200"},
	} {
		if tt.got != tt.want {
			t.Errorf("%q, want %q", tt.got, tt.want)
		}
	}
}
