package publish

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	nested := func(n int, inner string) string { return strings.Repeat("91", n) + inner }
	for _, tt := range []struct {
		name string
		hex  string
		want error
	}{
		{"nothing", "", ErrCutShort},
		{"fixint", "07", nil},
		{"negative fixint", "e0", nil},
		{"nil", "c0", nil},
		{"reserved", "c1", ErrReserved},
		{"reserved inside", "92c0c1", ErrReserved},
		{"two values", "0707", ErrTrailing},
		{"array of four thousand million", "dd7fffffff", ErrCutShort},
		{"array of the most", "ddffffffff", ErrCutShort},
		{"map of the most", "dfffffffff", ErrCutShort},
		{"map whose pairs overflow 32 bits", "df8000000000", ErrCutShort},
		{"array16 without elements", "dc0002c0", ErrCutShort},
		{"array16", "dc0002c0c0", nil},
		{"array32", "dd00000001c0", nil},
		{"map16 with half a pair", "de0001c0", ErrCutShort},
		{"map16", "de0001c0c0", nil},
		{"map32", "df00000001c0c0", nil},
		{"fixmap", "81a16101", nil},
		{"fixmap cut", "81a161", ErrCutShort},
		{"fixstr cut", "a261", ErrCutShort},
		{"str8", "d90161", nil},
		{"str16", "da000161", nil},
		{"str32", "db0000000161", nil},
		{"str32 of the most", "dbffffffff", ErrCutShort},
		{"str8 without length", "d9", ErrCutShort},
		{"bin8", "c40161", nil},
		{"bin16", "c5000161", nil},
		{"bin32", "c60000000161", nil},
		{"bin32 of the most", "c6ffffffff61", ErrCutShort},
		{"ext8", "c7010561", nil},
		{"ext8 without type", "c700", ErrCutShort},
		{"ext8 empty", "c70005", nil},
		{"ext16", "c800010561", nil},
		{"ext32", "c9000000010561", nil},
		{"ext32 of the most", "c9ffffffff05", ErrCutShort},
		{"fixext1", "d40561", nil},
		{"fixext16 cut", "d805616161", ErrCutShort},
		{"timestamp 64", "d7ff0000000000000000", nil},
		{"float32", "ca00000000", nil},
		{"float64 cut", "cb00000000000000", ErrCutShort},
		{"uint64", "cf0000000000000000", nil},
		{"uint64 cut", "cf00000000000000", ErrCutShort},
		{"int8", "d0ff", nil},
		{"int16 cut", "d1ff", ErrCutShort},
		{"32 levels", nested(31, "90"), nil},
		{"32 levels with a value", nested(32, "c0"), nil},
		{"33 levels", nested(33, "c0"), ErrTooDeep},
		{"33 levels, the last one empty", nested(32, "90"), ErrTooDeep},
		{"a hundred thousand levels", nested(100_000, "c0"), ErrTooDeep},
		{"siblings are no levels", "dc0040" + strings.Repeat("90", 64), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			data, err := hex.DecodeString(tt.hex)
			if err != nil {
				t.Fatal(err)
			}
			if err := Check(data); !errors.Is(err, tt.want) {
				t.Errorf("Check = %v, want %v", err, tt.want)
			}
		})
	}
}

func TestCheckSize(t *testing.T) {
	bin := func(n int) []byte {
		b := []byte{0xc6, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
		return append(b, make([]byte, n)...)
	}
	array := func(n int) []byte {
		b := []byte{0xdd, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
		return append(b, bytes.Repeat([]byte{0xc0}, n)...)
	}
	for _, tt := range []struct {
		name string
		data []byte
		want error
	}{
		{"as large as may be", bin(MaxPayload - 5), nil},
		{"one byte more", bin(MaxPayload - 4), ErrTooLarge},
		{"as many values as may be", array(MaxValues - 1), nil},
		{"one value more", array(MaxValues), ErrTooMany},
	} {
		if err := Check(tt.data); !errors.Is(err, tt.want) {
			t.Errorf("%s: Check = %v, want %v", tt.name, err, tt.want)
		}
		for _, err := range Payloads(tt.data) {
			if !errors.Is(err, tt.want) {
				t.Errorf("%s: Payloads = %v, want %v", tt.name, err, tt.want)
			}
		}
	}
}

func TestCheckAllocatesNothing(t *testing.T) {
	payload := encodedQuery(t)
	bad := []byte{0xdd, 0x7f, 0xff, 0xff, 0xff}
	if n := testing.AllocsPerRun(100, func() {
		if Check(payload) != nil || Check(bad) == nil {
			t.Fatal("wrong answer")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestEveryPrefixIsCutShort also holds for each byte of an event changed to a head
// that announces much: nothing may panic.
func TestEveryPrefixIsCutShort(t *testing.T) {
	payload := encodedQuery(t)
	for n := range payload {
		if err := Check(payload[:n]); !errors.Is(err, ErrCutShort) {
			t.Fatalf("prefix of %d bytes: %v", n, err)
		}
		for _, head := range []byte{0xdd, 0xdf, 0xdb, 0xc6, 0xc9, 0xc1, 0xff} {
			changed := bytes.Clone(payload)
			changed[n] = head
			_, _ = Decode(changed, nil)
			_, _ = AppendJSON(nil, changed)
			_, _ = AppendText(nil, changed)
		}
	}
}
