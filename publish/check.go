package publish

import "errors"

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

// measure returns the length of the value that data begins with, having checked
// all of it; with an error, how far it came.
func measure(data []byte) (int, error) {
	if len(data) > MaxPayload+1 {
		data = data[:MaxPayload+1]
	}
	var (
		r     = reader{b: data}
		v     value
		open  [MaxDepth]uint32 // values still to come, per open container
		depth int
	)
	for count := 0; ; count++ {
		if count == MaxValues {
			return r.pos, ErrTooMany
		}
		if err := r.next(&v); err != nil {
			if err == ErrCutShort && len(data) > MaxPayload {
				err = ErrTooLarge
			}
			return r.pos, err
		}
		if v.format == arrayFormat || v.format == mapFormat {
			if depth == MaxDepth {
				return r.pos, ErrTooDeep
			}
			left := uint32(v.n)
			if v.format == mapFormat {
				left *= 2
			}
			if left > 0 {
				open[depth] = left
				depth++
				continue
			}
		}
		for depth > 0 {
			open[depth-1]--
			if open[depth-1] > 0 {
				break
			}
			depth--
		}
		if depth == 0 {
			if r.pos > MaxPayload {
				return r.pos, ErrTooLarge
			}
			return r.pos, nil
		}
	}
}
