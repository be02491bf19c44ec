package ingest

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

func TestResolution(t *testing.T) {
	const max = math.MaxUint64
	tests := []struct {
		name     string
		tsresol  uint8
		tsoffset int64
		units    uint64
		want     Timestamp
	}{
		{"microseconds", 6, 0, 1700000000_123456, 1700000000_123456000},
		{"nanoseconds", 9, 0, 1700000000_123456789, 1700000000_123456789},
		{"seconds", 0, 0, 1700000000, 1700000000e9},
		{"picoseconds", 12, 0, 5_123_456_789_999, 5_123_456_789},
		{"picoseconds, all bits", 12, 0, max, 18446744_073709551},
		{"smallest decimal that can be seen", 28, 0, max, 1},
		{"no time left", 29, 0, max, 0},
		{"smallest decimal", 127, 7, max, 7e9},
		{"seconds as power of two", 0x80, 0, 3, 3e9},
		{"half seconds", 0x81, 0, 3, 15e8},
		{"1/1024 s", 0x8a, 0, 1025, 1_000_976_562},
		{"2^-32 s, as in NTP", 0xa0, 0, 1<<32 | 1<<31, 15e8},
		{"2^-63 s", 0xbf, 0, 1 << 63, 1e9},
		{"2^-64 s", 0xc0, 0, 1 << 63, 5e8},
		{"2^-90 s", 0x80 | 90, 0, max, 14},
		{"smallest power of two", 0xff, 0, max, 0},
		{"offset", 6, 3600, 1_000_000, 3601e9},
		{"negative offset", 6, -3600, 1_000_000, -3599e9},
		{"too late", 6, 0, max, math.MaxInt64},
		{"too late with a negative offset", 0, -1, max, math.MaxInt64 - 1e9},
		{"too late by its offset", 6, math.MaxInt64, 1, math.MaxInt64},
		{"too early", 6, math.MinInt64, 0, math.MinInt64},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newResolution(tt.tsresol, tt.tsoffset)
			if got := r.timestamp(tt.units); got != tt.want {
				t.Errorf("%d, want %d", got, tt.want)
			}
		})
	}
}

// TestResolutionModel compares every exponent with exact arithmetic.
func TestResolutionModel(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for tsresol := range 256 {
		base := int64(10)
		if tsresol >= 128 {
			base = 2
		}
		unit := new(big.Int).Exp(big.NewInt(base), big.NewInt(int64(tsresol&0x7f)), nil)
		r := newResolution(uint8(tsresol), 0)
		for range 50 {
			units := random.Uint64() >> random.UintN(64)
			want := new(big.Int).Mul(new(big.Int).SetUint64(units), big.NewInt(1e9))
			want.Quo(want, unit)
			if !want.IsInt64() {
				want.SetInt64(math.MaxInt64)
			}
			if got := r.timestamp(units); int64(got) != want.Int64() {
				t.Fatalf("if_tsresol %#x, %d units: %d, want %d", tsresol, units, got, want)
			}
		}
	}
}
