package dns

import (
	"encoding/binary"
	"strconv"
)

// appendLocation appends the 16 octets of a LOC record, version 0 (RFC 1876
// sections 2 and 3).
func appendLocation(b, p []byte) []byte {
	b = appendAngle(b, binary.BigEndian.Uint32(p[4:]), 'N', 'S')
	b = appendAngle(b, binary.BigEndian.Uint32(p[8:]), 'E', 'W')
	b = appendAltitude(b, binary.BigEndian.Uint32(p[12:]))
	for _, size := range p[1:4] {
		b = append(appendSize(append(b, ' '), size), 'm')
	}
	return b
}

// appendAngle appends thousandths of a second of arc, 2³¹ being the equator or
// the prime meridian.
func appendAngle(b []byte, v uint32, positive, negative byte) []byte {
	const zero = 1 << 31
	direction := positive
	if v > zero {
		v -= zero
	} else {
		direction, v = negative, zero-v
	}
	b = append(appendPadded(b, uint64(v/3600000), 2), ' ')
	b = append(appendPadded(b, uint64(v/60000%60), 2), ' ')
	b = append(strconv.AppendUint(b, uint64(v/1000%60), 10), '.')
	b = append(appendPadded(b, uint64(v%1000), 3), ' ')
	return append(b, direction, ' ')
}

// appendAltitude appends centimetres above 100,000 m below the reference
// spheroid, in metres.
func appendAltitude(b []byte, v uint32) []byte {
	cm := int64(v) - 10000000
	if cm < 0 {
		b, cm = append(b, '-'), -cm
	}
	b = strconv.AppendInt(b, cm/100, 10)
	if cm%100 != 0 {
		b = appendPadded(append(b, '.'), uint64(cm%100), 2)
	}
	return append(b, 'm')
}

// appendSize appends a size in metres; the high half of v is its mantissa in
// centimetres, the low half the power of ten.
func appendSize(b []byte, v byte) []byte {
	m, e := v>>4, v&15
	if e < 2 {
		if e == 1 {
			m *= 10
		}
		return appendPadded(append(b, "0."...), uint64(m), 2)
	}
	b = strconv.AppendUint(b, uint64(m), 10)
	for ; e > 2; e-- {
		b = append(b, '0')
	}
	return b
}
