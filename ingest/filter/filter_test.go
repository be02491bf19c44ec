package filter

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/net/bpf"
)

func TestParseErrors(t *testing.T) {
	for _, test := range []struct {
		text   string
		offset int
		want   string
	}{
		{"udp prot 53", 4, "unexpected prot: want and, or, or the end"},
		{"port", 4, "the expression ends: want a port"},
		{"port 65536", 5, "65536 is too large: want at most 65535"},
		{"port nosuch", 5, "nosuch: unknown name of a port, use its number"},
		{"host example.org", 5, "example.org: names are not looked up, want an address"},
		{"host 1.2.3.256", 5, "1.2.3.256 is no IPv4 address: want octets from 0 to 255"},
		{"host 10.0.0.0/8", 13, "a prefix goes with net, not with host"},
		{"net 10.0.0.1/8", 4, "10.0.0.1 has bits that are not in its mask"},
		{"net 10.0.0.0/33", 13, "33 is too large: want at most 32"},
		{"net 2001:db8::/129", 15, "129 is too large: want at most 128"},
		{"1.2.3.4", 0, "1.2.3.4: want a word such as host or net before it"},
		{"tcp or 80", 7, "a number is no condition: compare it with = != < <= > >="},
		{"(port 53) or 80", 13, "a number is no condition: compare it with = != < <= > >="},
		{"tcp host 10.0.0.1", 0, "these words do not go together: want ip, ip6, arp, rarp or ether before host"},
		{"arp port 53", 0, "these words do not go together: want ip, ip6, tcp, udp or sctp before port"},
		{"ip host ::1", 8, "::1 does not go with ip"},
		{"ip6 net 10.0.0.0/8", 8, "10.0.0.0 does not go with ip6"},
		{"host 02:00:00:00:00:01", 5, "02:00:00:00:00:01 is an Ethernet address: want ether before it"},
		{"ether host 10.0.0.1", 11, "10.0.0.1: want an Ethernet address such as 02:00:5e:10:00:01"},
		{"tcp[13", 6, "the expression ends: want ]"},
		{"tcp[13] &", 9, "the expression ends: want a condition"},
		{"tcp[13] & 2", 0, "a number is no condition: compare it with = != < <= > >="},
		{"tcp[0:3] = 1", 6, "3 bytes: want 1, 2 or 4"},
		{"ip[0] / 0 = 1", 6, "division by zero"},
		{"ip[0] << 32 = 1", 6, "shift by more than 31 bits"},
		{"tcp = 2", 0, "want a number here, not a condition"},
		{"(tcp", 4, "the expression ends: want )"},
		{"tcp)", 3, "unexpected ): want and, or, or the end"},
		{"not", 3, "the expression ends: want a condition"},
		{"tcp and", 7, "the expression ends: want a condition"},
		{"tcp @ udp", 4, "unexpected '@'"},
		{"mpls 5", 0, "mpls is not supported here"},
		{"tcp and pppoes", 8, "pppoes is not supported here"},
		{"gateway 10.0.0.1", 0, "gateway is not supported here"},
		{"foo", 0, "unknown word foo: want a condition"},
		{"vlan 4096", 5, "4096 is too large: want at most 4095"},
		{"ip broadcast", 3, "ip broadcast is not supported: it depends on the netmask; use dst host"},
		{"ether proto 5", 12, "5 is no EtherType: want 0x600 to 0xffff"},
		{"len > 5000000000", 6, "5000000000 is more than 32 bits"},
		{"src port 53 or dst", 18, "the expression ends: want an address"},
		{strings.Repeat("(", 300) + "tcp" + strings.Repeat(")", 300), 66, "nested deeper than 200"},
		{strings.Repeat("x", maxText+1), maxText, "the expression is longer than 65536 bytes"},
	} {
		_, err := Parse(test.text)
		var wrong *Error
		if !errors.As(err, &wrong) {
			t.Errorf("%s: no error", clip(test.text))
			continue
		}
		if wrong.Offset != test.offset || wrong.Text != test.want {
			t.Errorf("%s: %d: %s", clip(test.text), wrong.Offset, wrong.Text)
		}
	}
}

func TestEmptyPassesAll(t *testing.T) {
	for _, text := range []string{"", "  \t\n"} {
		p := compiled(t, linkEthernet, text)
		if !p.Match(nil, 0) {
			t.Error("does not pass")
		}
	}
}

func TestUnknownLinkType(t *testing.T) {
	e, err := Parse("tcp")
	if err != nil {
		t.Fatal(err)
	}
	var wrong *LinkError
	if _, err := e.Compile(220, false); !errors.As(err, &wrong) || wrong.Link != 220 {
		t.Errorf("%v", err)
	}
}

// hosts is an expression of n addresses.
func hosts(n int) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf("host 10.%d.%d.1", i/256, i%256))
	}
	return strings.Join(list, " or ")
}

// TestLongPrograms has jumps beyond what one instruction reaches.
func TestLongPrograms(t *testing.T) {
	f := frame{data: make([]byte, 60), length: 60}
	f.data[12], f.data[14], f.data[27] = 8, 0x45, 0
	p := compiled(t, linkEthernet, hosts(300))
	if _, ok := bpf.Disassemble(p); !ok {
		t.Error("not all instructions are known")
	}
	for i := range 400 {
		copy(f.data[26:], []byte{10, byte(i / 256), byte(i), 1})
		if got := p.Match(f.data, f.length); got != (i < 300) {
			t.Errorf("host %d: %v", i, got)
		}
	}
	e, err := Parse(hosts(2000))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Compile(linkEthernet, false); err == nil {
		t.Error("a program longer than the kernel takes")
	}
}

func TestDeepArithmetic(t *testing.T) {
	text := "ip[0]"
	for range 20 {
		text = "(" + text + ") + ip[0]"
	}
	e, err := Parse(text + " = 1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Compile(linkEthernet, false); err == nil {
		t.Error("more scratch memory than there is")
	}
}

// TestMachine compares our machine with that of x/net/bpf.
func TestMachine(t *testing.T) {
	for _, e := range append(append([]string{}, primitives...), lengths...) {
		p := compiled(t, linkEthernet, e)
		list, ok := bpf.Disassemble(p)
		if !ok {
			t.Fatalf("%s: not all instructions are known", e)
		}
		vm, err := bpf.NewVM(list)
		if err != nil {
			t.Fatalf("%s: %v", e, err)
		}
		for _, f := range corpus(t) {
			want, err := vm.Run(f.data)
			if err != nil {
				t.Fatal(err)
			}
			if got := p.Match(f.data, len(f.data)); got != (want > 0) {
				t.Errorf("%s: %s: %v", e, f.file, got)
				break
			}
		}
	}
}

func TestMatchAllocatesNothing(t *testing.T) {
	p := compiled(t, linkEthernet, "tcp port 80 or udp port 53")
	data := make([]byte, 100)
	if n := testing.AllocsPerRun(100, func() { p.Match(data, 100) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzParse(f *testing.F) {
	for _, e := range primitives {
		f.Add(e, []byte("\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02\x08\x00\x45\x00"))
	}
	for _, e := range append(linkPrimitives, lengths...) {
		f.Add(e, []byte{})
	}
	f.Add("vlan 5 and (ether[0] = 1 or not len > 5)", []byte{1})
	f.Fuzz(func(t *testing.T, text string, data []byte) {
		e, err := Parse(text)
		if err != nil {
			var wrong *Error
			if !errors.As(err, &wrong) || wrong.Offset < 0 || wrong.Offset > len(text) {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		for link := range layouts {
			for _, live := range []bool{false, true} {
				p, err := e.Compile(link, live)
				if err != nil {
					continue
				}
				if list, ok := bpf.Disassemble(p); !ok {
					t.Fatalf("%q: instructions that are not known", text)
				} else if !live {
					compareMachines(t, text, p, list, data)
				}
			}
		}
	})
}

func compareMachines(t *testing.T, text string, p Program, list []bpf.Instruction, data []byte) {
	vm, err := bpf.NewVM(list)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	want, err := vm.Run(data)
	if got := p.Match(data, len(data)); err == nil && got != (want > 0) && !shifts(text) {
		t.Fatalf("%q: passes: %v", text, got)
	}
}

// shifts says that the text may shift by 32 and more, where the two machines are
// not of one mind.
func shifts(text string) bool { return strings.Contains(text, "<<") || strings.Contains(text, ">>") }

func BenchmarkMatch(b *testing.B) {
	all := plainFrames(b)
	for _, e := range []string{"tcp", "udp port 53", "port 53 or 80 or 443", "not net 10.0.0.0/8 and tcp[13] & 2 != 0"} {
		b.Run(e, func(b *testing.B) {
			p := compiled(b, linkEthernet, e)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				p.Match(all[i].data, all[i].length)
				if i++; i == len(all) {
					i = 0
				}
			}
		})
	}
}
