package publish

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"
)

// What AppendJSON refuses beside what Check does.
var (
	ErrNotMap    = errors.New("msgpack: an event is a map")
	ErrKey       = errors.New("msgpack: a map key that is no str")
	ErrExtension = errors.New("msgpack: an extension type other than timestamps")
)

// AppendJSON appends an event's payload as one JSON object, without a newline,
// and returns the grown slice; with an error, dst as it was. Keys keep their
// order.
//
//   - A str is a JSON string. Only what JSON demands is escaped, and control
//     characters (also U+007F to U+009F) and the line separators U+2028 and U+2029.
//   - A bin under key k is written as k with U+FFFD in the place of what is not
//     UTF-8, and as k_b64 with the exact bytes in base64. A bin that is valid UTF-8
//     cannot have been text, since text would be a str; such a bin, and any bin under
//     a key that IsPureBytes names, is written as k_b64 alone.
//   - A list that holds bins is written by the same rule: k_b64 has its shape, with
//     base64 for each str and bin, and null for a map, which has keys of its own.
//   - Integers are numbers, up to 64 bits; floats take the shortest form that
//     reads back the same; NaN and the infinities are null.
//   - Timestamps are RFC 3339 in UTC with nine decimals; outside of the years 0 to
//     9999 null.
func AppendJSON(dst, payload []byte) ([]byte, error) {
	if err := Check(payload); err != nil {
		return dst, fmt.Errorf("event as JSON: %w", err)
	}
	j := transcoder{reader: reader{b: payload}, out: dst}
	var v value
	if err := j.next(&v); err != nil || v.format != mapFormat {
		return dst, fmt.Errorf("event as JSON: %w", ErrNotMap)
	}
	if err := j.object(v.n); err != nil {
		return dst, fmt.Errorf("event as JSON: %w", err)
	}
	return j.out, nil
}

// IsPureBytes says whether bins under the key are bytes that never were meant as
// text, so that JSON has them as <key>_b64 alone even where they are not UTF-8.
// Message types choose their keys by it.
func IsPureBytes(key string) bool {
	switch key {
	case "body", "payload", "raw", "engine_id", "session_id", "random", "signature", "opaque":
		return true
	default:
		return false
	}
}

// transcoder writes JSON from a checked payload. It recurses at most MaxDepth
// levels.
type transcoder struct {
	reader
	out []byte
}

func (j *transcoder) object(pairs int) error {
	var key, v value
	j.out = append(j.out, '{')
	for i := range pairs {
		if i > 0 {
			j.out = append(j.out, ',')
		}
		if err := j.next(&key); err != nil {
			return err
		}
		if key.format != strFormat {
			return ErrKey
		}
		start := j.pos
		if err := j.next(&v); err != nil {
			return err
		}
		var err error
		switch v.format {
		case binFormat:
			j.bin(key.data, v.data)
		case arrayFormat:
			j.pos = start
			err = j.list(key.data)
		default:
			j.key(key.data, "")
			err = j.value(&v)
		}
		if err != nil {
			return err
		}
	}
	j.out = append(j.out, '}')
	return nil
}

// key writes the key with a suffix, and the colon.
func (j *transcoder) key(key []byte, suffix string) {
	j.out = appendJSONString(j.out, key)
	if suffix != "" {
		j.out = append(append(j.out[:len(j.out)-1], suffix...), '"')
	}
	j.out = append(j.out, ':')
}

func (j *transcoder) bin(key, data []byte) {
	if !IsPureBytes(string(key)) && !utf8.Valid(data) {
		j.key(key, "")
		j.out = append(appendJSONString(j.out, data), ',')
	}
	j.key(key, "_b64")
	j.out = appendBase64(j.out, data)
}

// list writes the pairs for a list, which begins at the reader's position.
func (j *transcoder) list(key []byte) error {
	start := j.pos
	holds, err := j.survey()
	if err != nil {
		return err
	}
	plain := !holds.bin || !IsPureBytes(string(key)) && (holds.str || holds.notUTF8)
	if plain {
		j.key(key, "")
		j.pos = start
		if err := j.element(); err != nil {
			return err
		}
	}
	if holds.bin {
		if plain {
			j.out = append(j.out, ',')
		}
		j.key(key, "_b64")
		j.pos = start
		return j.exact()
	}
	return nil
}

// contents is what a list and the lists in it hold, maps left aside.
type contents struct{ str, bin, notUTF8 bool }

// survey passes over one value and says what it holds.
func (j *transcoder) survey() (c contents, err error) {
	var v value
	start := j.pos
	if err := j.next(&v); err != nil {
		return c, err
	}
	switch v.format {
	case strFormat:
		c.str = true
	case binFormat:
		c.bin, c.notUTF8 = true, !utf8.Valid(v.data)
	case mapFormat:
		j.pos = start
		return c, j.skip()
	case arrayFormat:
		for range v.n {
			d, err := j.survey()
			if err != nil {
				return c, err
			}
			c.str, c.bin, c.notUTF8 = c.str || d.str, c.bin || d.bin, c.notUTF8 || d.notUTF8
		}
	}
	return c, nil
}

// element writes the next value.
func (j *transcoder) element() error {
	var v value
	if err := j.next(&v); err != nil {
		return err
	}
	return j.value(&v)
}

// value writes v; a bin stands in a list here and is written as text.
func (j *transcoder) value(v *value) error {
	switch v.format {
	case nilFormat:
		j.out = append(j.out, "null"...)
	case boolFormat:
		j.out = strconv.AppendBool(j.out, v.bits != 0)
	case uintFormat:
		j.out = strconv.AppendUint(j.out, v.bits, 10)
	case intFormat:
		j.out = strconv.AppendInt(j.out, int64(v.bits), 10)
	case float32Format:
		j.out = appendJSONFloat(j.out, float64(math.Float32frombits(uint32(v.bits))), 32)
	case float64Format:
		j.out = appendJSONFloat(j.out, math.Float64frombits(v.bits), 64)
	case strFormat, binFormat:
		j.out = appendJSONString(j.out, v.data)
	case mapFormat:
		return j.object(v.n)
	case arrayFormat:
		return j.array(v.n, (*transcoder).element)
	case extFormat:
		return j.timestamp(v)
	}
	return nil
}

func (j *transcoder) array(n int, element func(*transcoder) error) error {
	j.out = append(j.out, '[')
	for i := range n {
		if i > 0 {
			j.out = append(j.out, ',')
		}
		if err := element(j); err != nil {
			return err
		}
	}
	j.out = append(j.out, ']')
	return nil
}

// exact writes the next value as it stands under a key with _b64. Maps are not
// repeated: written twice on each level, they would double with each.
func (j *transcoder) exact() error {
	var v value
	start := j.pos
	if err := j.next(&v); err != nil {
		return err
	}
	switch v.format {
	case strFormat, binFormat:
		j.out = appendBase64(j.out, v.data)
	case mapFormat:
		j.pos = start
		j.out = append(j.out, "null"...)
		return j.skip()
	case arrayFormat:
		return j.array(v.n, (*transcoder).exact)
	default:
		return j.value(&v)
	}
	return nil
}

func (j *transcoder) timestamp(v *value) error {
	sec, nsec, ok := v.time()
	if !ok {
		return ErrExtension
	}
	if !inRFC3339(sec) {
		j.out = append(j.out, "null"...)
		return nil
	}
	j.out = append(j.out, '"')
	j.out = append(appendRFC3339(j.out, sec, nsec), '"')
	return nil
}

func appendBase64(b, data []byte) []byte {
	b = append(b, '"')
	b = base64.StdEncoding.AppendEncode(b, data)
	return append(b, '"')
}
