package snmp

import (
	"testing"
)

func TestOID(t *testing.T) {
	tests := []struct{ name, hex, want string }{
		{"X.690 section 8.19.5", "813403", "2.100.3"},
		{"sysUpTime.0", "2b06010201010300", "1.3.6.1.2.1.1.3.0"},
		{"zero", "00", "0.0"},
		{"0.1", "01", "0.1"},
		{"largest arc", "2b8fffffff7f", "1.3.4294967295"},
		{"arc too large", "2b9080808000", ""},
		{"arc of six octets", "2b818080808000", ""},
		{"leading 80", "2b8001", ""},
		{"unfinished", "2b86", ""},
		{"empty", "", ""},
	}
	for _, tt := range tests {
		got, ok := appendOID(nil, unhex(t, tt.hex))
		if string(got) != tt.want || ok != (tt.want != "") {
			t.Errorf("%s: %q, %v; want %q", tt.name, got, ok, tt.want)
		}
	}
	long := make([]byte, 127)
	if _, ok := appendOID(nil, long); !ok {
		t.Error("128 arcs are refused")
	}
	if _, ok := appendOID(nil, append(long, 0)); ok {
		t.Error("129 arcs are taken")
	}
}

// TestIntegers has the ranges of RFC 2578 section 7.1 and the shortest form of
// X.690 section 8.3.2.
func TestIntegers(t *testing.T) {
	for hex, want := range map[string]int32{"00": 0, "7f": 127, "0080": 128, "80": -128, "ff": -1, "ff7f": -129, "7fffffff": 1<<31 - 1, "80000000": -1 << 31} {
		if got, ok, padded := signed(unhex(t, hex)); !ok || padded || got != want {
			t.Errorf("%s is %d, %v, %v; want %d", hex, got, ok, padded, want)
		}
	}
	for hex, want := range map[string]int32{"0001": 1, "ffff": -1, "0000000001": 1} {
		if got, ok, padded := signed(unhex(t, hex)); !ok || !padded || got != want {
			t.Errorf("%s is %d, %v, %v; want %d, padded", hex, got, ok, padded, want)
		}
	}
	for _, hex := range []string{"", "0080000000", "0100000000"} {
		if v, ok, _ := signed(unhex(t, hex)); ok {
			t.Errorf("%s is taken for %d", hex, v)
		}
	}
	for hex, want := range map[string]uint64{"00": 0, "00ffffffff": 1<<32 - 1, "7fffffff": 1<<31 - 1} {
		if got, ok, padded := unsigned(unhex(t, hex), 32); !ok || padded || got != want {
			t.Errorf("%s is %d, %v, %v; want %d", hex, got, ok, padded, want)
		}
	}
	if got, ok, padded := unsigned(unhex(t, "0000000001"), 32); !ok || !padded || got != 1 {
		t.Errorf("0000000001 is %d, %v, %v; want 1, padded", got, ok, padded)
	}
	for _, hex := range []string{"", "80000000", "0100000000", "00ffffffff00"} {
		if v, ok, _ := unsigned(unhex(t, hex), 32); ok {
			t.Errorf("%s is taken for %d", hex, v)
		}
	}
	if v, ok, _ := unsigned(unhex(t, "00ffffffffffffffff"), 64); !ok || v != 1<<64-1 {
		t.Errorf("the largest Counter64 is %d, %v", v, ok)
	}
}

func TestLengths(t *testing.T) {
	tests := []struct{ name, hex, contents, problem string }{
		{"short form", "0401ff", "ff", ""},
		{"long form", "048101ff", "ff", ""},
		{"longer than need be", "04840000000 1ff", "ff", ""},
		{"much longer", "048a000000000000000000 01ff", "ff", ""},
		{"past the end", "0402ff", "", problemShort},
		{"length past the end", "0482ff", "", problemShort},
		{"huge", "0488ffffffffffffffff", "", problemShort},
		{"indefinite", "0480ff0000", "", problemIndefinite},
		{"tag of several octets", "1f8101ff", "", problemTag},
		{"nothing", "", "", problemShort},
	}
	for _, tt := range tests {
		r := reader{b: unhex(t, tt.hex)}
		_, contents := r.element()
		if string(contents) != string(unhex(t, tt.contents)) || r.problem != tt.problem {
			t.Errorf("%s: % x, %q; want %s, %q", tt.name, contents, r.problem, tt.contents, tt.problem)
		}
	}
}
