package ingest

import (
	"math"
	"math/bits"
)

// resolution turns the timestamps of a pcapng interface into nanoseconds. What
// does not fit a Timestamp saturates.
type resolution struct {
	mul    uint64 // nanoseconds per unit, before division
	div    uint64 // 0: the unit is so small that every time is 0
	shift  uint   // a power of two to divide by
	offset int64  // nanoseconds to add
}

// newResolution reads if_tsresol, where the highest bit says whether the rest
// is the negative exponent of 2 or of 10, and if_tsoffset in seconds
// (draft-ietf-opsawg-pcapng, section 4.2).
func newResolution(tsresol uint8, tsoffset int64) resolution {
	r := resolution{mul: 1, div: 1, offset: seconds(tsoffset)}
	exponent := int(tsresol & 0x7f)
	switch {
	case tsresol&0x80 != 0:
		r.mul = 1e9
		r.shift = uint(exponent)
	case exponent <= 9:
		r.mul = power10(9 - exponent)
	case exponent <= 9+19:
		r.div = power10(exponent - 9)
	default:
		r.div = 0
	}
	return r
}

// power10 returns 10 to the n, for n up to 19.
func power10(n int) uint64 {
	p := uint64(1)
	for range n {
		p *= 10
	}
	return p
}

// seconds converts to nanoseconds.
func seconds(s int64) int64 {
	const second = 1_000_000_000
	switch {
	case s > math.MaxInt64/second:
		return math.MaxInt64
	case s < math.MinInt64/second:
		return math.MinInt64
	default:
		return s * second
	}
}

// timestamp converts units since 1970.
func (r *resolution) timestamp(units uint64) Timestamp {
	high, low := bits.Mul64(units, r.mul)
	if r.shift > 0 {
		high, low = shiftRight(high, low, r.shift)
	}
	if r.div != 1 { // mul is 1 then, and high 0
		if r.div == 0 {
			return Timestamp(r.offset)
		}
		low /= r.div
	}
	if high != 0 || low > math.MaxInt64 {
		return saturated(math.MaxInt64, r.offset)
	}
	return saturated(int64(low), r.offset)
}

// shiftRight shifts a number of 128 bits right by n.
func shiftRight(high, low uint64, n uint) (uint64, uint64) {
	if n >= 64 {
		return 0, high >> (n - 64)
	}
	return high >> n, high<<(64-n) | low>>n
}

// saturated adds offset to t, which is not negative.
func saturated(t, offset int64) Timestamp {
	if offset > math.MaxInt64-t {
		return math.MaxInt64
	}
	return Timestamp(t + offset)
}
