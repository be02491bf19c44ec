package flow

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

func icmp4(t testing.TB, src, dst string, typ, code uint8, quoted []byte) []byte {
	return serialize(t, etherHeader(layers.EthernetTypeIPv4), ip4(src, dst, layers.IPProtocolICMPv4),
		&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(typ, code)}, gopacket.Payload(quoted))
}

func icmp6(t testing.TB, src, dst string, typ, code uint8, quoted []byte) []byte {
	ip := ip6(src, dst, layers.IPProtocolICMPv6)
	h := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(typ, code)}
	if err := h.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	return serialize(t, etherHeader(layers.EthernetTypeIPv6), ip, h, gopacket.Payload(append([]byte{0, 0, 0, 0}, quoted...)))
}

// An ICMP error names the flow it quotes, and leaves it alone.
func TestQuoted(t *testing.T) {
	udp := udpFrame(t, "10.0.0.1", 4000, "10.0.0.2", 53, "a question")
	six := ip6("2001:db8::1", "2001:db8::2", layers.IPProtocolUDP)
	udp6 := serialize(t, etherHeader(layers.EthernetTypeIPv6), six, udpHeader(six, 4000, 53), gopacket.Payload("a question"))
	tcp := tcpFrame(t, "10.0.0.1", 4001, "10.0.0.2", 80, "S", 7, "")
	echo := icmp4(t, "10.0.0.1", "10.0.0.2", 8, 0, nil)
	fragment := append([]byte(nil), udp...)
	fragment[14+7] = 9
	for _, test := range []struct {
		name   string
		before []byte // a packet whose flow is tracked
		err    []byte
		want   *Quoted
	}{
		{
			"port unreachable", udp, icmp4(t, "10.0.0.2", "10.0.0.1", 3, 3, udp[14:14+28]),
			&Quoted{HasID: true, HasCommunityID: true, Transport: UDP, Src: addrPort("10.0.0.1:4000"), Dst: addrPort("10.0.0.2:53")},
		},
		{
			"from a router, of a flow that is not tracked", nil, icmp4(t, "192.0.2.9", "10.0.0.1", 11, 0, udp[14:14+28]),
			&Quoted{HasCommunityID: true, Transport: UDP, Src: addrPort("10.0.0.1:4000"), Dst: addrPort("10.0.0.2:53")},
		},
		{
			"from a router, of a flow that is tracked", udp, icmp4(t, "192.0.2.9", "10.0.0.1", 11, 0, udp[14:14+28]),
			&Quoted{HasCommunityID: true, Transport: UDP, Src: addrPort("10.0.0.1:4000"), Dst: addrPort("10.0.0.2:53")},
		},
		{
			"TCP, eight bytes of it", tcp, icmp4(t, "10.0.0.2", "10.0.0.1", 3, 3, tcp[14:14+28]),
			&Quoted{HasID: true, HasCommunityID: true, Transport: TCP, Src: addrPort("10.0.0.1:4001"), Dst: addrPort("10.0.0.2:80")},
		},
		{
			"echo", echo, icmp4(t, "10.0.0.2", "10.0.0.1", 3, 1, echo[14:14+28]),
			&Quoted{HasID: true, HasCommunityID: true, Transport: ICMP, Src: addrPort("10.0.0.1:8"), Dst: addrPort("10.0.0.2:0")},
		},
		{
			"icmp6", udp6, icmp6(t, "2001:db8::2", "2001:db8::1", 1, 4, udp6[14:]),
			&Quoted{HasID: true, HasCommunityID: true, Transport: UDP, Src: addrPort("[2001:db8::1]:4000"), Dst: addrPort("[2001:db8::2]:53")},
		},
		{
			"a later fragment has no ports", udp, icmp4(t, "10.0.0.2", "10.0.0.1", 11, 1, fragment[14:]),
			&Quoted{Transport: UDP, Src: addrPort("10.0.0.1:0"), Dst: addrPort("10.0.0.2:0")},
		},
		{"cut off", udp, icmp4(t, "10.0.0.2", "10.0.0.1", 3, 3, udp[14:14+19]), nil},
		{"an echo quotes nothing", udp, icmp4(t, "10.0.0.2", "10.0.0.1", 8, 0, udp[14:]), nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFeed(t, DefaultConfig())
			if test.before != nil {
				f.packet(second(0), test.before)
			}
			f.packet(second(1), test.err)
			f.close()
			opened, closed := f.log.of(Opened), f.log.of(Closed)
			last := len(opened) - 1
			want := test.want
			if want != nil && want.HasID {
				want.ID, want.CommunityID = opened[0].info.ID, opened[0].info.CommunityID
			} else if want != nil && want.HasCommunityID {
				// As the packet itself would have it.
				g := newFeed(t, DefaultConfig())
				g.packet(second(0), udp)
				want.CommunityID = g.log.of(Opened)[0].info.CommunityID
			}
			for _, e := range []recorded{opened[last], closed[last]} {
				if diff := cmp.Diff(want, e.info.Quoted, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
					t.Errorf("%v (-want +got):\n%s", e.kind, diff)
				}
			}
			if test.before != nil {
				if s := closed[0].stats; s.Sides[0].Packets != 1 || s.Sides[1].Packets != 0 || s.Last != second(0) {
					t.Errorf("the quoted flow was touched: %+v", s)
				}
			}
		})
	}
}

// An ICMP flow whose errors quote several flows names each: the first with the
// flow, the others as anomalies.
func TestQuotedOthers(t *testing.T) {
	f := newFeed(t, DefaultConfig())
	var want []string
	for i := range uint16(3) {
		udp := udpFrame(t, "10.0.0.1", 4000+i, "10.0.0.2", 53, "a question")
		f.packet(second(float64(i)), icmp4(t, "10.0.0.2", "10.0.0.1", 3, 3, udp[14:]))
		f.packet(second(float64(i)), icmp4(t, "10.0.0.2", "10.0.0.1", 3, 3, udp[14:])) // the same again
		want = append(want, netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), 4000+i).String())
	}
	f.close()
	got := []string{f.log.of(Opened)[0].info.Quoted.Src.String()}
	for _, e := range f.log.of(Anomalous) {
		if e.anomaly.Name != "icmp_error" {
			t.Errorf("anomaly %s", e.anomaly.Name)
		}
		got = append(got, e.info.Quoted.Src.String())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("quoted (-want +got):\n%s", diff)
	}
}

func addrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }
