package publish

import "strconv"

// appendDecimal is strconv.AppendUint for sequence numbers, which are small.
func appendDecimal(b []byte, v uint64) []byte {
	if v < 10 {
		return append(b, byte('0'+v))
	}
	return strconv.AppendUint(b, v, 10)
}

// decimalLen returns the number of digits of v.
func decimalLen(v uint64) int {
	n := 1
	for ; v >= 10; v /= 10 {
		n++
	}
	return n
}
