package flow

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"flowscope/ingest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// plainSum is RFC 1071 section 4.1, word by word.
func plainSum(b []byte) uint16 {
	sum := uint32(0)
	for len(b) > 1 {
		sum += uint32(binary.BigEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return uint16(sum)
}

func TestSum(t *testing.T) {
	// The example of RFC 1071 section 3.
	if got := swap(fold(sum(0, []byte{0, 1, 0xf2, 3, 0xf4, 0xf5, 0xf6, 0xf7}))); got != 0xddf2 {
		t.Errorf("%#x, want 0xddf2", got)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 300 {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
			if n%3 == 0 {
				b[i] = 0xff // carries everywhere
			}
		}
		got, want := swap(fold(sum(0, b))), plainSum(b)
		if got != want {
			t.Errorf("%d bytes: %#x, want %#x", n, got, want)
		}
	}
}

func swap(v uint16) uint16 { return v<<8 | v>>8 }

func TestChecksums(t *testing.T) {
	six := ip6("2001:db8::1", "2001:db8::2", layers.IPProtocolUDP)
	tcp := tcpFrame(t, "10.0.0.1", 1, "10.0.0.2", 2, "A", 7, "odd")
	udp := udpFrame(t, "10.0.0.1", 1, "10.0.0.2", 2, "even")
	udp6 := serialize(t, etherHeader(layers.EthernetTypeIPv6), six, udpHeader(six, 53, 9), gopacket.Payload("seven"))
	icmp := serialize(t, etherHeader(layers.EthernetTypeIPv4), ip4("10.0.0.1", "10.0.0.2", layers.IPProtocolICMPv4),
		&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(8, 0), Id: 1, Seq: 2}, gopacket.Payload("ping"))
	echo6 := ip6("2001:db8::1", "2001:db8::2", layers.IPProtocolICMPv6)
	header6 := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(128, 0)}
	if err := header6.SetNetworkLayerForChecksum(echo6); err != nil {
		t.Fatal(err)
	}
	icmp6 := serialize(t, etherHeader(layers.EthernetTypeIPv6), echo6, header6, gopacket.Payload("\x00\x01\x00\x02ping"))
	with := func(frame []byte, change func([]byte)) []byte {
		b := bytes.Clone(frame)
		change(b)
		return b
	}
	const ip, l4, l46 = 14, 14 + 20, 14 + 40
	put := func(at int, v uint16) func([]byte) {
		return func(b []byte) { binary.BigEndian.PutUint16(b[at:], v) }
	}
	// pseudo is what a sender leaves in a TCP segment for its network card.
	pseudo := func(length uint16) uint16 {
		b := []byte{10, 0, 0, 1, 10, 0, 0, 2, 0, 6, 0, 0}
		binary.BigEndian.PutUint16(b[10:], length)
		return plainSum(b)
	}
	for _, test := range []struct {
		name  string
		frame []byte
		cut   int
		want  map[string]uint64
	}{
		{"tcp", tcp, 0, nil},
		{"tcp, a byte of payload changed", with(tcp, func(b []byte) { b[l4+20]++ }), 0, map[string]uint64{"tcp": 1}},
		{"tcp, a byte of payload changed, and cut", with(tcp, func(b []byte) { b[l4+20]++ }), 4, nil},
		{"tcp, left to the card", with(tcp, put(l4+16, pseudo(23))), 0, map[string]uint64{"offloaded": 1}},
		{"tcp, left to a card that segments", with(tcp, put(l4+16, pseudo(0))), 0, map[string]uint64{"offloaded": 1}},
		{"ip", with(tcp, func(b []byte) { b[ip+8]-- }), 0, map[string]uint64{"ip": 1}},
		{"ip, left to the card", with(tcp, put(ip+10, 0)), 0, map[string]uint64{"offloaded": 1}},
		{"ip length 0", with(tcp, func(b []byte) { b[ip+2], b[ip+3] = 0, 0; b[l4+20]++ }), 0, nil},
		{"udp", udp, 0, nil},
		{"udp, none", with(udp, put(l4+6, 0)), 0, nil},
		{"udp, port changed", with(udp, func(b []byte) { b[l4]++ }), 0, map[string]uint64{"udp": 1}},
		{"udp and ip", with(udp, func(b []byte) { b[l4]++; b[ip+8]-- }), 0, map[string]uint64{"udp": 1, "ip": 1}},
		{"padding does not count", append(bytes.Clone(udp), 1, 2, 3), 0, nil},
		{"udp over ipv6", udp6, 0, nil},
		{"udp over ipv6, none, which is not allowed", with(udp6, put(l46+6, 0)), 0, map[string]uint64{"udp": 1}},
		{"udp over ipv6, address changed", with(udp6, func(b []byte) { b[14+23]++ }), 0, map[string]uint64{"udp": 1}},
		{"icmp", icmp, 0, nil},
		{"icmp changed", with(icmp, func(b []byte) { b[l4+8]++ }), 0, map[string]uint64{"icmp": 1}},
		{"icmp6", icmp6, 0, nil},
		{"icmp6 changed", with(icmp6, func(b []byte) { b[len(b)-1]++ }), 0, map[string]uint64{"icmp6": 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, mode := range []string{ChecksumsCount, ChecksumsDrop, ChecksumsOff} {
				cfg := DefaultConfig()
				cfg.Checksums = mode
				f := newFeed(t, cfg)
				frame := test.frame
				f.number++
				f.table.HandlePackets([]ingest.Packet{{
					Data: frame[:len(frame)-test.cut], Length: len(frame), Time: second(0), Clock: second(0), Number: 1, Interface: ethernetInterface,
				}})
				f.close()
				stats := f.table.Stats()
				want := test.want
				if want == nil || mode == ChecksumsOff {
					want = map[string]uint64{}
				}
				if diff := cmp.Diff(want, stats.ChecksumsByKind()); diff != "" {
					t.Errorf("%s (-want +got):\n%s", mode, diff)
				}
				dropped := uint64(0)
				if _, fine := want["offloaded"]; mode == ChecksumsDrop && len(want) > 0 && !fine {
					dropped = 1
				}
				if stats.Packets[BadChecksum] != dropped || stats.Packets[Handled] != 1-dropped {
					t.Errorf("%s: %d dropped, %d handled, want %d dropped", mode, stats.Packets[BadChecksum], stats.Packets[Handled], dropped)
				}
			}
		})
	}
}

func BenchmarkChecksum(b *testing.B) {
	for name, payload := range map[string]string{"60": string(make([]byte, 6)), "700": string(make([]byte, 646)), "1514": string(make([]byte, 1460))} {
		frame := tcpFrame(b, "10.0.0.1", 1, "10.0.0.2", 2, "A", 7, payload)
		for _, mode := range []string{ChecksumsCount, ChecksumsOff} {
			b.Run(name+"/"+mode, func(b *testing.B) {
				cfg := DefaultConfig()
				cfg.Checksums = mode
				c := newDecoder(&cfg)
				p := ingest.Packet{Data: frame, Length: len(frame), Interface: ethernetInterface}
				var d decoded
				b.ReportAllocs()
				for b.Loop() {
					c.decode(&p, &d)
				}
			})
		}
	}
}
