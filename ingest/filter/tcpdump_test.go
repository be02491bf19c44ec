package filter

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/bpf"
)

// linkNames are tcpdump's.
var linkNames = map[uint32]string{
	linkEthernet: "EN10MB", linkSLL: "LINUX_SLL", linkSLL2: "LINUX_SLL2",
	linkRaw: "RAW", linkNull: "NULL", linkLoop: "LOOP", linkPPP: "PPP", linkPPPHDLC: "PPP_SERIAL",
	link80211: "IEEE802_11", linkRadiotap: "IEEE802_11_RADIO",
}

// primitives are conditions with addresses and ports of the captures, and some
// of everything else. None of them has the word vlan, or depends on the length
// of the link header.
var primitives = []string{
	"ip", "ip6", "arp", "rarp", "tcp", "udp", "icmp", "icmp6", "sctp", "igmp", "esp", "ah", "pim", "vrrp",
	"ip proto 17", "ip6 proto 17", "proto 6", "ip proto \\tcp", "ip6 proto \\udp", "proto \\sctp", "proto 47", "ip proto 4", "ip6 proto 0",
	"ip6 proto 44", "ip6 proto 58", "ip6 proto 60",
	"host 127.0.0.1", "host 10.0.0.1", "src host 10.0.0.1", "dst host 10.0.0.1", "src or dst host 192.168.1.1", "src and dst host 127.0.0.1",
	"host 192.168.0.1", "ip host 192.168.0.1", "arp host 192.168.0.1", "rarp host 10.1.1.1", "src 192.168.1.2", "dst 8.8.8.8", "host 8.8.8.8",
	"ip src host 8.8.8.8", "arp src host 192.168.1.1", "arp dst host 192.168.1.1",
	"net 10", "net 192.168", "net 10.0.0.0/8", "src net 192.168.0.0/16", "dst net 172.16.0.0/12", "net 192.168.1.0 mask 255.255.255.0",
	"net 192.168.1", "ip net 10.1.0.0/16", "arp net 192.168.0.0/16", "dst net 224.0.0.0/4", "net 0.0.0.0/0", "net 1.2.3.4", "src and dst net 10.0.0.0/8",
	"ip6 host ::1", "host fe80::1", "src host 2001:db8::1", "dst host ff02::1", "net fe80::/10", "ip6 net 2001:db8::/32", "dst net ff00::/8",
	"src net 2000::/3", "net 2001:470:1f0e::/48", "ip6 src net fe80::/64",
	"port 53", "port 80", "port 443", "src port 53", "dst port 53", "src or dst port 80", "src and dst port 123", "tcp port 80", "udp port 53",
	"sctp port 5000", "tcp src port 443", "tcp dst port 443", "udp dst port 4789", "udp src port 5353",
	"port 5060", "tcp port 22", "udp port 161", "udp port 162", "port 514", "udp port 2152", "udp port 6081", "port 0", "port 65535",
	"port domain", "udp port snmp", "tcp port ssh", "udp port ntp",
	"portrange 0-1023", "portrange 1024-65535", "tcp portrange 8000-8100", "udp portrange 5000-6000", "src portrange 20-80", "dst portrange 443-53",
	"udp dst portrange 33434-33534",
	"port 53 or 80", "port 53 or 80 or 443", "tcp port 80 or 443 or 22", "not port 53", "port (53 or 5353)", "host (10.0.0.1 or 127.0.0.1)",
	"host 10.0.0.1 or 10.0.0.2", "not host 10.0.0.1 and 127.0.0.1", "src net 10.0.0.0/8 or 192.168.0.0/16", "port not 53", "port 53 and not 80",
	"src port 53 or 80 and dst portrange 1024-65535", "udp port 53 or tcp port 80 and net 10", "tcp port 80 and not port 81 or port 82",
	"host 10.0.0.1 or net 192.168.0.0/16 or host 127.0.0.1 or net 172.16.0.0/12", "host fe80::1 or net ff00::/8 or net 2001::/16",
	"src host 10.0.0.1 or src net 192.168.1.0/24 or dst host 8.8.8.8", "ip multicast", "ip6 multicast",
	"ip[0] & 0xf != 5", "ip[6:2] & 0x1fff = 0", "ip[6] & 0x20 != 0", "ip[8] < 5", "ip[8] >= 64", "ip[2:2] > 576", "ip[9] = 6", "ip[9] == 17",
	"ip[12:4] = 0x7f000001", "ip[16] >= 224", "ip[1] & 0xfc != 0", "ip[0:4] != 0", "ip6[6] = 44", "ip6[7] = 255", "ip6[4:2] > 100", "ip6[0] & 0xf0 = 0x60",
	"ip6[40] = 58", "icmp6[0] = 135", "icmp6[icmp6type] = icmp6-neighborsolicit", "icmp6[icmp6type] = icmp6-echo or icmp6[icmp6type] = icmp6-echoreply",
	"tcp[tcpflags] & (tcp-syn|tcp-fin) != 0", "tcp[tcpflags] & (tcp-syn|tcp-ack) = tcp-syn", "tcp[13] = 2", "tcp[13] & 2 != 0", "tcp[tcpflags] & tcp-rst != 0",
	"tcp[tcpflags] == tcp-ack", "tcp[tcpflags] & tcp-push != 0", "tcp[0:2] = 80", "tcp[2:2] > 1023", "tcp[14:2] = 0", "tcp[12] >> 4 > 5",
	"tcp[((tcp[12] & 0xf0) >> 2):4] = 0x47455420", "tcp[((tcp[12:1] & 0xf0) >> 2):4] = 0x48545450", "tcp[(tcp[12]>>2)&0x3c] = 22",
	"((tcp[12] & 0xf0) >> 2) + 20 > 45", "udp[0:2] = 53", "udp[4:2] < 100", "udp[8:2] & 0x8000 = 0", "udp[10] & 0x80 = 0", "udp[8] = 0x16",
	"icmp[icmptype] = icmp-echo", "icmp[icmptype] != icmp-echo and icmp[icmptype] != icmp-echoreply", "icmp[icmpcode] = 1", "icmp[0] = 3 and icmp[1] = 3",
	"icmp[icmptype] = icmp-unreach", "sctp[12] = 1", "igmp[0] = 0x16", "arp[6:2] = 1", "arp[6:2] = 2", "arp[7] != 1", "rarp[7] = 3",
	"tcp[0] + tcp[1] > 100", "tcp[0] * 2 = 0", "ip[8] - 1 = 63", "ip[8] / 2 = 32", "ip[8] % 2 = 1", "ip[0] | 1 = 69", "ip[0] ^ 0xff = 0xba", "ip[8] << 1 = 128",
	"1 = 1", "ip[8] = tcp[0]", "tcp[0:2] = tcp[2:2]", "udp[0:2] = udp[2:2]", "ip[2:2] > udp[4:2]", "udp[udp[4:2] - 1] = 0", "ip[ip[0] & 0xf] = 0",
	"2 + 3 * 4 = 14", "tcp[13] & 7 | 8 = 10", "-1 & ip[8] = 64", "not tcp", "not ip", "not ip6", "! udp", "not not udp", "not (tcp or udp)",
	"tcp || udp", "tcp && port 80", "(tcp)", "((tcp and (port 80 or port 8080)) or (udp and port 53))",
}

// linkPrimitives depend on the link header.
var linkPrimitives = []string{
	"ether host ff:ff:ff:ff:ff:ff", "ether src 00:00:00:00:00:00", "ether dst ff:ff:ff:ff:ff:ff", "ether dst host 01:00:5e:00:00:fb",
	"ether broadcast", "broadcast", "ether multicast", "multicast", "ether src and dst 0:0:0:0:0:0", "ether[0] & 1 = 1", "ether[6:4] != 0", "ether[12:2] = 0x800",
	"link[12:2] = 0x86dd", "ether host 00:0c:29:00:00:01 or ff:ff:ff:ff:ff:ff", "ether[ether[0] & 7] > 3",
	"ether proto 0x88cc", "ether proto 0x8864", "ether proto \\ip", "ether proto \\ip6", "ether proto \\arp", "ether proto 0x0806 or 0x8035",
}

// lengths depend on the length of the frame.
var lengths = []string{"less 64", "greater 100", "len > 1000", "len = 60", "len <= 42", "len != 60", "len - 14 > 100", "len % 2 = 0", "ip[2:2] < len", "len - ip[2:2] = 14"}

// combined joins each primitive with others.
func combined(list []string) []string {
	var all []string
	for i, a := range list {
		b, c := list[(i*7+3)%len(list)], list[(i*11+5)%len(list)]
		joined := "(%s) or not (%s) and (%s)"
		if i%2 == 0 {
			joined = "(%s) and (%s) or (%s)"
		}
		all = append(all, fmt.Sprintf(joined, a, b, c))
	}
	return all
}

// tcpdump compiles by tcpdump, or skips the test without it. It is false if
// tcpdump refuses the expression.
func tcpdump(t *testing.T, link uint32, expression string) (Program, bool) {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.Command("tcpdump", "-ddd", "-y", linkNames[link], "--", expression)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		if _, missing := err.(*exec.Error); missing {
			if os.Getenv("CI") != "" {
				t.Fatal(err)
			}
			t.Skip("no tcpdump")
		}
		// What can pass nothing is a program without an instruction here.
		return Program{}, strings.Contains(stderr.String(), "rejects all packets")
	}
	var p Program
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Scan() // the count
	for lines.Scan() {
		var in bpf.RawInstruction
		if _, err := fmt.Sscan(lines.Text(), &in.Op, &in.Jt, &in.Jf, &in.K); err != nil {
			t.Fatalf("%q: %v", lines.Text(), err)
		}
		p = append(p, in)
	}
	return p, true
}

// each runs f for all expressions, a few at a time.
func each(expressions []string, f func(string)) {
	var wait sync.WaitGroup
	work := make(chan string)
	for range 4 {
		wait.Go(func() {
			for e := range work {
				f(e)
			}
		})
	}
	for _, e := range expressions {
		work <- e
	}
	close(work)
	wait.Wait()
}

func compiled(t testing.TB, link uint32, expression string) Program {
	t.Helper()
	e, err := Parse(expression)
	if err != nil {
		t.Errorf("%s: %v", expression, err)
		return nil
	}
	p, err := e.Compile(link, false)
	if err != nil {
		t.Errorf("%s: %v", expression, err)
		return nil
	}
	return p
}

// TestAsTcpdump compares what passes with what passes tcpdump's program, for
// every packet of the captures, as it is and behind other link headers.
func TestAsTcpdump(t *testing.T) {
	all := corpus(t)
	for link, name := range linkNames {
		t.Run(name, func(t *testing.T) {
			expressions := append(append([]string{}, primitives...), lengths...)
			if link == linkEthernet {
				expressions = append(expressions, linkPrimitives...)
				expressions = append(expressions, combined(slices.DeleteFunc(append(linkPrimitives, primitives...), readsPayload))...)
			}
			var ours, theirs []frame
			for _, f := range all {
				g, ok := f, f.link == link
				if !ok {
					g, ok = f.as(link)
				}
				if ok {
					plain := g.ordinary()
					ours, theirs = append(ours, g), append(theirs, plain)
				}
			}
			if len(ours) < 1000 {
				t.Fatalf("only %d packets", len(ours))
			}
			var passed, compared, expressionsDone counter
			each(expressions, func(e string) {
				want, ok := tcpdump(t, link, e)
				if !ok {
					if typed := layouts[link].typeAt >= 0; typed || !strings.Contains(e, "arp") {
						t.Errorf("tcpdump refuses %s", e)
					}
					return
				}
				got := compiled(t, link, e)
				expressionsDone.add(1)
				for i := range ours {
					if byLength := strings.Contains(e, "len") || strings.Contains(e, "ess") || strings.Contains(e, "greater") || strings.Contains(e, "ether[") || strings.Contains(e, "link["); byLength && len(ours[i].data) != len(theirs[i].data) {
						continue
					}
					is := got.Match(ours[i].data, ours[i].length)
					should := want.Match(theirs[i].data, theirs[i].length)
					compared.add(1)
					if is {
						passed.add(1)
					}
					if is != should {
						t.Errorf("%s: %s: passes: %v, with tcpdump's program: %v, % x", e, ours[i].file, is, should, theirs[i].data[:min(len(theirs[i].data), 64)])
						return
					}
				}
			})
			t.Logf("%d expressions, %d packets, %d comparisons, %d passed", expressionsDone.n, len(ours), compared.n, passed.n)
		})
	}
}

// readsPayload says that an expression reads at a place that depends on the
// packet, which may lie behind its end. Such a packet does not pass, whatever else
// the expression says, unless the other parts are tried first or are found to
// decide; libpcap finds more of these.
func readsPayload(e string) bool {
	return strings.Contains(e, "[((") || strings.Contains(e, "[(tcp") || strings.Contains(e, "[udp") || strings.Contains(e, "[ip[") || strings.Contains(e, "[ether")
}

// meant are expressions that pass other packets than libpcap's, on purpose.
var meant = []struct{ expression, why string }{
	{"0x10 & tcp[13] != 0", "libpcap forgets to look whether the packet is TCP, if the bytes stand on the right of an operator"},
	{"tcp and (ip[2:2] - ((ip[0] & 0xf) << 2)) - ((tcp[12] & 0xf0) >> 2) != 0", "the same: later fragments have no TCP header"},
}

// TestMeantDifferences sees to it that the list of differences is not longer than
// it must be.
func TestMeantDifferences(t *testing.T) {
	for _, m := range meant {
		ours := compiled(t, linkEthernet, m.expression)
		theirs, ok := tcpdump(t, linkEthernet, m.expression)
		differ := false
		for _, f := range corpus(t) {
			if _, plain := f.untagged(); ok && f.link == linkEthernet {
				differ = differ || ours.Match(plain.data, plain.length) != theirs.Match(plain.data, plain.length)
			}
		}
		if !differ {
			t.Errorf("%s: no difference", m.expression)
		}
	}
}

// ordinary is the frame as tcpdump expects it: without VLAN tags, and of PPP with
// address and control.
func (f frame) ordinary() frame {
	switch {
	case f.link == linkEthernet:
		_, f = f.untagged()
	case (f.link == linkPPP || f.link == linkPPPHDLC) && len(f.data) > 0 && f.data[0] != 0xff:
		f.data = append([]byte{0xff, 0x03}, f.data...)
		f.length += 2
	}
	return f
}

type counter struct {
	mu sync.Mutex
	n  int
}

func (c *counter) add(n int) {
	c.mu.Lock()
	c.n += n
	c.mu.Unlock()
}
