package filter

import (
	"encoding/binary"
	"testing"
)

// tag puts a VLAN tag into an Ethernet frame.
func (f frame) tag(tpid, tci uint16) frame {
	b := append([]byte{}, f.data[:12]...)
	b = binary.BigEndian.AppendUint16(b, tpid)
	b = binary.BigEndian.AppendUint16(b, tci)
	f.data = append(b, f.data[12:]...)
	f.length += 4
	return f
}

// plainFrames are the Ethernet frames of the captures that have no tag.
func plainFrames(t testing.TB) (plain []frame) {
	for _, f := range corpus(t) {
		if n, _ := f.untagged(); f.link == linkEthernet && n == 0 && len(f.data) >= 14 {
			plain = append(plain, f)
		}
	}
	return plain
}

// TestTagsDoNotMatter gives the same frames with one and with two tags.
func TestTagsDoNotMatter(t *testing.T) {
	plain := plainFrames(t)
	for _, e := range primitives {
		p := compiled(t, linkEthernet, e)
		for _, f := range plain {
			want := p.Match(f.data, f.length)
			one := f.tag(0x8100, 0x6005)
			two := one.tag(0x88a8, 7)
			if p.Match(one.data, one.length) != want || p.Match(two.data, two.length) != want {
				t.Errorf("%s: %s: %v without tags, not with them", e, f.file, want)
				break
			}
		}
	}
}

// TestVLANAsTcpdump has the expressions that mean the same here and there, for
// frames with at most one tag.
func TestVLANAsTcpdump(t *testing.T) {
	var all []frame
	for _, f := range corpus(t) {
		if n, _ := f.untagged(); f.link == linkEthernet && n < 2 {
			all = append(all, f)
		}
	}
	for _, f := range plainFrames(t) {
		all = append(all, f.tag(0x8100, 0x2005), f.tag(0x88a8, 0x0fff), f.tag(0x9100, 4))
	}
	for _, e := range []string{
		"vlan", "vlan 5", "vlan 4095", "vlan 0", "not vlan", "not vlan 5", "vlan and tcp", "vlan 5 and udp port 53", "vlan and host 8.8.8.8",
		"vlan and ip6", "vlan 5 and not tcp", "vlan and (tcp port 80 or arp)", "vlan and tcp[13] & 2 != 0", "vlan and ip[8] > 63", "vlan 4 and net 10",
		"not (vlan and tcp)", "vlan and icmp6[0] = 135", "vlan 5 and portrange 1-1023", "vlan and arp host 192.168.1.1",
	} {
		want, ok := tcpdump(t, linkEthernet, e)
		if !ok {
			t.Errorf("tcpdump refuses %s", e)
		}
		got := compiled(t, linkEthernet, e)
		for _, f := range all {
			if is, should := got.Match(f.data, f.length), want.Match(f.data, f.length); is != should {
				t.Errorf("%s: %s: passes: %v, with tcpdump's program: %v, % x", e, f.file, is, should, f.data[:min(64, len(f.data))])
				break
			}
		}
	}
}

// TestVLANIsACondition has what means something else to libpcap, where vlan moves
// all that comes after it in the text.
func TestVLANIsACondition(t *testing.T) {
	const udp53 = "\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02\x08\x00" +
		"\x45\x00\x00\x1c\x00\x00\x00\x00\x40\x11\x00\x00\x0a\x00\x00\x01\x0a\x00\x00\x02" +
		"\x04\x00\x00\x35\x00\x08\x00\x00"
	plain := frame{link: linkEthernet, data: []byte(udp53), length: len(udp53)}
	five := plain.tag(0x8100, 5)
	both := five.tag(0x88a8, 6)
	for _, test := range []struct {
		expression         string
		plain, five, inSix bool
	}{
		{"udp port 53", true, true, true},
		{"vlan", false, true, true},
		{"vlan 5", false, true, true},
		{"vlan 6", false, false, true},
		{"vlan 5 and vlan 6", false, false, true},
		{"vlan 6 and vlan 5", false, false, true},
		{"vlan 5 or vlan 6", false, true, true},
		{"vlan and vlan", false, true, true},
		{"not vlan and udp", true, false, false},
		{"vlan or udp port 53", true, true, true},
		{"vlan 7 or udp port 53", true, true, true},
		{"(vlan 5 and tcp) or udp", true, true, true},
		{"ether proto 0x8100", false, true, true},
		{"ether proto 0x800", true, true, true},
	} {
		p := compiled(t, linkEthernet, test.expression)
		for i, f := range []frame{plain, five, both} {
			if got, want := p.Match(f.data, f.length), []bool{test.plain, test.five, test.inSix}[i]; got != want {
				t.Errorf("%s, %d tags: passes: %v", test.expression, i, got)
			}
		}
	}
}
