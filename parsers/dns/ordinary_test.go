package dns

import (
	"bytes"
	"strings"
	"testing"

	mdns "github.com/miekg/dns"
)

// TestUnusual holds the eight-octet test against the table octet by octet.
func TestUnusual(t *testing.T) {
	for i := range 256 {
		c := byte(i)
		for at := range 8 {
			u := unusual('a'*ones&^(0xff<<(8*at)) | uint64(c)<<(8*at))
			if u&^(0x80<<(8*at)) != 0 {
				t.Fatalf("%#x at %d marks its neighbours: %#x", c, at, u)
			}
			if marked := u != 0; special[c] != 0 && !marked || marked && special[c] == 0 && (c <= ' ' || c > ',') {
				t.Errorf("%#x: marked %v", c, marked)
			}
			if g, want := gather(u), u>>7>>(7*at); g != want {
				t.Errorf("%#x at %d: gathered %#x, want %#x", c, at, g, want)
			}
		}
	}
}

// ordinaryNames are names at offset 12 and pointers to their parts after them.
func ordinaryNames() [][]byte {
	header := make([]byte, headerSize)
	var msgs [][]byte
	for n := 1; n <= 63; n++ { // one label of each length, then two
		label := append([]byte{byte(n)}, strings.Repeat("x", n)...)
		msgs = append(msgs, bytes.Join([][]byte{header, label, {0}}, nil),
			bytes.Join([][]byte{header, label, label, {0}}, nil),
			bytes.Join([][]byte{header, {1, 'a'}, label, {0, 2, 'b', 'c', 0xc0, 14, 0xc0, byte(headerSize + 4 + n)}}, nil))
	}
	for c := range 256 { // each octet at each place of a word
		for at := range 9 {
			label := []byte("\x09abcdefghi\x03com\x00")
			label[1+at] = byte(c)
			msgs = append(msgs, append(header[:headerSize:headerSize], label...))
		}
	}
	// A name that its pointer makes as long as a name may be, and longer.
	for n := 50; n < 64; n++ {
		long := append([]byte{}, header...)
		for range 4 {
			long = append(append(long, 49), strings.Repeat("y", 49)...)
		}
		long = append(long, 0)
		long = append(append(long, byte(n)), strings.Repeat("z", n)...)
		msgs = append(msgs, append(long, 0xc0, headerSize))
	}
	return msgs
}

// checkOrdinary reads the names of a message from its header on, one after the
// other, with ordinary and without, and wants the same names, ends, problems and
// known labels.
func checkOrdinary(t *testing.T, msg []byte) {
	fast, slow := newDecoder(msg), newDecoder(msg)
	for off := headerSize; off < len(msg); {
		start, refs := len(slow.text), len(slow.names.refs)
		want, problem := slow.labels(off)
		if problem != "" {
			slow.wrong(problem)
			slow.text, slow.names.refs = slow.text[:start], slow.names.refs[:refs]
		}
		got := fast.expand(off)
		if got != want || fast.problem != slow.problem || string(fast.text) != string(slow.text) {
			t.Fatalf("%x at %d: %d, %q, %q, want %d, %q, %q", msg, off, got, fast.problem, fast.text, want, slow.problem, slow.text)
		}
		if off = got; got < 0 {
			break
		}
	}
	for off := range min(len(msg), pointable) {
		got, gotKnown := fast.names.find(off)
		want, wantKnown := slow.names.find(off)
		if got != want || gotKnown != wantKnown {
			t.Fatalf("%x: label at %d known as %+v %v, want %+v %v", msg, off, got, gotKnown, want, wantKnown)
		}
	}
}

func TestOrdinaryNames(t *testing.T) {
	for _, msg := range ordinaryNames() {
		checkOrdinary(t, msg)
		got, next := newDecoder(msg).name(headerSize)
		want, end, err := mdns.UnpackDomainName(msg, headerSize)
		if err != nil || got != oracleName(want) || next != end {
			t.Errorf("%x: got %q and %d, want %q and %d, %v", msg, got, next, want, end, err)
		}
	}
}

// FuzzOrdinary lets the two ways to read a name compete.
func FuzzOrdinary(f *testing.F) {
	for _, msg := range ordinaryNames()[:12] {
		f.Add(msg)
	}
	f.Add(append(make([]byte, headerSize), "\x03www\x07example\x03com\x00\x02ns\xc0\x10\x01a\xc0\x1d\xc0\x1d\xc0\x0d"...))
	f.Fuzz(func(t *testing.T, msg []byte) {
		if len(msg) <= maxMessage {
			checkOrdinary(t, msg)
		}
	})
}
