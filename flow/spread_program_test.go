package flow

import (
	"encoding/binary"
	"math/bits"
	"path/filepath"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"golang.org/x/net/bpf"

	"flowscope/ingest"
)

// machine runs the program for whole frames, as those that this machine sends, or
// for what follows the Ethernet header.
func machine(t testing.TB, workers int, prelude func(*spreadProgram)) *bpf.VM {
	t.Helper()
	p := spreadProgram{workers: workers}
	prelude(&p)
	list, ok := bpf.Disassemble(p.finish())
	if !ok {
		t.Fatal("not all instructions are known")
	}
	if len(p.jumps) > 0 {
		t.Fatalf("jumps to nowhere: %v", p.jumps)
	}
	vm, err := bpf.NewVM(list)
	if err != nil {
		t.Fatal(err)
	}
	return vm
}

// received begins as fromKernel does for a received frame of an EtherType.
func received(etherType uint16) func(*spreadProgram) {
	return func(p *spreadProgram) {
		p.op(bpfLoadConstX, 0)
		p.op(0x00, uint32(etherType)) // LD IMM
	}
}

func run(t testing.TB, vm *bpf.VM, b []byte) int {
	t.Helper()
	n, err := vm.Run(b)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// chosen is the worker that a Runner chooses.
func chosen(b []byte, at *ingest.Interface, workers int) int {
	hi, _ := bits.Mul64(Spread(&ingest.Packet{Data: b, Length: len(b), Interface: at}), uint64(workers))
	return int(hi)
}

// notFollowed are the captures where the program loses its way, with how many
// packets at most: it has no loops, and knows no Teredo.
var notFollowed = map[string]int{"tunnels__Teredo.pcap": 5}

// TestSpreadProgram compares the program with Spread for every packet of the
// captures, as the kernel has it: whole.
func TestSpreadProgram(t *testing.T) {
	captures := corpusFiles(t)
	if len(captures) == 0 {
		t.Skip("no captures (FLOWSCOPE_CORPUS)")
	}
	const workers = 13
	sent := machine(t, workers, (*spreadProgram).fromFrame)
	byType := map[uint16]*bpf.VM{}
	raw := machine(t, workers, func(p *spreadProgram) {
		p.op(bpfLoadConstX, 0)
		p.goTo("ip")
	})
	compared, used := 0, map[int]bool{}
	for _, path := range captures {
		wrong := 0
		eachPacket(t, path, func(p ingest.Packet) {
			want := chosen(p.Data, p.Interface, workers)
			got := want
			switch {
			case p.Interface.LinkType == linkRaw:
				got = run(t, raw, p.Data)
			case p.Interface.LinkType == linkEthernet && len(p.Data) >= 14:
				if got = run(t, sent, p.Data); got != want {
					break
				}
				typ := binary.BigEndian.Uint16(p.Data[12:])
				if byType[typ] == nil {
					byType[typ] = machine(t, workers, received(typ))
				}
				got = run(t, byType[typ], p.Data[14:])
			default:
				return
			}
			compared++
			used[got] = true
			if got != want {
				wrong++
			}
		})
		if most := notFollowed[filepath.Base(path)]; wrong > most {
			t.Errorf("%s: %d packets go to another worker, want at most %d", filepath.Base(path), wrong, most)
		}
	}
	t.Logf("%d packets compared, %d of %d workers", compared, len(used), workers)
	if compared < 1000 || len(used) != workers {
		t.Errorf("%d packets, %d of %d workers", compared, len(used), workers)
	}
}

// gatewayFrame is a UDP datagram between two gateways.
func gatewayFrame(t testing.TB, port uint16, payload []byte) []byte {
	ip := ip4("192.0.2.1", "192.0.2.2", layers.IPProtocolUDP)
	return serialize(t, etherHeader(layers.EthernetTypeIPv4), ip, udpHeader(ip, 40000, port), gopacket.Payload(payload))
}

// TestSpreadProgramTunnels has each tunnel with each kind of inner packet, cut at
// every length.
func TestSpreadProgramTunnels(t *testing.T) {
	v4 := udpFrame(t, "10.1.2.3", 1000, "10.9.8.7", 53, "payload")
	in6 := ip6("2001:db8::1", "2001:db8::2:3", layers.IPProtocolUDP)
	v6 := serialize(t, etherHeader(layers.EthernetTypeIPv6), in6, udpHeader(in6, 1000, 53), gopacket.Payload("payload"))
	tagged := append(append(append([]byte{}, v4[:12]...), 0x81, 0, 0, 9), v4[12:]...)
	arp := append(append([]byte{}, v4[:12]...), append([]byte{0x08, 0x06}, make([]byte, 28)...)...)
	join := func(parts ...[]byte) (all []byte) {
		for _, p := range parts {
			all = append(all, p...)
		}
		return all
	}
	vxlan := []byte{8, 0, 0, 0, 0, 0, 7, 0}
	var frames [][]byte
	for _, inner := range [][]byte{v4, v6, tagged, arp} {
		frames = append(frames,
			inner,
			gatewayFrame(t, 4789, join(vxlan, inner)),
			gatewayFrame(t, 8472, join(vxlan, inner)),
			gatewayFrame(t, 4790, join([]byte{12, 0, 0, 3, 0, 0, 7, 0}, inner)),
			gatewayFrame(t, 4790, join([]byte{12, 0, 0, 1, 0, 0, 7, 0}, inner[14:])),
			gatewayFrame(t, 4790, join([]byte{12, 0, 0, 9, 0, 0, 7, 0}, inner)),
			gatewayFrame(t, 4789, join([]byte{0, 0, 0, 0, 0, 0, 7, 0}, inner)),
			gatewayFrame(t, 6081, join([]byte{0, 0, 0x65, 0x58, 0, 0, 7, 0}, inner)),
			gatewayFrame(t, 6081, join([]byte{2, 0, 0x65, 0x58, 0, 0, 7, 0, 1, 2, 3, 4, 5, 6, 7, 8}, inner)),
			gatewayFrame(t, 6081, join([]byte{0, 0}, inner[12:14], []byte{0, 0, 7, 0}, inner[14:])),
			gatewayFrame(t, 2152, join([]byte{0x30, 255, 0, byte(len(inner) - 14), 0, 0, 0, 1}, inner[14:])),
			gatewayFrame(t, 2152, join([]byte{0x32, 255, 0, byte(len(inner) - 10), 0, 0, 0, 1, 0, 1, 0, 0}, inner[14:])),
			gatewayFrame(t, 2152, join([]byte{0x34, 255, 0, byte(len(inner) - 6), 0, 0, 0, 1, 0, 0, 0, 0x85, 1, 2, 3, 0}, inner[14:])),
			gatewayFrame(t, 2152, join([]byte{0x34, 255, 0, byte(len(inner) - 2), 0, 0, 0, 1, 0, 0, 0, 0x85, 1, 2, 3, 0x85, 1, 2, 3, 0}, inner[14:])),
			gatewayFrame(t, 2152, join([]byte{0x30, 1, 0, byte(len(inner) - 14), 0, 0, 0, 1}, inner[14:])),
			gatewayFrame(t, 53, inner),
		)
	}
	fragment := gatewayFrame(t, 4789, join(vxlan, v4))
	fragment[20] |= 0x20
	frames = append(frames, fragment)
	inner := map[int]bool{}
	for _, workers := range []int{1, 2, 7, 256} {
		vm := machine(t, workers, (*spreadProgram).fromFrame)
		for i, whole := range frames {
			for n := 14; n <= len(whole); n++ {
				b := whole[:n]
				got, want := run(t, vm, b), chosen(b, ethernetInterface, workers)
				if workers == 256 {
					inner[got] = true
				}
				// A header that is cut is the only thing that may end in worker 0.
				if got != want && !(got == 0 && n < 14+20+8) {
					t.Errorf("%d workers, frame %d, %d of %d bytes: %d, want %d", workers, i, n, len(whole), got, want)
				}
			}
		}
	}
	if len(inner) < 4 {
		t.Errorf("only %d workers", len(inner))
	}
}

func TestSpreadProgramBothWays(t *testing.T) {
	vm := machine(t, 256, (*spreadProgram).fromFrame)
	a := run(t, vm, tcpFrame(t, "10.0.0.1", 1, "10.0.0.2", 2, "S", 1, ""))
	if b := run(t, vm, tcpFrame(t, "10.0.0.2", 2, "10.0.0.1", 1, "S", 1, "")); a != b {
		t.Errorf("%d there, %d back", a, b)
	}
}

func TestSpreadProgramRefuses(t *testing.T) {
	for _, c := range []struct {
		link    ingest.LinkType
		workers int
	}{{linkSLL, 2}, {linkEthernet, 0}, {linkEthernet, 1<<16 + 1}} {
		if _, err := SpreadProgram(c.link, c.workers); err == nil {
			t.Errorf("%v: no error", c)
		}
	}
	for _, link := range []ingest.LinkType{linkEthernet, linkRaw} {
		p, err := SpreadProgram(link, 4)
		if _, ok := bpf.Disassemble(p); err != nil || !ok || len(p) > 4096 {
			t.Errorf("%v, %d instructions", err, len(p))
		}
	}
}
