package flow

import (
	"encoding/binary"
	"testing"
	"time"

	"flowscope/ingest"

	"pgregory.net/rapid"
)

// ipFragment is one IPv4 fragment of a UDP datagram, raw.
func ipFragment(id uint16, offset int, more bool, data []byte) []byte {
	b := make([]byte, 20+len(data))
	b[0], b[8], b[9] = 0x45, 64, 17
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	binary.BigEndian.PutUint16(b[4:], id)
	field := uint16(offset / 8)
	if more {
		field |= 0x2000
	}
	binary.BigEndian.PutUint16(b[6:], field)
	copy(b[12:], []byte{10, 0, 0, 1, 10, 0, 0, 2})
	copy(b[20:], data)
	return b
}

// udpDatagram is a UDP header and a payload of n bytes.
func udpDatagram(n int) []byte {
	b := make([]byte, 8+n)
	binary.BigEndian.PutUint16(b[0:], 5000)
	binary.BigEndian.PutUint16(b[2:], 53)
	binary.BigEndian.PutUint16(b[4:], uint16(len(b)))
	for i := range n {
		b[8+i] = byte(i*7 + i>>8)
	}
	return b
}

var rawInterface = linkInterface(linkRaw)

// However a datagram is cut, and in whatever order, with whatever repetitions and
// equal overlaps its fragments come, the payload is that of the whole, once.
func TestFragmentsAgainstModel(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		whole := udpDatagram(rapid.IntRange(1, 3000).Draw(r, "size"))
		type part struct{ from, to int }
		var parts []part
		for from := 0; from < len(whole); {
			to := min(len(whole), from+8*rapid.IntRange(1, 100).Draw(r, "units"))
			parts = append(parts, part{from, to})
			from = to
		}
		if len(parts) == 1 {
			return
		}
		for range rapid.IntRange(0, 4).Draw(r, "overlaps") {
			from := 8 * rapid.IntRange(0, (len(whole)-1)/8).Draw(r, "from")
			to := min(len(whole), from+8*rapid.IntRange(1, 100).Draw(r, "units"))
			parts = append(parts, part{from, to})
		}
		parts = rapid.Permutation(parts).Draw(r, "order")
		f := newFeed(t, DefaultConfig())
		for _, p := range parts {
			f.packetOf(rawInterface, second(0), ipFragment(7, p.from, p.to < len(whole), whole[p.from:p.to]))
		}
		f.close()
		data := f.log.of(Data)
		if len(data) == 0 || data[0].data != string(whole[8:]) {
			r.Fatalf("%d datagrams came out of %v", len(data), parts)
		}
	})
}

func TestFragmentsCount(t *testing.T) {
	whole := udpDatagram(92)
	f := newFeed(t, DefaultConfig())
	f.packetOf(rawInterface, second(0), ipFragment(7, 0, true, whole[:48]))
	if n := f.table.Stats().Packets[FragmentHeld]; n != 1 {
		t.Errorf("%d fragments held, want 1", n)
	}
	f.packetOf(rawInterface, second(1), ipFragment(7, 48, false, whole[48:]))
	f.close()
	c := f.log.of(Closed)[0]
	if got := c.stats.Sides[Initiator]; got.Packets != 2 || got.Bytes != 140 || got.IPBytes != 140 || got.PayloadBytes != 92 {
		t.Errorf("counted %+v, want both fragments and the payload once", got)
	}
	if c.stats.First != second(1) {
		t.Errorf("the flow began at %v, want when its datagram was complete", c.stats.First.Sub(second(0)))
	}
}

func TestFragmentsGivenUp(t *testing.T) {
	whole := udpDatagram(92)
	other := append([]byte(nil), whole...)
	other[20] ^= 1
	tests := map[string]struct {
		feed func(*feed)
		want Outcome
		n    uint64
	}{
		"time-out": {func(f *feed) {
			f.packetOf(rawInterface, second(0), ipFragment(7, 0, true, whole[:48]))
			f.packetOf(rawInterface, second(30), ipFragment(7, 48, false, whole[48:]))
		}, FragmentTimeout, 2},
		"conflict": {func(f *feed) {
			f.packetOf(rawInterface, second(0), ipFragment(7, 0, true, whole[:48]))
			f.packetOf(rawInterface, second(0), ipFragment(7, 0, true, other[:48]))
			f.packetOf(rawInterface, second(0), ipFragment(7, 48, false, whole[48:]))
		}, FragmentConflict, 3},
		"two ends": {func(f *feed) {
			f.packetOf(rawInterface, second(0), ipFragment(7, 48, false, whole[48:]))
			f.packetOf(rawInterface, second(0), ipFragment(7, 48, false, whole[48:60]))
		}, FragmentConflict, 2},
		"beyond 64 KiB": {func(f *feed) {
			f.packetOf(rawInterface, second(0), ipFragment(7, 65528, false, whole))
		}, BadFragment, 1},
		"too many datagrams": {func(f *feed) {
			f.table.fragments.max = 2
			for id := range uint16(5) {
				f.packetOf(rawInterface, second(0), ipFragment(id, 0, true, whole[:48]))
			}
		}, FragmentCap, 3},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFeed(t, DefaultConfig())
			test.feed(f)
			if test.want == FragmentTimeout {
				f.packetOf(rawInterface, second(100), ipFragment(9, 0, true, whole[:48]))
			}
			if got := f.table.Stats().Packets[test.want]; got != test.n {
				t.Errorf("%d packets counted %v, want %d", got, test.want, test.n)
			}
			if n := len(f.log.of(Data)); n != 0 {
				t.Errorf("%d datagrams came out", n)
			}
			f.close()
		})
	}
}

func TestSpreaderFollowsTunnelsInFragments(t *testing.T) {
	inner := ipFragment(0, 0, false, udpDatagram(100)) // no fragment itself
	gtpu := append([]byte{0x30, 255, 0, byte(len(inner)), 0, 0, 0, 9}, inner...)
	outer := make([]byte, 8, 8+len(gtpu))
	binary.BigEndian.PutUint16(outer[0:], 2152)
	binary.BigEndian.PutUint16(outer[2:], 2152)
	binary.BigEndian.PutUint16(outer[4:], uint16(8+len(gtpu)))
	outer = append(outer, gtpu...)
	packet := func(b []byte) *ingest.Packet {
		copy(b[12:], []byte{192, 0, 2, 1, 192, 0, 2, 2})
		return &ingest.Packet{Data: b, Length: len(b), Interface: rawInterface}
	}
	s := NewSpreader()
	want := s.Spread(&ingest.Packet{Data: inner, Length: len(inner), Interface: rawInterface})
	for name, p := range map[string]*ingest.Packet{"whole": packet(ipFragment(0, 0, false, outer))} {
		if got := s.Spread(p); got != want {
			t.Errorf("%s: %x, want the inner %x", name, got, want)
		}
	}
	if got := s.Spread(packet(ipFragment(5, 0, true, outer[:64]))); got != want {
		t.Errorf("first fragment: %x, want the inner %x", got, want)
	}
	if got := s.Spread(packet(ipFragment(5, 64, false, outer[64:]))); got != want {
		t.Errorf("last fragment: %x, want the inner %x", got, want)
	}
	for id := range uint16(5000) {
		s.Spread(packet(ipFragment(id, 0, true, outer[:64])))
	}
	if len(s.hashes) > maxSpreadFragments {
		t.Errorf("%d datagrams remembered", len(s.hashes))
	}
}

// A flood of fragments stays under its caps and is forgotten in time.
func TestFragmentFloodIsBounded(t *testing.T) {
	cfg := DefaultConfig()
	cfg.MaxFragmentBytes = 1 << 20
	f := newFeed(t, cfg)
	data := make([]byte, 8)
	for i := range 200_000 {
		at := second(0).Add(time.Duration(i) * time.Microsecond)
		f.packetOf(rawInterface, at, ipFragment(uint16(i%5000), 8*(i/5000*2), true, data))
		if g := f.table.fragments; g.bytes > cfg.MaxFragmentBytes || len(g.waiting) > cfg.MaxFragmented || len(g.order) > 4*cfg.MaxFragmented {
			t.Fatalf("after %d: %d bytes in %d datagrams, queue of %d", i, g.bytes, len(g.waiting), len(g.order))
		}
	}
	f.close()
	g := f.table.fragments
	if g.bytes != 0 || len(g.waiting) != 0 {
		t.Errorf("left over: %d bytes, %d datagrams", g.bytes, len(g.waiting))
	}
}

func FuzzFragments(f *testing.F) {
	f.Add([]byte{0, 0, 1, 8, 1, 0, 1, 0})
	f.Fuzz(func(t *testing.T, script []byte) {
		feed := newFeed(t, DefaultConfig())
		for i := 0; i+4 <= len(script); i += 4 {
			data := make([]byte, int(script[i+3])%64)
			for j := range data {
				data[j] = script[i]
			}
			feed.packetOf(rawInterface, second(0)+ingest.Timestamp(script[i])<<28, ipFragment(uint16(script[i]%3), int(script[i+1])*8, script[i+2]&1 != 0, data))
		}
		feed.close()
	})
}
