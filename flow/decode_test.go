package flow

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"flowscope/ingest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// seen is what the tests compare of a decoded packet.
type seen struct {
	Outcome  string
	Src, Dst string
	Proto    string
	Payload  string
	Length   int
	VLANs    []uint16
	Tunnels  []Tunnel
}

func look(d *decoded) seen {
	s := seen{Outcome: d.outcome.String()}
	if d.outcome != Handled {
		return s
	}
	a := netip.AddrPortFrom(d.key.addrA(), d.key.PortA)
	b := netip.AddrPortFrom(d.key.addrB(), d.key.PortB)
	if d.swapped {
		a, b = b, a
	}
	x := newExtra(&d.path)
	return seen{
		Outcome: "handled", Src: a.String(), Dst: b.String(), Proto: d.key.Proto.String(),
		Payload: string(d.payload), Length: d.payloadLength, VLANs: x.vlans, Tunnels: x.tunnels,
	}
}

func TestDecode(t *testing.T) {
	inner := func(list ...gopacket.SerializableLayer) []gopacket.SerializableLayer {
		ip := ip4("10.0.0.1", "10.0.0.2", layers.IPProtocolUDP)
		return append(list, ip, udpHeader(ip, 1111, 2222), gopacket.Payload("hello"))
	}
	plain := seen{Outcome: "handled", Src: "10.0.0.1:1111", Dst: "10.0.0.2:2222", Proto: "udp", Payload: "hello", Length: 5}
	with := func(change func(*seen)) seen { s := plain; change(&s); return s }
	outer := ip4("192.0.2.1", "192.0.2.2", layers.IPProtocolUDP)
	six := ip6("2001:db8::1", "2001:db8::2", layers.IPProtocolUDP)
	hop := &layers.IPv6HopByHop{}
	hop.NextHeader = layers.IPProtocolUDP
	hop.Options = []*layers.IPv6HopByHopOption{{OptionType: 1, OptionData: []byte{0, 0, 0, 0}}}
	sixHop := ip6("2001:db8::1", "2001:db8::2", layers.IPProtocolIPv6HopByHop)

	tests := map[string]struct {
		link  ingest.LinkType
		frame []byte
		want  seen
	}{
		"ethernet": {linkEthernet, serialize(t, inner(etherHeader(layers.EthernetTypeIPv4))...), plain},
		"ethernet with padding": {
			linkEthernet,
			append(serialize(t, inner(etherHeader(layers.EthernetTypeIPv4))...), make([]byte, 13)...),
			plain,
		},
		"vlan": {
			linkEthernet,
			serialize(t, inner(etherHeader(layers.EthernetTypeDot1Q), &layers.Dot1Q{VLANIdentifier: 7, Type: layers.EthernetTypeIPv4})...),
			with(func(s *seen) { s.VLANs = []uint16{7} }),
		},
		"priority tag is no vlan": {
			linkEthernet,
			serialize(t, inner(etherHeader(layers.EthernetTypeDot1Q), &layers.Dot1Q{Priority: 3, Type: layers.EthernetTypeIPv4})...),
			plain,
		},
		"qinq": {
			linkEthernet,
			serialize(t, inner(etherHeader(layers.EthernetTypeQinQ), &layers.Dot1Q{VLANIdentifier: 7, Type: layers.EthernetTypeDot1Q}, &layers.Dot1Q{VLANIdentifier: 4094, Type: layers.EthernetTypeIPv4})...),
			with(func(s *seen) { s.VLANs = []uint16{7, 4094} }),
		},
		"raw":            {linkRaw, serialize(t, inner()...), plain},
		"raw ipv4":       {linkIPv4, serialize(t, inner()...), plain},
		"null, little":   {linkNull, append([]byte{2, 0, 0, 0}, serialize(t, inner()...)...), plain},
		"null, big":      {linkNull, append([]byte{0, 0, 0, 2}, serialize(t, inner()...)...), plain},
		"loop":           {linkLoop, append([]byte{0, 0, 0, 2}, serialize(t, inner()...)...), plain},
		"sll":            {linkSLL, append([]byte{0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0}, serialize(t, inner()...)...), plain},
		"sll2":           {linkSLL2, append([]byte{8, 0, 0, 0, 0, 0, 0, 3, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0}, serialize(t, inner()...)...), plain},
		"ppp":            {linkPPP, append([]byte{0xff, 3, 0, 0x21}, serialize(t, inner()...)...), plain},
		"ppp compressed": {linkPPP, append([]byte{0x21}, serialize(t, inner()...)...), plain},
		"arp":            {linkEthernet, serialize(t, etherHeader(layers.EthernetTypeARP), gopacket.Payload(make([]byte, 28))), seen{Outcome: "not_ip"}},
		"unknown link":   {239, []byte{1, 2, 3}, seen{Outcome: "link_type"}},
		"short":          {linkEthernet, []byte{1, 2, 3}, seen{Outcome: "short_link_header"}},
		"ipv6": {
			linkEthernet,
			serialize(t, etherHeader(layers.EthernetTypeIPv6), six, udpHeader(six, 53, 9), gopacket.Payload("six")),
			seen{Outcome: "handled", Src: "[2001:db8::1]:53", Dst: "[2001:db8::2]:9", Proto: "udp", Payload: "six", Length: 3},
		},
		"ipv6 hop-by-hop": {
			linkEthernet,
			serialize(t, etherHeader(layers.EthernetTypeIPv6), sixHop, hop, udpHeader(six, 53, 9), gopacket.Payload("six")),
			seen{Outcome: "handled", Src: "[2001:db8::1]:53", Dst: "[2001:db8::2]:9", Proto: "udp", Payload: "six", Length: 3},
		},
		"mpls": {
			linkEthernet,
			serialize(t, inner(etherHeader(layers.EthernetTypeMPLSUnicast), &layers.MPLS{Label: 5}, &layers.MPLS{Label: 6, StackBottom: true})...),
			plain,
		},
		"pppoe": {
			linkEthernet,
			serialize(t, inner(etherHeader(layers.EthernetTypePPPoESession), &layers.PPPoE{Version: 1, Type: 1, SessionId: 3}, &layers.PPP{PPPType: layers.PPPTypeIPv4})...),
			plain,
		},
		"ip in ip": {
			linkRaw,
			serialize(t, inner(ip4("192.0.2.1", "192.0.2.2", layers.IPProtocolIPv4))...),
			with(func(s *seen) { s.Tunnels = []Tunnel{{Type: "ipip"}} }),
		},
		"gre with key": {
			linkRaw,
			serialize(t, inner(ip4("192.0.2.1", "192.0.2.2", layers.IPProtocolGRE), &layers.GRE{KeyPresent: true, Key: 99, Protocol: layers.EthernetTypeIPv4})...),
			with(func(s *seen) { s.Tunnels = []Tunnel{{Type: "gre", ID: 99}} }),
		},
		"vxlan": {
			linkRaw,
			serialize(t, inner(outer, udpHeader(outer, 5, 4789), &layers.VXLAN{ValidIDFlag: true, VNI: 77}, etherHeader(layers.EthernetTypeIPv4))...),
			with(func(s *seen) { s.Tunnels = []Tunnel{{Type: "vxlan", ID: 77}} }),
		},
		"vxlan's port alone": {
			linkRaw,
			serialize(t, outer, udpHeader(outer, 5, 4789), gopacket.Payload("no tunnel at all, only the port of one")),
			seen{Outcome: "handled", Src: "192.0.2.1:5", Dst: "192.0.2.2:4789", Proto: "udp", Payload: "no tunnel at all, only the port of one", Length: 38},
		},
		"geneve": {
			linkRaw,
			serialize(t, inner(outer, udpHeader(outer, 5, 6081), gopacket.Payload([]byte{0, 0, 0x65, 0x58, 0, 0, 9, 0}), etherHeader(layers.EthernetTypeIPv4))...),
			with(func(s *seen) { s.Tunnels = []Tunnel{{Type: "geneve", ID: 9}} }),
		},
		"other protocol": {
			linkRaw,
			serialize(t, ip4("10.0.0.1", "10.0.0.2", 89), gopacket.Payload("ospf")),
			seen{Outcome: "handled", Src: "10.0.0.1:0", Dst: "10.0.0.2:0", Proto: "89", Payload: "ospf", Length: 4},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d := decodeFrame(linkInterface(test.link), test.frame)
			if diff := cmp.Diff(test.want, look(&d)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestDecodeCutPacket(t *testing.T) {
	frame := udpFrame(t, "10.0.0.1", 1, "10.0.0.2", 2, "0123456789012345678901234567890123456789")
	p := ingest.Packet{Data: frame[:len(frame)-4], Length: len(frame), Interface: ethernetInterface}
	c := decoder{seed: newSeed()}
	var d decoded
	c.decode(&p, &d)
	if d.outcome != Handled || !d.truncated || d.payloadLength != 40 || len(d.payload) != 36 {
		t.Errorf("outcome %v, truncated %v, length %d, payload %q", d.outcome, d.truncated, d.payloadLength, d.payload)
	}
}

// Every prefix of every frame must decode to something without touching bytes
// beyond it, and both directions must have one key.
func TestDecodeBothDirectionsOneKey(t *testing.T) {
	c := decoder{seed: newSeed()}
	var d, r decoded
	there := udpFrame(t, "10.0.0.9", 1, "10.0.0.2", 2, "x")
	back := udpFrame(t, "10.0.0.2", 2, "10.0.0.9", 1, "y")
	c.decode(&ingest.Packet{Data: there, Length: len(there), Interface: ethernetInterface}, &d)
	c.decode(&ingest.Packet{Data: back, Length: len(back), Interface: ethernetInterface}, &r)
	if d.key != r.key || d.hash != r.hash || d.swapped == r.swapped {
		t.Errorf("keys %+v and %+v, swapped %v and %v", d.key, r.key, d.swapped, r.swapped)
	}
}

// A Teredo client sends through a server and is answered through a relay (RFC
// 4380 section 5.2.2): only the addresses inside are those of one flow.
func TestSpreadTeredo(t *testing.T) {
	packet := func(src, dst string) string {
		ip := ip6(src, dst, layers.IPProtocolICMPv6)
		return string(serialize(t, ip, gopacket.Payload("\x80\x00\x00\x00\x00\x01\x00\x01")))
	}
	const client, peer = "2001:0:4137:9e50:8000:f12a:b9c8:2815", "2001:4860:0:2001::68"
	there := udpFrame(t, "192.168.2.16", 3797, "65.55.158.80", 3544, packet(client, peer))
	back := udpFrame(t, "83.170.1.38", 32900, "192.168.2.16", 3797, packet(peer, client))
	want := Spread(&ingest.Packet{Data: there, Length: len(there), Interface: ethernetInterface})
	if got := Spread(&ingest.Packet{Data: back, Length: len(back), Interface: ethernetInterface}); got != want {
		t.Errorf("the answer is spread to %x, the question to %x", got, want)
	}
}

func TestSpreadSymmetric(t *testing.T) {
	outer := ip4("192.0.2.1", "192.0.2.2", layers.IPProtocolUDP)
	inner := ip4("10.0.0.1", "10.0.0.2", layers.IPProtocolUDP)
	vxlan := serialize(t, etherHeader(layers.EthernetTypeIPv4), outer, udpHeader(outer, 5, 4789), &layers.VXLAN{ValidIDFlag: true, VNI: 77},
		etherHeader(layers.EthernetTypeIPv4), inner, udpHeader(inner, 3, 4), gopacket.Payload("x"))
	there := udpFrame(t, "10.0.0.1", 3, "10.0.0.2", 4, "x")
	back := udpFrame(t, "10.0.0.2", 4, "10.0.0.1", 3, "x")
	fragment := append([]byte(nil), there...)
	fragment[14+6] = 0x20 // more fragments
	want := Spread(&ingest.Packet{Data: there, Length: len(there), Interface: ethernetInterface})
	for name, frame := range map[string][]byte{"other direction": back, "inside vxlan": vxlan, "fragment": fragment} {
		if got := Spread(&ingest.Packet{Data: frame, Length: len(frame), Interface: ethernetInterface}); got != want {
			t.Errorf("%s: %x, want %x", name, got, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(uint32(linkEthernet), udpFrame(f, "10.0.0.1", 1, "10.0.0.2", 2, "x"))
	f.Add(uint32(linkEthernet), tcpFrame(f, "10.0.0.1", 1, "10.0.0.2", 2, "SA", 5, ""))
	seedCorpus(f)
	c := decoder{seed: newSeed(), verify: true}
	f.Fuzz(func(t *testing.T, link uint32, frame []byte) {
		p := ingest.Packet{Data: frame[:len(frame):len(frame)], Length: len(frame), Interface: &ingest.Interface{LinkType: ingest.LinkType(link)}}
		var d decoded
		c.decode(&p, &d)
		Spread(&p)
		if d.outcome == Handled && (d.payloadLength < len(d.payload) || d.payloadLength < 0) {
			t.Fatalf("payload of %d bytes, length %d", len(d.payload), d.payloadLength)
		}
		sameAsBare(t, &c, &p, &d)
	})
}

// sameAsBare holds what was decoded of an Ethernet frame with IPv4 in it, which has
// a way of its own, to what the packet is without the frame.
func sameAsBare(t *testing.T, c *decoder, p *ingest.Packet, d *decoded) {
	if p.Interface.LinkType != linkEthernet || len(p.Data) < 14 || binary.BigEndian.Uint16(p.Data[12:]) != etherIPv4 || len(p.Data) > 14 && p.Data[14]>>4 != 4 {
		return
	}
	bare := ingest.Packet{Data: p.Data[14:], Length: p.Length - 14, Interface: &ingest.Interface{LinkType: linkRaw}}
	var b decoded
	c.decode(&bare, &b)
	if b.outcome != d.outcome || b.truncated != d.truncated || b.checksums != d.checksums {
		t.Fatalf("outcome %v, truncated %t, checksums %b, bare %v, %t, %b", d.outcome, d.truncated, d.checksums, b.outcome, b.truncated, b.checksums)
	}
	if b.outcome == Handled && (b.key != d.key || b.hash != d.hash || b.swapped != d.swapped || b.payloadLength != d.payloadLength || !bytes.Equal(b.payload, d.payload)) {
		t.Fatalf("key %+v, %d bytes, bare %+v, %d bytes", d.key, d.payloadLength, b.key, b.payloadLength)
	}
}

func BenchmarkDecode(b *testing.B) {
	frames := map[string][]byte{
		"udp":   udpFrame(b, "10.0.0.1", 1, "10.0.0.2", 2, "0123456789012345678901234567890"),
		"tcp":   tcpFrame(b, "10.0.0.1", 1, "10.0.0.2", 2, "A", 7, "0123456789012345678901234567890"),
		"vxlan": nil,
	}
	outer, inner := ip4("192.0.2.1", "192.0.2.2", layers.IPProtocolUDP), ip4("10.0.0.1", "10.0.0.2", layers.IPProtocolUDP)
	frames["vxlan"] = serialize(b, etherHeader(layers.EthernetTypeIPv4), outer, udpHeader(outer, 5, 4789), &layers.VXLAN{ValidIDFlag: true, VNI: 77},
		etherHeader(layers.EthernetTypeIPv4), inner, udpHeader(inner, 3, 4), gopacket.Payload("x"))
	for name, frame := range frames {
		b.Run(name, func(b *testing.B) {
			c := decoder{seed: newSeed()}
			p := ingest.Packet{Data: frame, Length: len(frame), Interface: ethernetInterface}
			var d decoded
			b.ReportAllocs()
			for b.Loop() {
				c.decode(&p, &d)
			}
		})
	}
	b.Run("spread", func(b *testing.B) {
		p := ingest.Packet{Data: frames["udp"], Length: len(frames["udp"]), Interface: ethernetInterface}
		b.ReportAllocs()
		for b.Loop() {
			Spread(&p)
		}
	})
}
