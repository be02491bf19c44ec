package publish

import (
	"encoding/binary"
	"math"
)

// format is what kind of value a msgpack head byte announces.
type format uint8

const (
	nilFormat format = iota
	boolFormat
	uintFormat
	intFormat // negative integers
	float32Format
	float64Format
	strFormat
	binFormat
	arrayFormat
	mapFormat
	extFormat
)

var formatNames = [...]string{
	"nil", "a boolean", "an integer", "a negative integer", "a float", "a float",
	"a str", "a bin", "an array", "a map", "an extension",
}

func (f format) String() string { return formatNames[f] }

// timestampType is the extension type of timestamps (spec.md, "Timestamp
// extension type").
const timestampType = -1

// value is one msgpack value without the elements of a container.
type value struct {
	format format
	ext    int8
	n      int    // elements of an array, pairs of a map
	bits   uint64 // booleans, integers (sign extended) and floats
	data   []byte // str, bin and ext; borrowed
}

// reader walks msgpack values one after another. It never reads outside of b, and
// it never believes a length that b cannot hold.
type reader struct {
	b   []byte
	pos int
}

// next reads one value, or the head of a container.
func (r *reader) next(v *value) error {
	if r.pos >= len(r.b) {
		return ErrCutShort
	}
	c := r.b[r.pos]
	r.pos++
	switch {
	case c < 0x80:
		v.format, v.bits = uintFormat, uint64(c)
		return nil
	case c < 0x90:
		return r.container(v, mapFormat, int(c&0x0f))
	case c < 0xa0:
		return r.container(v, arrayFormat, int(c&0x0f))
	case c < 0xc0:
		return r.bytes(v, strFormat, int(c&0x1f))
	case c >= 0xe0:
		v.format, v.bits = intFormat, uint64(int64(int8(c)))
		return nil
	}
	return r.long(v, c)
}

func (r *reader) long(v *value, c byte) error {
	switch c {
	case 0xc0:
		v.format = nilFormat
		return nil
	case 0xc2, 0xc3:
		v.format, v.bits = boolFormat, uint64(c&1)
		return nil
	case 0xc4, 0xc5, 0xc6:
		return r.sized(v, binFormat, 1<<(c-0xc4))
	case 0xc7, 0xc8, 0xc9:
		return r.sized(v, extFormat, 1<<(c-0xc7))
	case 0xca:
		return r.number(v, float32Format, 4)
	case 0xcb:
		return r.number(v, float64Format, 8)
	case 0xcc, 0xcd, 0xce, 0xcf:
		return r.number(v, uintFormat, 1<<(c-0xcc))
	case 0xd0, 0xd1, 0xd2, 0xd3:
		return r.signed(v, 1<<(c-0xd0))
	case 0xd4, 0xd5, 0xd6, 0xd7, 0xd8:
		return r.bytes(v, extFormat, 1<<(c-0xd4))
	case 0xd9, 0xda, 0xdb:
		return r.sized(v, strFormat, 1<<(c-0xd9))
	case 0xdc, 0xdd:
		return r.sized(v, arrayFormat, 2<<(c-0xdc))
	case 0xde, 0xdf:
		return r.sized(v, mapFormat, 2<<(c-0xde))
	default:
		return ErrReserved
	}
}

// number reads a big-endian number of size bytes into v.bits.
func (r *reader) number(v *value, f format, size int) error {
	if len(r.b)-r.pos < size {
		return ErrCutShort
	}
	b := r.b[r.pos : r.pos+size]
	r.pos += size
	v.format = f
	switch size {
	case 1:
		v.bits = uint64(b[0])
	case 2:
		v.bits = uint64(binary.BigEndian.Uint16(b))
	case 4:
		v.bits = uint64(binary.BigEndian.Uint32(b))
	default:
		v.bits = binary.BigEndian.Uint64(b)
	}
	return nil
}

// signed reads an integer that may be negative; from 0 on it is given as
// uintFormat, so that each integer has one form.
func (r *reader) signed(v *value, size int) error {
	if err := r.number(v, intFormat, size); err != nil {
		return err
	}
	shift := 64 - 8*size
	v.bits = uint64(int64(v.bits<<shift) >> shift)
	if int64(v.bits) >= 0 {
		v.format = uintFormat
	}
	return nil
}

// sized reads a length of size bytes and then what it measures.
func (r *reader) sized(v *value, f format, size int) error {
	if err := r.number(v, f, size); err != nil {
		return err
	}
	if v.bits > math.MaxInt32 {
		return ErrCutShort
	}
	n := int(v.bits)
	if f == arrayFormat || f == mapFormat {
		return r.container(v, f, n)
	}
	return r.bytes(v, f, n)
}

func (r *reader) bytes(v *value, f format, n int) error {
	if f == extFormat {
		if r.pos >= len(r.b) {
			return ErrCutShort
		}
		v.ext = int8(r.b[r.pos])
		r.pos++
	}
	if n > len(r.b)-r.pos {
		return ErrCutShort
	}
	v.format = f
	v.data = r.b[r.pos : r.pos+n : r.pos+n]
	r.pos += n
	return nil
}

// container accepts a count only if there is a byte for each element.
func (r *reader) container(v *value, f format, n int) error {
	most := len(r.b) - r.pos
	if f == mapFormat {
		most /= 2
	}
	if n > most {
		return ErrCutShort
	}
	v.format, v.n = f, n
	return nil
}

// skip passes over one whole value.
func (r *reader) skip() error {
	n, err := measure(r.b[r.pos:])
	r.pos += n
	return err
}

// time returns the seconds and nanoseconds of a timestamp extension; ok is false
// for any other value.
func (v *value) time() (sec int64, nsec uint32, ok bool) {
	if v.format != extFormat || v.ext != timestampType {
		return 0, 0, false
	}
	switch len(v.data) {
	case 4:
		return int64(binary.BigEndian.Uint32(v.data)), 0, true
	case 8:
		u := binary.BigEndian.Uint64(v.data)
		sec, nsec = int64(u&(1<<34-1)), uint32(u>>34)
	case 12:
		sec, nsec = int64(binary.BigEndian.Uint64(v.data[4:])), binary.BigEndian.Uint32(v.data)
	default:
		return 0, 0, false
	}
	return sec, nsec, nsec < 1e9
}
