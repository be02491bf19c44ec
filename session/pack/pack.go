// Package pack appends msgpack to byte slices: nil, booleans, integers, floats,
// strings, byte strings, arrays, maps and times, each in its shortest form as
// the msgpack specification gives them (github.com/msgpack/msgpack, spec.md).
//
// In goes a slice and a value; out comes the grown slice, as with append. Nothing
// is kept, nothing is shared, and nothing fails: every value of these types has
// an encoding. A container is written as its header followed by its elements;
// where the number of elements is not known beforehand, Map and Array reserve a
// header and fill it in at the end.
//
// It does not decode: consumers use a general msgpack library for that.
package pack

import (
	"encoding/binary"
	"math"
	"time"
	"unicode/utf8"
)

// Nil appends nil.
func Nil(b []byte) []byte { return append(b, 0xc0) }

// Bool appends a boolean.
func Bool(b []byte, v bool) []byte {
	if v {
		return append(b, 0xc3)
	}
	return append(b, 0xc2)
}

// Uint appends an unsigned integer.
func Uint(b []byte, v uint64) []byte {
	switch {
	case v < 0x80:
		return append(b, byte(v))
	case v <= math.MaxUint8:
		return append(b, 0xcc, byte(v))
	case v <= math.MaxUint16:
		return append(b, 0xcd, byte(v>>8), byte(v))
	case v <= math.MaxUint32:
		return append(b, 0xce, byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
	default:
		return binary.BigEndian.AppendUint64(append(b, 0xcf), v)
	}
}

// Int appends a signed integer; values from 0 on are written as Uint does.
func Int(b []byte, v int64) []byte {
	switch {
	case v >= 0:
		return Uint(b, uint64(v))
	case v >= -32:
		return append(b, byte(v))
	case v >= math.MinInt8:
		return append(b, 0xd0, byte(v))
	case v >= math.MinInt16:
		return append(b, 0xd1, byte(v>>8), byte(v))
	case v >= math.MinInt32:
		return append(b, 0xd2, byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
	default:
		return binary.BigEndian.AppendUint64(append(b, 0xd3), uint64(v))
	}
}

// Float appends a 64-bit float.
func Float(b []byte, v float64) []byte {
	return binary.BigEndian.AppendUint64(append(b, 0xcb), math.Float64bits(v))
}

// StringHeader appends the header of a str of n bytes; the caller appends the
// bytes, which must be valid UTF-8.
func StringHeader(b []byte, n int) []byte {
	switch {
	case n < 32:
		return append(b, 0xa0|byte(n))
	case n <= math.MaxUint8:
		return append(b, 0xd9, byte(n))
	case n <= math.MaxUint16:
		return append(b, 0xda, byte(n>>8), byte(n))
	default:
		return append(b, 0xdb, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
}

// String appends s as a str. The caller vouches that it is valid UTF-8; Text is
// for strings from the wire.
func String(b []byte, s string) []byte { return append(StringHeader(b, len(s)), s...) }

// Bytes appends v as a bin.
func Bytes[B ~[]byte | ~string](b []byte, v B) []byte {
	switch n := len(v); {
	case n <= math.MaxUint8:
		b = append(b, 0xc4, byte(n))
	case n <= math.MaxUint16:
		b = append(b, 0xc5, byte(n>>8), byte(n))
	default:
		b = append(b, 0xc6, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	return append(b, v...)
}

// Text appends wire text: a str when v is valid UTF-8, else a bin with the exact
// bytes.
func Text(b, v []byte) []byte {
	if utf8.Valid(v) {
		return append(StringHeader(b, len(v)), v...)
	}
	return Bytes(b, v)
}

// TextString is Text for wire text held in a string.
func TextString(b []byte, v string) []byte {
	if utf8.ValidString(v) {
		return String(b, v)
	}
	return Bytes(b, v)
}

// ArrayHeader appends the header of an array of n elements.
func ArrayHeader(b []byte, n int) []byte {
	switch {
	case n < 16:
		return append(b, 0x90|byte(n))
	case n <= math.MaxUint16:
		return append(b, 0xdc, byte(n>>8), byte(n))
	default:
		return append(b, 0xdd, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
}

// MapHeader appends the header of a map of n pairs.
func MapHeader(b []byte, n int) []byte {
	switch {
	case n < 16:
		return append(b, 0x80|byte(n))
	case n <= math.MaxUint16:
		return append(b, 0xde, byte(n>>8), byte(n))
	default:
		return append(b, 0xdf, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
}

// Time appends the instant ns nanoseconds after the Unix epoch as the timestamp
// extension (type −1), in the shortest of its three forms.
func Time(b []byte, ns int64) []byte {
	sec, nsec := ns/1e9, ns%1e9
	if nsec < 0 {
		sec, nsec = sec-1, nsec+1e9
	}
	return timestamp(b, sec, nsec)
}

// TimeOf is Time for any time.Time, also one that int64 nanoseconds cannot hold.
func TimeOf(b []byte, t time.Time) []byte { return timestamp(b, t.Unix(), int64(t.Nanosecond())) }

func timestamp(b []byte, sec, nsec int64) []byte {
	switch {
	case nsec == 0 && sec>>32 == 0:
		return binary.BigEndian.AppendUint32(append(b, 0xd6, 0xff), uint32(sec))
	case sec>>34 == 0:
		return binary.BigEndian.AppendUint64(append(b, 0xd7, 0xff), uint64(nsec)<<34|uint64(sec))
	default:
		b = binary.BigEndian.AppendUint32(append(b, 0xc7, 12, 0xff), uint32(nsec))
		return binary.BigEndian.AppendUint64(b, uint64(sec))
	}
}
