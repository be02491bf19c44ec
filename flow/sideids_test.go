package flow

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// there and back are the two directions of one UDP flow.
func innerPacket(t testing.TB, back bool) []byte {
	src, dst, sport, dport := "10.0.0.1", "10.0.0.2", uint16(1111), uint16(2222)
	if back {
		src, dst, sport, dport = dst, src, dport, sport
	}
	ip := ip4(src, dst, layers.IPProtocolUDP)
	return serialize(t, ip, udpHeader(ip, sport, dport), gopacket.Payload("hello"))
}

// Identifiers that differ per direction are noted for each, and split no flow.
func TestIdentifiersPerDirection(t *testing.T) {
	outer := ip4("192.0.2.1", "192.0.2.2", layers.IPProtocolUDP)
	greOuter := ip4("192.0.2.1", "192.0.2.2", layers.IPProtocolGRE)
	gtp := func(teid byte, inner []byte) []byte {
		header := []byte{0x30, 0xff, 0, byte(len(inner)), 0, 0, 0, teid}
		return serialize(t, etherHeader(layers.EthernetTypeIPv4), outer, udpHeader(outer, 2152, 2152), gopacket.Payload(append(header, inner...)))
	}
	pptp := func(call byte, inner []byte) []byte { // RFC 2637 section 4.1: key, sequence, version 1
		header := []byte{0x30, 0x01, 0x88, 0x0b, 0, byte(len(inner) + 4), 0, call, 0, 0, 0, 9, 0xff, 0x03, 0x00, 0x21}
		return serialize(t, etherHeader(layers.EthernetTypeIPv4), greOuter, gopacket.Payload(append(header, inner...)))
	}
	erspan := func(session byte, inner []byte) []byte { // draft-foschiano-erspan-03 section 4.2
		ether := serialize(t, etherHeader(layers.EthernetTypeIPv4), gopacket.Payload(inner))
		header := []byte{0x10, 0x00, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 0x00, 0x04, session, 0, 0, 0, 0}
		return serialize(t, etherHeader(layers.EthernetTypeIPv4), greOuter, gopacket.Payload(append(header, ether...)))
	}
	mpls := func(inner []byte, labels ...uint32) []byte {
		list := []gopacket.SerializableLayer{etherHeader(layers.EthernetTypeMPLSUnicast)}
		for i, l := range labels {
			list = append(list, &layers.MPLS{Label: l, StackBottom: i == len(labels)-1})
		}
		return serialize(t, append(list, gopacket.Payload(inner))...)
	}
	there, back := innerPacket(t, false), innerPacket(t, true)
	plain := func(inner []byte) []byte {
		return serialize(t, etherHeader(layers.EthernetTypeIPv4), gopacket.Payload(inner))
	}
	vxlan := serialize(t, outer, udpHeader(outer, 5, 4789), &layers.VXLAN{ValidIDFlag: true, VNI: 77}, etherHeader(layers.EthernetTypeIPv4), gopacket.Payload(there))
	vxlanBack := serialize(t, outer, udpHeader(outer, 5, 4789), &layers.VXLAN{ValidIDFlag: true, VNI: 77}, etherHeader(layers.EthernetTypeIPv4), gopacket.Payload(back))

	for _, test := range []struct {
		name        string
		there, back []byte
		want        []Tunnel
	}{
		{"gtpu", gtp(7, there), gtp(9, back), []Tunnel{{Type: "gtpu", SideIDs: [2][]uint32{{7}, {9}}}}},
		{"gre version 1", pptp(3, there), pptp(4, back), []Tunnel{{Type: "gre", SideIDs: [2][]uint32{{3}, {4}}}}},
		{"erspan", erspan(5, there), erspan(6, back), []Tunnel{{Type: "erspan", SideIDs: [2][]uint32{{5}, {6}}}}},
		{"mpls, stacks of two heights", mpls(there, 16, 1048575), mpls(back, 17), []Tunnel{{Type: "mpls", SideIDs: [2][]uint32{{16, 1048575}, {17}}}}},
		{"mpls one way only", plain(there), mpls(back, 17, 18), []Tunnel{{Type: "mpls", SideIDs: [2][]uint32{nil, {17, 18}}}}},
		{
			"mpls around vxlan", mpls(vxlan, 20), mpls(vxlanBack, 21),
			[]Tunnel{{Type: "mpls", SideIDs: [2][]uint32{{20}, {21}}}, {Type: "vxlan", ID: 77}},
		},
		{
			"mpls around vxlan, one way only", serialize(t, etherHeader(layers.EthernetTypeIPv4), gopacket.Payload(vxlan)), mpls(vxlanBack, 21),
			[]Tunnel{{Type: "mpls", SideIDs: [2][]uint32{nil, {21}}}, {Type: "vxlan", ID: 77}},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFeed(t, DefaultConfig())
			f.packet(second(0), test.there)
			f.packet(second(1), test.back)
			f.packet(second(2), test.there)
			f.close()
			closed := f.log.of(Closed)
			if len(closed) != 1 {
				t.Fatalf("%d flows, want one", len(closed))
			}
			if n := closed[0].stats.Sides; n[0].Packets != 2 || n[1].Packets != 1 {
				t.Errorf("packets %d and %d, want 2 and 1", n[0].Packets, n[1].Packets)
			}
			if diff := cmp.Diff(test.want, closed[0].info.Tunnels, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("tunnels (-want +got):\n%s", diff)
			}
		})
	}
}

// A tap that sees other VLANs in each direction still sees one flow, if it is
// configured so.
func TestVLANsInKey(t *testing.T) {
	frame := func(vlan uint16, inner []byte) []byte {
		return serialize(t, etherHeader(layers.EthernetTypeDot1Q), &layers.Dot1Q{VLANIdentifier: vlan, Type: layers.EthernetTypeIPv4}, gopacket.Payload(inner))
	}
	for _, inKey := range []bool{true, false} {
		cfg := DefaultConfig()
		cfg.VLANsInKey = inKey
		f := newFeed(t, cfg)
		f.packet(second(0), frame(100, innerPacket(t, false)))
		f.packet(second(1), frame(200, innerPacket(t, true)))
		f.close()
		closed := f.log.of(Closed)
		want := 1
		if inKey {
			want = 2
		}
		if len(closed) != want {
			t.Fatalf("in key %v: %d flows, want %d", inKey, len(closed), want)
		}
		if diff := cmp.Diff([]uint16{100}, closed[0].info.VLANs); diff != "" {
			t.Errorf("in key %v: VLANs (-want +got):\n%s", inKey, diff)
		}
	}
}
