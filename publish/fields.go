package publish

import (
	"fmt"
	"iter"
)

// fields reads the pairs of known maps. The first error stays and makes all later
// reads return zero values; the data is one that Check has passed.
type fields struct {
	reader
	key string
	err error
}

// fail notes what is wrong with the present key.
func (f *fields) fail(format string, args ...any) {
	if f.err == nil {
		f.err = fmt.Errorf("key %q: "+format, append([]any{f.key}, args...)...)
	}
}

// value reads a value, which must be one of want.
func (f *fields) value(want ...format) (v value) {
	if f.err != nil {
		return value{}
	}
	if err := f.next(&v); err != nil {
		f.fail("%w", err)
		return value{}
	}
	for _, w := range want {
		if v.format == w {
			return v
		}
	}
	f.fail("want %v, have %v", want[0], v.format)
	return value{}
}

// mapOf iterates over the pairs of a map: key is set, the value is next. name
// stands for the key if the map is no value of one.
func (f *fields) mapOf(name string) iter.Seq[int] {
	outer := f.key
	if outer == "" {
		outer, f.key = name, name
	}
	n := f.value(mapFormat).n
	return func(yield func(int) bool) {
		for i := range n {
			f.key = outer
			f.key = string(f.value(strFormat).data)
			if f.err != nil || !yield(i) {
				return
			}
		}
		f.key = outer
	}
}

// array iterates over the elements of an array.
func (f *fields) array() iter.Seq[int] {
	n := f.value(arrayFormat).n
	return func(yield func(int) bool) {
		for i := range n {
			if f.err != nil || !yield(i) {
				return
			}
		}
	}
}

// text reads a str, or the bin that stands for text that is not UTF-8; borrowed.
func (f *fields) text() []byte { return f.value(strFormat, binFormat).data }

func (f *fields) string() string { return string(f.text()) }

func (f *fields) uint() uint64 { return f.value(uintFormat).bits }

func (f *fields) uintUpTo(most uint64) uint64 {
	v := f.uint()
	if v > most {
		f.fail("%d is more than %d", v, most)
		return 0
	}
	return v
}

func (f *fields) bool() bool { return f.value(boolFormat).bits != 0 }

// time reads a timestamp that fits into nanoseconds since 1970.
func (f *fields) time() int64 {
	v := f.value(extFormat)
	if f.err != nil {
		return 0
	}
	sec, nsec, ok := v.time()
	if !ok {
		f.fail("want a timestamp, have extension type %d of %d bytes", v.ext, len(v.data))
		return 0
	}
	// From the lowest to the highest int64; the arithmetic wraps for the lowest
	// second and comes out right.
	const lowest, lowestNs, highest, highestNs = -9223372037, 145224192, 9223372036, 854775807
	if sec < lowest || sec > highest || sec == lowest && nsec < lowestNs || sec == highest && nsec > highestNs {
		f.fail("time out of range")
		return 0
	}
	return sec*1e9 + int64(nsec)
}

// rawMap passes over a map and returns its bytes, borrowed.
func (f *fields) rawMap() []byte {
	start := f.pos
	if f.value(mapFormat); f.err != nil {
		return nil
	}
	f.pos = start
	f.pass()
	return f.b[start:f.pos:f.pos]
}

// pass skips a value of any type.
func (f *fields) pass() {
	if f.err == nil {
		f.err = f.skip()
	}
}
