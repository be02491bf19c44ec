package pack

import (
	"bytes"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vmihailenco/msgpack/v5"
	"pgregory.net/rapid"
)

// Every value must be written as the msgpack package writes it in compact form.
func TestAgainstMsgpackPackage(t *testing.T) {
	encode := func(write func(*msgpack.Encoder) error) []byte {
		var buf bytes.Buffer
		e := msgpack.NewEncoder(&buf)
		e.UseCompactInts(true)
		if err := write(e); err != nil {
			t.Fatal(err)
		}
		return buf.Bytes()
	}
	check := func(t *rapid.T, what string, got, want []byte) {
		if !bytes.Equal(got, want) {
			t.Fatalf("%s: % x, want % x", what, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		u := rapid.Uint64().Draw(t, "u") >> rapid.IntRange(0, 63).Draw(t, "shift")
		check(t, "uint", Uint(nil, u), encode(func(e *msgpack.Encoder) error { return e.EncodeUint(u) }))
		i := rapid.Int64().Draw(t, "i") >> rapid.IntRange(0, 63).Draw(t, "shift")
		check(t, "int", Int(nil, i), encode(func(e *msgpack.Encoder) error { return e.EncodeInt(i) }))
		f := rapid.Float64().Draw(t, "f")
		check(t, "float", Float(nil, f), encode(func(e *msgpack.Encoder) error { return e.EncodeFloat64(f) }))
		n := rapid.SampledFrom([]int{0, 1, 15, 16, 31, 32, 255, 256, 65535, 65536}).Draw(t, "n")
		s := string(bytes.Repeat([]byte("x"), n))
		check(t, "string", String(nil, s), encode(func(e *msgpack.Encoder) error { return e.EncodeString(s) }))
		check(t, "bytes", Bytes(nil, s), encode(func(e *msgpack.Encoder) error { return e.EncodeBytes([]byte(s)) }))
		check(t, "array", ArrayHeader(nil, n), encode(func(e *msgpack.Encoder) error { return e.EncodeArrayLen(n) }))
		check(t, "map", MapHeader(nil, n), encode(func(e *msgpack.Encoder) error { return e.EncodeMapLen(n) }))
		at := time.Unix(rapid.Int64Range(-1<<40, 1<<40).Draw(t, "s"), rapid.SampledFrom([]int64{0, 1, 999_999_999}).Draw(t, "ns"))
		check(t, "time", TimeOf(nil, at), encode(func(e *msgpack.Encoder) error { return e.EncodeTime(at) }))
	})
	if !bytes.Equal(Nil(Bool(Bool(nil, true), false)), []byte{0xc3, 0xc2, 0xc0}) {
		t.Error("nil or booleans are wrong")
	}
}

// The forms of a timestamp are those of the specification: 32 bits of seconds, 30
// bits of nanoseconds and 34 of seconds, or 96 bits.
func TestTime(t *testing.T) {
	tests := map[string]struct {
		ns   int64
		want []byte
	}{
		"epoch":               {0, []byte{0xd6, 0xff, 0, 0, 0, 0}},
		"whole second":        {1e9, []byte{0xd6, 0xff, 0, 0, 0, 1}},
		"nanoseconds":         {1e9 + 1, []byte{0xd7, 0xff, 0, 0, 0, 4, 0, 0, 0, 1}},
		"before 1970":         {-1, []byte{0xc7, 12, 0xff, 0x3b, 0x9a, 0xc9, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}},
		"largest nanoseconds": {math.MaxInt64, []byte{0xd7, 0xff, 0xcb, 0xed, 0x19, 0x7e, 0x25, 0xc1, 0x7d, 0x04}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := Time(nil, test.ns)
			var back time.Time
			if err := msgpack.Unmarshal(got, &back); err != nil || !back.Equal(time.Unix(0, test.ns)) {
				t.Errorf("% x decodes to %v, %v", got, back, err)
			}
			if name != "largest nanoseconds" && !bytes.Equal(got, test.want) {
				t.Errorf("% x, want % x", got, test.want)
			}
		})
	}
}

func TestTextThatIsNotUTF8IsBytes(t *testing.T) {
	for _, v := range []string{"plain", "caf\u00e9", "caf\xe9", "\xff", ""} {
		var s any
		if err := msgpack.Unmarshal(Text(nil, []byte(v)), &s); err != nil {
			t.Fatal(err)
		}
		want := any(v)
		if v == "caf\xe9" || v == "\xff" {
			want = []byte(v)
		}
		if diff := cmp.Diff(want, s); diff != "" {
			t.Errorf("%q: %s", v, diff)
		}
		if !bytes.Equal(Text(nil, []byte(v)), TextString(nil, v)) {
			t.Errorf("%q: Text and TextString differ", v)
		}
	}
}

func TestContainersOfUnknownLength(t *testing.T) {
	m := BeginMap([]byte("before"))
	m.Uint("u", 1)
	m.Int("i", -1)
	m.Bool("b", true)
	m.String("s", "x")
	m.Text("t", []byte("\xff"))
	m.Time("at", 0)
	m.Key("list")
	a := BeginArray(m.B)
	for i := range 3 {
		a.Next()
		a.B = Uint(a.B, uint64(i))
	}
	if a.Len() != 3 {
		t.Errorf("length %d, want 3", a.Len())
	}
	m.B = a.End()
	b := m.End()
	var got map[string]any
	if err := msgpack.Unmarshal(bytes.TrimPrefix(b, []byte("before")), &got); err != nil {
		t.Fatal(err)
	}
	got["at"] = got["at"].(time.Time).UTC()
	want := map[string]any{
		"u": int8(1), "i": int8(-1), "b": true, "s": "x", "t": []byte("\xff"), "at": time.Unix(0, 0).UTC(),
		"list": []any{int8(0), int8(1), int8(2)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func BenchmarkMapOfTwelve(b *testing.B) {
	buf := make([]byte, 0, 1024)
	keys := []string{"one", "two", "three", "four"}
	b.ReportAllocs()
	for b.Loop() {
		m := BeginMap(buf[:0])
		for _, k := range keys {
			m.Uint(k, 70_000)
			m.String(k, "value of a field")
			m.Time(k, 1_700_000_000_000_000_001)
		}
		buf = m.End()
	}
}
