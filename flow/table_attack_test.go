package flow

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"
	"unsafe"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"flowscope/ingest"
)

// raw sends a frame as it is; it is not used again.
func (a *attack) raw(frame []byte) {
	a.sent++
	a.batch = append(a.batch, ingest.Packet{Data: frame, Length: len(frame), Time: a.now, Clock: a.now, Number: a.sent, Interface: ethernetInterface})
	if len(a.batch) == lookAhead {
		a.flush()
	}
}

func TestConnectionRecordSize(t *testing.T) {
	// Beside its 256 bytes, an idle TCP flow takes this, 16 in the index, and
	// what the session layer keeps: 700 in all without the parser.
	if n := unsafe.Sizeof(conn{}); n > 400 {
		t.Errorf("a connection takes %d bytes", n)
	}
}

// fragmentOf returns a template of a fragment with 8·n bytes; id, offset and flag
// are written into it by setFragment.
func fragmentOf(tb testing.TB, n int) []byte {
	ip := ip4("10.0.0.1", "10.0.0.2", layers.IPProtocolUDP)
	return serialize(tb, etherHeader(layers.EthernetTypeIPv4), ip, gopacket.Payload(make([]byte, 8*n)))
}

func setFragment(frame []byte, id uint32, offset int, more bool) []byte {
	b := append([]byte(nil), frame...)
	field := uint16(offset / 8)
	if more {
		field |= 0x2000
	}
	binary.BigEndian.PutUint16(b[14+4:], uint16(id))
	binary.BigEndian.PutUint16(b[14+6:], field)
	binary.BigEndian.PutUint16(b[14+12:], 10<<8|uint16(id>>16))
	return b
}

// Datagrams of which one fragment never comes: full ones, and tiny ones, more
// than may wait.
func TestAttackFragments(t *testing.T) {
	for _, units := range []int{1, 180} {
		t.Run(fmt.Sprintf("%d bytes", 8*units), func(t *testing.T) {
			cfg := DefaultConfig()
			cfg.MaxFragmented, cfg.MaxFragmentBytes = 1000, 4<<20
			a := newAttack(t, cfg)
			frame := fragmentOf(t, units)
			for id := range uint32(20_000) {
				for piece := range 4 {
					a.raw(setFragment(frame, id, (2*piece+1)*8*units, true))
				}
				a.now = a.now.Add(time.Microsecond)
			}
			a.flush()
			if n := len(a.table.fragments.waiting); n > cfg.MaxFragmented {
				t.Errorf("%d datagrams wait, want at most %d", n, cfg.MaxFragmented)
			}
			// A datagram's own record and its place in the table of them.
			a.end(cfg.MaxFragmentBytes + cfg.MaxFragmented*1024 + tableBytes(1))
		})
	}
}

// Fragments that contradict each other, in ever new datagrams and in one.
func TestAttackConflictingFragments(t *testing.T) {
	cfg := DefaultConfig()
	cfg.MaxFragmented, cfg.MaxFragmentBytes = 1000, 4<<20
	a := newAttack(t, cfg)
	frame := fragmentOf(t, 100)
	for id := range uint32(20_000) {
		a.raw(setFragment(frame, id, 0, true))
		other := setFragment(frame, id, 0, true)
		other[14+20]++
		a.raw(other)
		a.raw(setFragment(frame, 1, 0, true))
		a.now = a.now.Add(time.Microsecond)
	}
	a.flush()
	if n := a.table.counters.Packets[FragmentConflict]; n < 40_000 {
		t.Errorf("%d fragments in conflict", n)
	}
	if n := a.table.fragments.bytes; n > 2*800 { // the last ones may have begun anew
		t.Errorf("%d bytes of contradicting datagrams are kept", n)
	}
	a.end(cfg.MaxFragmented*1024 + tableBytes(1))
}

// Tunnels in tunnels, deeper than is followed, and each flow in others than the
// last.
func TestAttackTunnels(t *testing.T) {
	cfg := DefaultConfig()
	cfg.MaxFlows = 1000
	a := newAttack(t, cfg)
	inner := innerPacket(t, false)
	for depth := range 40 {
		frame := append([]byte(nil), inner...)
		for range depth {
			frame = serialize(t, ip4("192.0.2.1", "192.0.2.2", layers.IPProtocolIPv4), gopacket.Payload(frame))
		}
		a.raw(serialize(t, etherHeader(layers.EthernetTypeIPv4), gopacket.Payload(frame)))
	}
	a.flush()
	if n := a.table.counters.Packets[TooDeep]; n != 40-9 {
		t.Errorf("%d packets too deep, want %d", n, 40-9)
	}
	outer := ip4("192.0.2.1", "192.0.2.2", layers.IPProtocolUDP)
	for id := range uint32(20_000) {
		list := []gopacket.SerializableLayer{etherHeader(layers.EthernetTypeIPv4)}
		for range 3 {
			list = append(list, outer, udpHeader(outer, 5, 4789), &layers.VXLAN{ValidIDFlag: true, VNI: id}, etherHeader(layers.EthernetTypeIPv4))
		}
		a.raw(serialize(t, append(list, gopacket.Payload(inner))...))
	}
	a.flush()
	if n := len(a.table.extra); n > cfg.MaxFlows {
		t.Errorf("what is known of tunnels is kept of %d flows, want at most %d", n, cfg.MaxFlows)
	}
	a.end(tableBytes(cfg.MaxFlows) + cfg.MaxFlows*1024)
}

// ICMP errors that quote ever other flows, on one flow and on many.
func TestAttackQuotations(t *testing.T) {
	cfg := DefaultConfig()
	cfg.MaxFlows = 1000
	a := newAttack(t, cfg)
	quoted := udpFrame(t, "10.0.0.1", 4000, "10.0.0.2", 53, "a question")[14:]
	frame := icmp4(t, "10.0.0.2", "10.0.0.1", 3, 3, quoted)
	for i := range uint32(50_000) {
		b := append([]byte(nil), frame...)
		binary.BigEndian.PutUint16(b[14+20+8+20:], uint16(i))
		binary.BigEndian.PutUint16(b[14+16:], 10<<8|uint16(i%5000))
		a.raw(b)
	}
	a.flush()
	a.end(tableBytes(cfg.MaxFlows) + cfg.MaxFlows*1024)
}

// Flows that are never left alone long enough to end: more than the table holds.
func TestAttackFlowsThatNeverEnd(t *testing.T) {
	cfg := DefaultConfig()
	cfg.MaxFlows = 10_000
	a := newAttack(t, cfg)
	frame := udpFrame(t, "10.0.0.1", 1, "10.0.0.2", 9, "x")
	for range 10 {
		for i := range uint32(15_000) {
			b := append([]byte(nil), frame...)
			binary.BigEndian.PutUint32(b[14+12:], 10<<24|i)
			a.raw(b)
		}
		a.now = a.now.Add(10 * time.Second)
	}
	a.flush()
	if n := a.table.store.live; n > cfg.MaxFlows {
		t.Errorf("%d flows, want at most %d", n, cfg.MaxFlows)
	}
	// The starts of what has ended are remembered too, see starts.
	a.end(tableBytes(cfg.MaxFlows) + 2*cfg.MaxFlows*16)
}

// Somebody who knows the hash but not its seed sends keys that would collide
// without one: they must spread like others.
func TestAttackCollisions(t *testing.T) {
	patterns := map[string]func(k *Key, i uint32){
		"counting": func(k *Key, i uint32) { binary.BigEndian.PutUint32(k.A[:], i) },
		"ports and address cancel": func(k *Key, i uint32) {
			binary.BigEndian.PutUint32(k.A[:], i)
			k.PortA, k.PortB = uint16(i), uint16(i>>16)
		},
		"both addresses alike": func(k *Key, i uint32) {
			binary.BigEndian.PutUint32(k.A[:], i)
			binary.BigEndian.PutUint32(k.B[:], i)
		},
		"upper bits only": func(k *Key, i uint32) {
			k.IP6 = 1
			binary.BigEndian.PutUint32(k.B[12:], i<<12)
		},
		"zeros": func(k *Key, i uint32) { k.Scope = uint64(i) << 32 },
	}
	const n = 1 << 15
	for name, pattern := range patterns {
		t.Run(name, func(t *testing.T) {
			for range 5 {
				seed, index := newSeed(), newStore()
				for i := range uint32(n) {
					k := Key{Proto: UDP, A: [16]byte{10}, B: [16]byte{10, 1}}
					pattern(&k, i)
					index.insert(&k, seed.hash(&k))
				}
				// How far entries stand from where they would best be: with half of
				// the places taken, half a place on average.
				total := uint64(0)
				for at, e := range index.index {
					if e != 0 {
						total += (uint64(at) - e>>32) & index.mask
					}
				}
				if mean := float64(total) / n; mean > 1.5 {
					t.Errorf("entries stand %.2f places from their best, want about 0.5", mean)
				}
			}
		})
	}
}
