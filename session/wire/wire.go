// Package wire reads binary protocols through a cursor with a sticky error: a
// parser reads field after field and checks once at the end.
//
// The input is borrowed; what Bytes and Rest return points into it. A Cursor is
// a plain value, used by one goroutine, and never allocates. It knows big-endian
// and little-endian integers of 8 to 64 bits and nothing of any protocol.
package wire

import (
	"encoding/binary"
	"errors"
)

// ErrShort is the error of a cursor that was asked for more bytes than it has.
var ErrShort = errors.New("message ends before its fields do")

// Cursor reads from the front of a byte slice. After the first read past the end
// every further read returns zero values and the position stays.
type Cursor struct {
	b   []byte
	off int
	bad bool
}

// NewCursor returns a cursor at the start of b, which it borrows.
func NewCursor(b []byte) Cursor { return Cursor{b: b} }

// Err returns ErrShort if any read or skip went past the end, else nil.
func (c *Cursor) Err() error {
	if c.bad {
		return ErrShort
	}
	return nil
}

// Offset returns the position from the start of the input, in bytes.
func (c *Cursor) Offset() int { return c.off }

// Len returns the number of bytes not read yet.
func (c *Cursor) Len() int { return len(c.b) - c.off }

// Fail makes the error stick, as a read past the end would.
func (c *Cursor) Fail() { c.bad = true }

func (c *Cursor) take(n int) []byte {
	if c.bad || n < 0 || n > len(c.b)-c.off {
		c.bad = true
		return nil
	}
	p := c.b[c.off : c.off+n : c.off+n]
	c.off += n
	return p
}

// Bytes reads n bytes. The result is borrowed from the input; nil on error.
func (c *Cursor) Bytes(n int) []byte { return c.take(n) }

// Rest reads all that is left. The result is borrowed from the input.
func (c *Cursor) Rest() []byte { return c.take(len(c.b) - c.off) }

// Skip passes over n bytes.
func (c *Cursor) Skip(n int) { c.take(n) }

// Uint8 reads one byte.
func (c *Cursor) Uint8() uint8 {
	if p := c.take(1); p != nil {
		return p[0]
	}
	return 0
}

// Uint16 reads a big-endian 16-bit integer.
func (c *Cursor) Uint16() uint16 {
	if p := c.take(2); p != nil {
		return binary.BigEndian.Uint16(p)
	}
	return 0
}

// Uint24 reads a big-endian 24-bit integer.
func (c *Cursor) Uint24() uint32 {
	if p := c.take(3); p != nil {
		return uint32(p[0])<<16 | uint32(p[1])<<8 | uint32(p[2])
	}
	return 0
}

// Uint32 reads a big-endian 32-bit integer.
func (c *Cursor) Uint32() uint32 {
	if p := c.take(4); p != nil {
		return binary.BigEndian.Uint32(p)
	}
	return 0
}

// Uint64 reads a big-endian 64-bit integer.
func (c *Cursor) Uint64() uint64 {
	if p := c.take(8); p != nil {
		return binary.BigEndian.Uint64(p)
	}
	return 0
}

// Uint16LE reads a little-endian 16-bit integer.
func (c *Cursor) Uint16LE() uint16 {
	if p := c.take(2); p != nil {
		return binary.LittleEndian.Uint16(p)
	}
	return 0
}

// Uint32LE reads a little-endian 32-bit integer.
func (c *Cursor) Uint32LE() uint32 {
	if p := c.take(4); p != nil {
		return binary.LittleEndian.Uint32(p)
	}
	return 0
}

// Uint64LE reads a little-endian 64-bit integer.
func (c *Cursor) Uint64LE() uint64 {
	if p := c.take(8); p != nil {
		return binary.LittleEndian.Uint64(p)
	}
	return 0
}
