package publish

import (
	"encoding/binary"
	"errors"
)

// The limits of a payload. They hold for reading; nothing that an Encoder writes
// comes near them.
const (
	// MaxPayload is the size of the largest event that is read, in bytes.
	MaxPayload = 8 << 20
	// MaxDepth is how deep containers may be nested; the event's own map is
	// the first level.
	MaxDepth = 32
	// MaxValues is how many values an event may hold, containers and map keys
	// included. It bounds the memory that unpacking takes: an element of one
	// byte may become a struct of hundreds.
	MaxValues = 1 << 20
)

// What Check finds wrong.
var (
	ErrTooLarge = errors.New("msgpack: larger than 8 MiB")
	ErrTooDeep  = errors.New("msgpack: nested deeper than 32 levels")
	ErrTooMany  = errors.New("msgpack: more than 1,048,576 values")
	ErrCutShort = errors.New("msgpack: a length goes beyond the end of the data")
	ErrReserved = errors.New("msgpack: reserved byte 0xc1")
	ErrTrailing = errors.New("msgpack: bytes after the value")
)

// Check says whether data is exactly one well-formed msgpack value within the
// limits above. It allocates nothing, and must have passed before data from
// outside meets a general msgpack library, which may be made to allocate without
// bounds by a forged length, or to overflow the stack by nesting.
func Check(data []byte) error {
	if len(data) > MaxPayload {
		return ErrTooLarge
	}
	n, err := measure(data)
	if err != nil {
		return err
	}
	if n != len(data) {
		return ErrTrailing
	}
	return nil
}

// head is what a head byte says of its value.
type head struct {
	length   uint8 // bytes of the length that follows: 0, 1, 2 or 4
	fixed    uint8 // bytes behind the length whose number the head byte tells
	elements uint8 // elements whose number the head byte tells
	each     uint8 // elements per unit of the length; 0 where it counts bytes
	reserved bool
	nests    bool
}

// heads is the format overview of the msgpack specification.
var heads = func() (h [256]head) {
	for c := range 0x10 {
		h[0x80+c] = head{elements: uint8(2 * c), nests: true}
		h[0x90+c] = head{elements: uint8(c), nests: true}
	}
	for c := range 0x20 {
		h[0xa0+c] = head{fixed: uint8(c)}
	}
	h[0xc1] = head{reserved: true}
	for i, n := range []uint8{1, 2, 4} {
		h[0xc4+i] = head{length: n}           // bin
		h[0xc7+i] = head{length: n, fixed: 1} // ext
		h[0xd9+i] = head{length: n}           // str
	}
	h[0xca], h[0xcb] = head{fixed: 4}, head{fixed: 8} // float
	for i, n := range []uint8{1, 2, 4, 8} {
		h[0xcc+i], h[0xd0+i] = head{fixed: n}, head{fixed: n} // uint, int
	}
	for i, n := range []uint8{1, 2, 4, 8, 16} {
		h[0xd4+i] = head{fixed: 1 + n} // fixext
	}
	for i, n := range []uint8{2, 4} {
		h[0xdc+i] = head{length: n, each: 1, nests: true} // array
		h[0xde+i] = head{length: n, each: 2, nests: true} // map
	}
	return h
}()

// measure returns the length of the value that data begins with, having checked
// all of it.
func measure(data []byte) (int, error) {
	tooShort := ErrCutShort
	if len(data) > MaxPayload {
		data, tooShort = data[:MaxPayload], ErrTooLarge
	}
	var (
		pos   int
		left  = uint64(1)      // values still to come in the innermost container
		outer [MaxDepth]uint64 // and in those around it
		depth int
	)
	for count := 0; ; count++ {
		if count == MaxValues {
			return 0, ErrTooMany
		}
		if pos >= len(data) {
			return 0, tooShort
		}
		h := &heads[data[pos]]
		pos++
		left--
		skip, elements := uint64(h.fixed), uint64(h.elements)
		if h.length != 0 {
			if len(data)-pos < int(h.length) {
				return 0, tooShort
			}
			n := bigEndian(data[pos : pos+int(h.length)])
			pos += int(h.length)
			if h.each != 0 {
				elements = n * uint64(h.each)
			} else {
				skip += n
			}
		}
		rest := uint64(len(data) - pos)
		if skip > rest || elements > rest {
			return 0, tooShort
		}
		pos += int(skip)
		if h.nests {
			if depth == MaxDepth {
				return 0, ErrTooDeep
			}
			outer[depth] = left
			depth++
			left = elements
		} else if h.reserved {
			return 0, ErrReserved
		}
		for left == 0 {
			if depth == 0 {
				return pos, nil
			}
			depth--
			left = outer[depth]
		}
	}
}

// bigEndian reads a length of 1, 2 or 4 bytes.
func bigEndian(b []byte) uint64 {
	switch len(b) {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(binary.BigEndian.Uint16(b))
	default:
		return uint64(binary.BigEndian.Uint32(b))
	}
}
