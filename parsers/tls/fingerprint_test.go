package tls

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// fromJA3 makes a hello of the text of a JA3 fingerprint.
func fromJA3(t *testing.T, text string) (version uint16, m *ClientHello) {
	m = &ClientHello{}
	for i, field := range strings.Split(text, ",") {
		for _, s := range strings.Split(field, "-") {
			if s == "" {
				continue
			}
			n, err := strconv.ParseUint(s, 10, 16)
			if err != nil {
				t.Fatal(err)
			}
			v := uint16(n)
			switch i {
			case 0:
				version = v
			case 1:
				m.CipherSuites = append(m.CipherSuites, uint32(v))
			case 2:
				m.Extensions = append(m.Extensions, v)
			case 3:
				m.SupportedGroups = append(m.SupportedGroups, v)
			case 4:
				m.ECPointFormats = append(m.ECPointFormats, v)
			}
		}
	}
	return version, m
}

// TestJA3 has the examples of the publication of JA3, and the same with values
// that are to be ignored.
func TestJA3(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"769,47-53-5-10-49161-49162-49171-49172-50-56-19-4,0-10-11,23-24-25,0", "ada70206e40642a3e4461f35503241d5"},
		{"769,4-5-10-9-100-98-3-6-19-18-99,,,", "de350869b8c85de67a350c8d186f11e6"},
		{"769,2570-47-53-5-10-49161-64250-49162-49171-49172-50-56-19-4,6682-0-10-11-43690,60138-23-24-25,0", "ada70206e40642a3e4461f35503241d5"},
	} {
		var f fingerprints
		version, m := fromJA3(t, tt.text)
		f.computeJA3(version, m)
		if got := hex.EncodeToString(f.ja3[:]); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.text, got, tt.want)
		}
	}
}

// ja4Example is the hello of the publication of JA4, with values that are to be
// ignored.
func ja4Example(t *testing.T) *ClientHello {
	m := &ClientHello{ALPN: []string{"h2", "http/1.1"}}
	for i, list := range []string{
		"8a8a,1301,1302,1303,c02b,c02f,c02c,c030,cca9,cca8,c013,c014,009c,009d,002f,0035",
		"3a3a,001b,0000,0033,0010,4469,0017,002d,000d,0005,0023,0012,002b,ff01,000b,000a,0015,dada",
		"0403,0804,0401,0503,0805,0501,0806,0601",
	} {
		for _, s := range strings.Split(list, ",") {
			n, err := strconv.ParseUint(s, 16, 16)
			if err != nil {
				t.Fatal(err)
			}
			switch i {
			case 0:
				m.CipherSuites = append(m.CipherSuites, uint32(n))
			case 1:
				m.Extensions = append(m.Extensions, uint16(n))
			case 2:
				m.SignatureAlgorithms = append(m.SignatureAlgorithms, uint16(n))
			}
		}
	}
	return m
}

func TestJA4(t *testing.T) {
	tests := []struct {
		name     string
		change   func(*ClientHello)
		version  uint16
		versions []uint16
		want     string
	}{
		{"the published example", nil, tls12, []uint16{0xaaaa, tls13, tls12}, "t13d1516h2_8daaf6152771_e5627efa2ab1"},
		{"without signature algorithms", func(m *ClientHello) { m.SignatureAlgorithms = nil }, tls12, []uint16{tls13}, "t13d1516h2_8daaf6152771_6d807ffa2a79"},
		{"nothing", func(m *ClientHello) { *m = ClientHello{} }, tls10, nil, "t10i000000_000000000000_000000000000"},
		{"name and protocols only", func(m *ClientHello) { m.Extensions, m.CipherSuites = []uint16{0, 16}, nil }, tls11, nil, "t11d0002h2_000000000000_000000000000"},
		{"a version without a name", nil, tls12, []uint16{0x7f12, tls12}, "t00d1516h2_8daaf6152771_e5627efa2ab1"},
		{"SSL 3.0", nil, ssl3, nil, "ts3d1516h2_8daaf6152771_e5627efa2ab1"},
		{"the highest counts, not the first", nil, tls10, []uint16{tls11, tls12, tls10}, "t12d1516h2_8daaf6152771_e5627efa2ab1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := ja4Example(t)
			if tt.change != nil {
				tt.change(m)
			}
			var f fingerprints
			f.computeJA4(tt.version, tt.versions, m)
			if got := string(f.ja4[:]); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

// TestJA4Protocol has the examples of the publication for the first protocol.
func TestJA4Protocol(t *testing.T) {
	for _, tt := range []struct{ protocol, want string }{
		{"h2", "h2"},
		{"http/1.1", "h1"},
		{"", "00"},
		{"x", "xx"},
		{"\xab", "ab"},
		{"\xab\xcd", "ad"},
		{"\x30\xab", "3b"},
		{"\x30\x31\xab\xcd", "3d"},
		{"\x30\xab\xcd\x31", "01"},
	} {
		if got := string(appendALPN(nil, []string{tt.protocol})); got != tt.want {
			t.Errorf("%q: %s, want %s", tt.protocol, got, tt.want)
		}
	}
	if got := string(appendALPN(nil, nil)); got != "00" {
		t.Errorf("no protocols: %s", got)
	}
}

func TestJA4CountsTo99(t *testing.T) {
	m := &ClientHello{}
	for i := range 150 {
		m.CipherSuites = append(m.CipherSuites, uint32(i))
		m.Extensions = append(m.Extensions, uint16(1000+i))
	}
	var f fingerprints
	f.computeJA4(tls12, nil, m)
	if got := string(f.ja4[:10]); got != "t12i999900" {
		t.Errorf("%s", got)
	}
}

func TestDecimal(t *testing.T) {
	for v := range 1 << 16 {
		b := make([]byte, 6)
		if got, want := string(b[:putDecimal(b, 0, uint16(v))]), fmt.Sprint(v); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
	}
}

// TestKnownHellos computes the fingerprints of hellos that differ in one thing
// each, several times, and wants what a fresh computation gives.
func TestKnownHellos(t *testing.T) {
	var f fingerprints
	changes := []func(m *ClientHello, version *uint16, versions *[]uint16){
		func(*ClientHello, *uint16, *[]uint16) {},
		func(m *ClientHello, _ *uint16, _ *[]uint16) { m.CipherSuites = m.CipherSuites[1:] },
		func(m *ClientHello, _ *uint16, _ *[]uint16) { m.CipherSuites[1] = 0x1305 },
		func(m *ClientHello, _ *uint16, _ *[]uint16) {
			m.Extensions[1], m.Extensions[2] = m.Extensions[2], m.Extensions[1]
		},
		func(m *ClientHello, _ *uint16, _ *[]uint16) { m.Extensions[0] = 0x5a5a },
		func(m *ClientHello, _ *uint16, _ *[]uint16) { m.SupportedGroups = []uint16{29} },
		func(m *ClientHello, _ *uint16, _ *[]uint16) { m.ECPointFormats = []uint16{29} },
		func(m *ClientHello, _ *uint16, _ *[]uint16) { m.SignatureAlgorithms = m.SignatureAlgorithms[:3] },
		func(m *ClientHello, _ *uint16, _ *[]uint16) { m.ALPN = nil },
		func(m *ClientHello, _ *uint16, _ *[]uint16) { m.ALPN = []string{"http/1.1"} },
		func(_ *ClientHello, v *uint16, _ *[]uint16) { *v = tls11 },
		func(_ *ClientHello, _ *uint16, vs *[]uint16) { *vs = []uint16{tls12} },
		func(_ *ClientHello, _ *uint16, vs *[]uint16) { *vs = nil },
		func(m *ClientHello, _ *uint16, _ *[]uint16) { m.CipherSuites = make([]uint32, 2*maxKnownHello) },
	}
	for range 3 {
		for i, change := range changes {
			m, version, versions := ja4Example(t), uint16(tls12), []uint16{tls13, tls12}
			change(m, &version, &versions)
			var fresh fingerprints
			fresh.computeJA3(version, m)
			fresh.computeJA4(version, versions, m)
			if f.compute(version, versions, m); f.ja3 != fresh.ja3 || f.ja4 != fresh.ja4 {
				t.Errorf("hello %d: %x %s, want %x %s", i, f.ja3, f.ja4[:], fresh.ja3, fresh.ja4[:])
			}
		}
	}
}
