package publish

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"flowscope/session/pack"
)

// object returns a map of one pair.
func object(key string, value []byte) []byte {
	return append(pack.String(pack.MapHeader(nil, 1), key), value...)
}

func list(values ...[]byte) []byte {
	b := pack.ArrayHeader(nil, len(values))
	for _, v := range values {
		b = append(b, v...)
	}
	return b
}

func TestAppendJSON(t *testing.T) {
	str := func(s string) []byte { return pack.String(nil, s) }
	bin := func(s string) []byte { return pack.Bytes(nil, s) }
	for _, tt := range []struct {
		name    string
		payload []byte
		want    string
	}{
		{"empty", []byte{0x80}, `{}`},
		{"text", object("k", str("héllo")), `{"k":"héllo"}`},
		{"escapes", object("k", str("\"\\\n\r\t\x00\x1b\x7f/")), `{"k":"\"\\\n\r\t\u0000\u001b\u007f/"}`},
		{"HTML stays", object("k", str("<a href='x'>&</a>")), `{"k":"<a href='x'>&</a>"}`},
		{"C1 and separators", object("k", str("\u0085\u009b\u2028\u2029\u00a0")), `{"k":"\u0085\u009b\u2028\u2029` + "\u00a0" + `"}`},
		{"str that lies about UTF-8", object("k", str("a\xffb")), `{"k":"a` + "\ufffd" + `b"}`},
		{"a real U+FFFD", object("k", str("\ufffd")), `{"k":"` + "\ufffd" + `"}`},
		{"text that is not UTF-8", object("k", bin("caf\xe9")), `{"k":"caf` + "\ufffd" + `","k_b64":"Y2Fm6Q=="}`},
		{"bytes", object("k", bin("abc")), `{"k_b64":"YWJj"}`},
		{"no bytes", object("k", bin("")), `{"k_b64":""}`},
		{"bytes by name", object("body", bin("\xff\xfe")), `{"body_b64":"//4="}`},
		{"text under a name of bytes", object("body", str("x")), `{"body":"x"}`},
		{"key with a quote", object(`a"b`, bin("x")), `{"a\"b_b64":"eA=="}`},
		{"list", object("k", list(str("a"), str("b"))), `{"k":["a","b"]}`},
		{"list with text that is not UTF-8", object("k", list(str("a"), bin("\xff"))), `{"k":["a","` + "\ufffd" + `"],"k_b64":["YQ==","/w=="]}`},
		{"list of bytes", object("k", list(bin("a"), bin("b"))), `{"k_b64":["YQ==","Yg=="]}`},
		{"list of bytes by name", object("random", list(bin("\xff"))), `{"random_b64":["/w=="]}`},
		{
			"list of lists", object("headers", list(list(str("Host"), str("x")), list(str("A"), bin("\xfe")))),
			`{"headers":[["Host","x"],["A","` + "\ufffd" + `"]],"headers_b64":[["SG9zdA==","eA=="],["QQ==","/g=="]]}`,
		},
		{
			"list of maps", object("k", list(object("v", bin("\xff")), object("v", str("x")))),
			`{"k":[{"v":"` + "\ufffd" + `","v_b64":"/w=="},{"v":"x"}]}`,
		},
		{
			"list of bin and map", object("k", list(bin("\xff"), object("v", bin("\xff")), pack.Int(nil, -1))),
			`{"k":["` + "\ufffd" + `",{"v":"` + "\ufffd" + `","v_b64":"/w=="},-1],"k_b64":["/w==",null,-1]}`,
		},
		{"integers", object("k", list(pack.Uint(nil, math.MaxUint64), pack.Int(nil, math.MinInt64), []byte{0xd0, 5}, []byte{0xd1, 0xff, 0xfe})), `{"k":[18446744073709551615,-9223372036854775808,5,-2]}`},
		{"booleans and nil", object("k", list(pack.Bool(nil, true), pack.Bool(nil, false), pack.Nil(nil))), `{"k":[true,false,null]}`},
		{"floats", object("k", list(pack.Float(nil, 0.1), pack.Float(nil, math.Copysign(0, -1)), pack.Float(nil, 1e21), pack.Float(nil, 1e-7), []byte{0xca, 0x3d, 0xcc, 0xcc, 0xcd})), `{"k":[0.1,-0,1e+21,1e-7,0.1]}`},
		{"no numbers", object("k", list(pack.Float(nil, math.NaN()), pack.Float(nil, math.Inf(1)), pack.Float(nil, math.Inf(-1)))), `{"k":[null,null,null]}`},
		{"time in seconds", object("k", pack.Time(nil, 0)), `{"k":"1970-01-01T00:00:00.000000000Z"}`},
		{"time with nanoseconds", object("k", pack.Time(nil, 951782399123456789)), `{"k":"2000-02-28T23:59:59.123456789Z"}`},
		{"time before 1970", object("k", pack.Time(nil, -1)), `{"k":"1969-12-31T23:59:59.999999999Z"}`},
		{"last of year 9999", object("k", pack.TimeOf(nil, time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC))), `{"k":"9999-12-31T23:59:59.000000000Z"}`},
		{"year 10000", object("k", pack.TimeOf(nil, time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC))), `{"k":null}`},
		{"before year 0", object("k", pack.TimeOf(nil, time.Date(-1, 12, 31, 23, 59, 59, 0, time.UTC))), `{"k":null}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := AppendJSON([]byte("x"), tt.payload)
			if err != nil || string(got) != "x"+tt.want {
				t.Errorf("got  %s, %v\nwant x%s", got, err, tt.want)
			}
		})
	}
}

func TestAppendJSONRefuses(t *testing.T) {
	for _, tt := range []struct {
		name    string
		payload []byte
		want    error
	}{
		{"a list", list(pack.Nil(nil)), ErrNotMap},
		{"a number", []byte{1}, ErrNotMap},
		{"two maps", []byte{0x80, 0x80}, ErrTrailing},
		{"a key that is a number", []byte{0x81, 1, 1}, ErrKey},
		{"a key that is a bin, deeper", object("k", []byte{0x81, 0xc4, 0x01, 'a', 1}), ErrKey},
		{"an unknown extension", object("k", []byte{0xd4, 5, 0}), ErrExtension},
		{"a timestamp of two bytes", object("k", []byte{0xd5, 0xff, 0, 0}), ErrExtension},
		{"a timestamp with too many nanoseconds", object("k", []byte{0xd7, 0xff, 0xff, 0xff, 0xff, 0xfc, 0, 0, 0, 0}), ErrExtension},
		{"forged", []byte{0xdf, 0x7f, 0xff, 0xff, 0xff}, ErrCutShort},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := AppendJSON([]byte("x"), tt.payload)
			if !errors.Is(err, tt.want) || string(got) != "x" {
				t.Errorf("AppendJSON = %q, %v, want %v", got, err, tt.want)
			}
		})
	}
}

// TestJSONDoesNotDouble nests maps and lists with bins, each of which is written
// twice, as deep as possible.
func TestJSONDoesNotDouble(t *testing.T) {
	payload := object("k", pack.Bytes(nil, "\xff"))
	for range 15 {
		payload = object("k", list(pack.Bytes(nil, "\xff"), payload))
	}
	got, err := AppendJSON(nil, payload)
	if err != nil || len(got) > 40*len(payload) {
		t.Errorf("%d bytes of JSON from %d, %v", len(got), len(payload), err)
	}
}

func TestJSONAllocatesNothing(t *testing.T) {
	payload := encodedQuery(t)
	buf := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() {
		var err error
		if buf, err = AppendJSON(buf[:0], payload); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestRFC3339(t *testing.T) {
	days := []int64{rfc3339First, rfc3339End - 1, 0, -1, 951782400, 951868800, 1709164800}
	for sec := int64(rfc3339First); sec < rfc3339End; sec += 86400*97 + 4321 {
		days = append(days, sec)
	}
	for _, sec := range days {
		want := time.Unix(sec, 7).UTC().Format("2006-01-02T15:04:05.000000000Z07:00")
		if got := string(appendRFC3339(nil, sec, 7)); got != want {
			t.Fatalf("%d: %s, want %s", sec, got, want)
		}
	}
	if inRFC3339(rfc3339First-1) || inRFC3339(rfc3339End) || strings.HasPrefix(time.Unix(rfc3339End, 0).UTC().String(), "9999") {
		t.Error("the range is not that of four-digit years")
	}
}
