package wire

import (
	"bytes"
	"errors"
	"testing"
)

func TestCursorReads(t *testing.T) {
	b := []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36}
	c := NewCursor(b)
	for _, read := range []struct {
		name      string
		got, want uint64
		offset    int
	}{
		{"uint8", uint64(c.Uint8()), 0x01, 1},
		{"uint16", uint64(c.Uint16()), 0x0203, 3},
		{"uint24", uint64(c.Uint24()), 0x040506, 6},
		{"uint32", uint64(c.Uint32()), 0x0708090a, 10},
		{"uint64", c.Uint64(), 0x0b0c0d0e0f101112, 18},
		{"uint16 little", uint64(c.Uint16LE()), 0x1413, 20},
		{"uint32 little", uint64(c.Uint32LE()), 0x18171615, 24},
		{"uint64 little", c.Uint64LE(), 0x201f1e1d1c1b1a19, 32},
	} {
		if read.got != read.want {
			t.Errorf("%s: %#x, want %#x", read.name, read.got, read.want)
		}
	}
	if got := c.Bytes(2); !bytes.Equal(got, []byte{33, 34}) || cap(got) != 2 {
		t.Errorf("bytes: %v with capacity %d", got, cap(got))
	}
	c.Skip(1)
	if c.Len() != 1 || c.Offset() != 35 || !bytes.Equal(c.Rest(), []byte{36}) || c.Err() != nil {
		t.Errorf("the end: %d left at %d, %v", c.Len(), c.Offset(), c.Err())
	}
}

// After the first read past the end nothing moves and everything is zero, even
// what would still fit.
func TestCursorErrorSticks(t *testing.T) {
	reads := map[string]func(*Cursor) bool{
		"uint8":         func(c *Cursor) bool { return c.Uint8() == 0 },
		"uint16":        func(c *Cursor) bool { return c.Uint16() == 0 },
		"uint24":        func(c *Cursor) bool { return c.Uint24() == 0 },
		"uint32":        func(c *Cursor) bool { return c.Uint32() == 0 },
		"uint64":        func(c *Cursor) bool { return c.Uint64() == 0 },
		"uint16 little": func(c *Cursor) bool { return c.Uint16LE() == 0 },
		"uint32 little": func(c *Cursor) bool { return c.Uint32LE() == 0 },
		"uint64 little": func(c *Cursor) bool { return c.Uint64LE() == 0 },
		"bytes":         func(c *Cursor) bool { return c.Bytes(1) == nil },
		"rest":          func(c *Cursor) bool { return c.Rest() == nil },
	}
	for name, read := range reads {
		t.Run(name, func(t *testing.T) {
			c := NewCursor([]byte{9, 9, 9})
			if c.Bytes(-1) != nil || !errors.Is(c.Err(), ErrShort) {
				t.Fatalf("a negative length: %v", c.Err())
			}
			if !read(&c) || c.Offset() != 0 || c.Len() != 3 {
				t.Errorf("read on after the error, offset %d", c.Offset())
			}
		})
	}
	c := NewCursor(nil)
	c.Fail()
	if !errors.Is(c.Err(), ErrShort) {
		t.Error("Fail does not stick")
	}
}
