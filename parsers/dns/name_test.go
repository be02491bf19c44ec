package dns

import (
	"bytes"
	"strings"
	"testing"

	mdns "github.com/miekg/dns"
)

func newDecoder(msg []byte) *decoder {
	d := new(decoder)
	d.msg, d.budget = msg, textBudget(len(msg))
	return d
}

func TestName(t *testing.T) {
	// The example of RFC 1035 section 4.1.4, whose offsets begin at 20.
	example := append(make([]byte, 20), "\x01F\x03ISI\x04ARPA\x00"...)
	example = append(example, make([]byte, 40-len(example))...)
	example = append(example, "\x03FOO\xc0\x14"...)
	example = append(example, make([]byte, 64-len(example))...)
	example = append(example, "\xc0\x1a"...)
	example = append(example, make([]byte, 92-len(example))...)
	example = append(example, 0)
	label := "\x3f" + strings.Repeat("x", 63)
	text := strings.Repeat("x", 63)
	tests := []struct {
		name string
		msg  string
		off  int
		want string
		next int
	}{
		{"RFC 1035 F.ISI.ARPA", string(example), 20, "F.ISI.ARPA", 32},
		{"RFC 1035 FOO.F.ISI.ARPA", string(example), 40, "FOO.F.ISI.ARPA", 46},
		{"RFC 1035 ARPA", string(example), 64, "ARPA", 66},
		{"RFC 1035 root", string(example), 92, ".", 93},
		{"pointer to the root", "\x00\xc0\x00", 1, ".", 3},
		{"case is kept", "\x03WwW\x00", 0, "WwW", 5},
		{"escapes", "\x0d. '@;()\"\\\x00\x7f\xff\x1f\x00", 0, `\.\ \'\@\;\(\)\"\\\000\127\255\031`, 15},
		{"255 octets", label + label + label + "\x3d" + strings.Repeat("y", 61) + "\x00", 0, text + "." + text + "." + text + "." + strings.Repeat("y", 61), 255},
		{"256 octets", label + label + label + "\x3e" + strings.Repeat("y", 62) + "\x00", 0, "", -1},
		{"256 octets by a pointer", label + label + label + "\x00\x3e" + strings.Repeat("y", 62) + "\xc0\x00", 193, "", -1},
		{"127 labels", strings.Repeat("\x01a", 127) + "\x00", 0, strings.Repeat("a.", 126) + "a", 255},
		{"pointer to itself", "\xc0\x00", 0, "", -1},
		{"pointer forwards", "\xc0\x02\x00", 0, "", -1},
		{"pointers in a loop", "\x01a\xc0\x04\x01b\xc0\x00", 4, "", -1},
		{"label and pointer in a loop", "\x01a\xc0\x00", 0, "", -1},
		{"pointer cut in two", "\x01a\xc0", 0, "", -1},
		{"pointer past the end", "\xc3\xff", 0, "", -1},
		{"label past the end", "\x05abc", 0, "", -1},
		{"no end", "\x01a", 0, "", -1},
		{"empty", "", 0, "", -1},
		{"reserved label type 01", "\x41abc\x00", 0, "", -1},
		{"reserved label type 10", "\x81abc\x00", 0, "", -1},
		{"128 pointers in a row", chain(129), 2 * 128, ".", 2*128 + 2},
		{"129 pointers in a row", chain(130), 2 * 129, "", -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newDecoder([]byte(tt.msg))
			for range 2 { // the second time from what was noted
				got, next := d.name(tt.off)
				if got != tt.want || next != tt.next {
					t.Errorf("got %q and %d, want %q and %d (%s)", got, next, tt.want, tt.next, d.problem)
				}
			}
			if (d.problem != "") != (tt.next < 0) {
				t.Errorf("problem is %q", d.problem)
			}
		})
	}
}

// chain is the root and n-1 pointers, each to what precedes it.
func chain(n int) string {
	b := []byte{0, 0}
	for i := 1; i < n; i++ {
		to := (i - 1) * 2
		b = append(b, 0xc0|byte(to>>8), byte(to))
	}
	b[0] = 0
	return string(b[:2*n])
}

// hostile messages are built to make a reader work more than linearly.
func hostile() map[string][]byte {
	head := func(answers int) []byte {
		return []byte{0, 1, 0x80, 0, 0, 1, byte(answers >> 8), byte(answers), 0, 0, 0, 0}
	}
	record := []byte{0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0}
	long := append([]byte(strings.Repeat("\x3f"+strings.Repeat("\x00", 63), 3)+"\x3d"+strings.Repeat("\x00", 61)), 0)

	repeated := append(head(5400), long...)
	repeated = append(repeated, 0, 1, 0, 1)
	repeated = append(repeated, bytes.Repeat(record, 5400)...)

	servers := append(head(1), long...)
	servers = append(servers, 0, 1, 0, 1, 0xc0, 12, 0, 55, 0, 1, 0, 0, 0, 0, 0xea, 0x64, 0, 1, 0, 0)
	servers = append(servers, bytes.Repeat([]byte{0xc0, 12}, 30000)...)

	bitmaps := append(head(140), 0, 0, 1, 0, 1)
	var windows []byte
	for w := range 12 {
		windows = append(append(windows, byte(w), 32), bytes.Repeat([]byte{255}, 32)...)
	}
	for range 140 {
		bitmaps = append(bitmaps, 0, 0, 47, 0, 1, 0, 0, 0, 0, byte((len(windows)+1)>>8), byte(len(windows)+1), 0)
		bitmaps = append(bitmaps, windows...)
	}

	pointers := append(head(1), 0, 0, 1, 0, 1, 0, 0, 55, 0, 1, 0, 0, 0, 0, 0xea, 0x64, 0, 1, 0, 0)
	for i := range 30000 {
		to := min(max(len(pointers)-2, 12), 16382)
		if i == 0 {
			to = 12
		}
		pointers = append(pointers, 0xc0|byte(to>>8), byte(to))
	}
	return map[string][]byte{"one long name in every record": repeated, "servers": servers, "bitmaps": bitmaps, "pointers": pointers}
}

// TestBounded wants output and work that grow with the message only.
func TestBounded(t *testing.T) {
	for name, msg := range hostile() {
		t.Run(name, func(t *testing.T) {
			s := new(scratch)
			s.decode(msg, &s.response.Message)
			if n := len(s.response.AppendMsgpack(nil)); n > 3*textBudget(len(msg)) {
				t.Errorf("%d octets give %d", len(msg), n)
			}
			if n := len(s.names.refs); n > 2*pointable {
				t.Errorf("%d labels noted", n)
			}
			if n := cap(s.text); n > 8*textBudget(len(msg)) {
				t.Errorf("%d octets of scratch", n)
			}
		})
	}
}

// BenchmarkHostile shows what the worst messages cost.
func BenchmarkHostile(b *testing.B) {
	for name, msg := range hostile() {
		b.Run(name, func(b *testing.B) {
			s := new(scratch)
			b.ReportAllocs()
			b.SetBytes(int64(len(msg)))
			for b.Loop() {
				s.decode(msg, &s.response.Message)
			}
		})
	}
}

// FuzzName compares names with the oracle's, which also takes pointers that lead
// forwards.
func FuzzName(f *testing.F) {
	f.Add([]byte("\x03www\x07example\x03com\x00"), 0)
	f.Add([]byte("\x01a\xc0\x00\x01b\xc0\x00"), 4)
	f.Add([]byte("\xc0\x00"), 0)
	f.Add([]byte("\x05\x00\xff. \\\x00\xc0\x00"), 7)
	f.Fuzz(func(t *testing.T, msg []byte, off int) {
		if off < 0 || off > len(msg) || len(msg) > maxMessage {
			return
		}
		d := newDecoder(msg)
		got, next := d.name(off)
		want, end, err := mdns.UnpackDomainName(msg, off)
		switch {
		case next < 0 && d.problem == "":
			t.Error("failed without a problem")
		case next < 0 && err == nil && d.problem != problemPointer:
			t.Errorf("%s, the oracle reads %q", d.problem, want)
		case next >= 0 && err != nil && !strings.Contains(err.Error(), "pointers"):
			t.Errorf("read %q, the oracle says %v", got, err)
		case next >= 0 && err == nil && (got != oracleName(want) || next != end):
			t.Errorf("got %q and %d, want %q and %d", got, next, want, end)
		}
		if again, n := d.name(off); again != got || n != next {
			t.Errorf("the second time %q and %d, the first %q and %d", again, n, got, next)
		}
	})
}

// A name may take 255 octets, the root's among them (RFC 1035 section 2.3.4),
// also when its end is reached through a pointer to a name that is known.
func TestLongestNameThroughAPointer(t *testing.T) {
	label := func(n int) []byte { return append([]byte{byte(n)}, bytes.Repeat([]byte{'a'}, n)...) }
	message := func(own ...int) []byte {
		b := []byte{0, 1, 0x80, 0, 0, 1, 0, 1, 0, 0, 0, 0}
		for range 3 { // the question: 193 octets with the root
			b = append(b, label(63)...)
		}
		b = append(b, 0, 0, 1, 0, 1)
		for _, n := range own {
			b = append(b, label(n)...)
		}
		return append(b, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 1, 2, 3, 4)
	}
	tests := map[string]struct {
		own []int
		ok  bool
	}{
		"255, one label":  {[]int{61}, true},
		"256, one label":  {[]int{62}, false},
		"255, two labels": {[]int{30, 30}, true},
		"256, two labels": {[]int{30, 31}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := message(test.own...)
			if err := new(mdns.Msg).Unpack(b); (err == nil) != test.ok {
				t.Fatalf("the other implementation says %v", err)
			}
			var s scratch
			var m Message
			s.decode(b, &m)
			if got := s.problem == ""; got != test.ok {
				t.Errorf("problem %q, want good: %v", s.problem, test.ok)
			}
		})
	}
}
