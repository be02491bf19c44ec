package flow

import (
	"fmt"

	"golang.org/x/net/bpf"

	"flowscope/ingest"
)

// What the kernel knows beside a frame, and the value of its type for frames that
// this machine sends.
const (
	bpfProtocol   = 0xfffff000
	bpfPacketType = 0xfffff004
	sentByUs      = 4
)

// Scratch memory of the program.
const (
	memIP     = iota // offset of the outer IP header
	memUDP           // offset of the UDP header, then of what a tunnel carries
	memEnd           // where the tunnel's payload ends
	memNeeded        // a length to compare with
	memA             // the lower half of the work on addresses
	memB
	memHash
)

// maxSpreadWorkers keeps the products of the program within 32 bits.
const maxSpreadWorkers = 1 << 16

// SpreadProgram returns Spread as classic BPF for PACKET_FANOUT_CBPF: it returns
// the number of the worker, as a Runner chooses it from the hash. The kernel runs
// it on a received frame from its network header on, and on a frame that this
// machine sends from its link header on; both have lost their outer VLAN tag.
//
// BPF knows no loops, so the program follows less than Spread: three VLAN
// tags, five MPLS labels, PPPoE or SNAP before the IP header, and IP behind at
// most one VLAN tag inside VXLAN and Geneve, two extension headers of GTP-U, no
// Teredo. What lies deeper goes where its outer addresses belong, or without
// these to worker 0; Spread may think otherwise of it, and those packets are
// counted.
func SpreadProgram(link ingest.LinkType, workers int) ([]bpf.RawInstruction, error) {
	if workers < 1 || workers > maxSpreadWorkers {
		return nil, fmt.Errorf("spread over %d workers: want 1 to %d", workers, maxSpreadWorkers)
	}
	p := spreadProgram{workers: workers}
	switch link {
	case linkEthernet:
		p.fromKernel()
	case linkRaw:
		p.op(bpfLoadConstX, 0)
		p.goTo("ip")
	default:
		return nil, fmt.Errorf("spread: packets of link type %d: want Ethernet or raw IP", link)
	}
	return p.finish(), nil
}

// fromKernel finds the first EtherType, and what it announces.
func (p *spreadProgram) fromKernel() {
	p.op(bpfLoad, bpfPacketType)
	p.when(bpfEqual, sentByUs, "sent")
	p.op(bpfLoadConstX, 0)
	p.op(bpfLoad, bpfProtocol)
	p.goTo("type")
	p.mark("sent")
	p.fromFrame()
}

// fromFrame is for a frame from its link header on.
func (p *spreadProgram) fromFrame() {
	p.op(bpfLoadConstX, 14)
	p.op(bpfLoad|bpfHalf, 12)
}

// finish writes everything behind the first EtherType, which is in A; what it
// announces begins at X.
func (p *spreadProgram) finish() []bpf.RawInstruction {
	p.mark("type")
	p.toIP()
	p.mark("ip")
	p.outer()
	p.udp()
	p.tunnels()
	p.inner()
	p.mark("outer")
	p.op(bpfLoadMemX, memIP)
	p.mark("hash")
	p.hash()
	p.mark("none")
	p.op(bpfReturn, 0)
	return p.code
}

// tag moves past one VLAN tag, if there is one.
func (p *spreadProgram) tag() {
	is, done := p.label("tag"), p.label("tagged")
	p.when(bpfEqual, etherVLAN, is)
	p.when(bpfEqual, etherQinQ, is)
	p.unless(bpfEqual, etherQinQOld, done)
	p.mark(is)
	p.op(bpfLoadAtX|bpfHalf, 2)
	p.op(bpfStore, memNeeded)
	p.advance(4)
	p.op(bpfLoadMem, memNeeded)
	p.mark(done)
}

// toIP follows the link layer to an IP header.
func (p *spreadProgram) toIP() {
	const labels = 5
	p.tag()
	p.tag()
	p.tag()
	p.when(bpfEqual, etherIPv4, "ip")
	p.when(bpfEqual, etherIPv6, "ip")
	p.when(bpfEqual, etherPPPoE, "pppoe")
	p.when(bpfEqual, etherMPLS, "mpls")
	p.when(bpfEqual, etherMPLSM, "mpls")
	p.when(bpfAtLeast, 0x0600, "none")

	p.op(bpfLoadAtX, 0)
	p.unless(bpfEqual, 0xaaaa0300, "none")
	p.op(bpfLoadAtX|bpfByte, 4)
	p.unless(bpfEqual, 0, "none")
	p.op(bpfLoadAtX|bpfHalf, 6)
	p.op(bpfStore, memNeeded)
	p.advance(8)
	p.op(bpfLoadMem, memNeeded)
	p.when(bpfEqual, etherIPv4, "ip")
	p.when(bpfEqual, etherIPv6, "ip")
	p.goTo("none")

	p.mark("pppoe")
	p.op(bpfLoadAtX|bpfHalf, 0)
	p.unless(bpfEqual, 0x1100, "none")
	p.op(bpfLoadAtX|bpfHalf, 6)
	p.op(bpfStore, memNeeded)
	p.advance(8)
	p.op(bpfLoadMem, memNeeded)
	p.when(bpfEqual, 0x0021, "ip")
	p.when(bpfEqual, 0x0057, "ip")
	p.goTo("none")

	p.mark("mpls")
	for range labels {
		p.op(bpfLoadAtX, 0)
		p.op(bpfStore, memNeeded)
		p.advance(4)
		p.op(bpfLoadMem, memNeeded)
		p.when(bpfAny, 0x100, "bottom")
	}
	p.goTo("none")
	p.mark("bottom")
	p.op(bpfLoadAtX|bpfByte, 0)
	p.op(bpfShiftRight, 4)
	p.when(bpfEqual, 4, "ip")
	p.when(bpfEqual, 6, "ip")
	p.unless(bpfEqual, 0, "etherInMPLS")
	p.advance(4)
	p.mark("etherInMPLS")
	p.op(bpfLoadAtX|bpfHalf, 12)
	p.op(bpfStore, memNeeded)
	p.advance(14)
	p.op(bpfLoadMem, memNeeded)
	p.tag()
	p.when(bpfEqual, etherIPv4, "ip")
	p.when(bpfEqual, etherIPv6, "ip")
	p.goTo("none")
}

// version loads the version of the IP packet at X.
func (p *spreadProgram) version() {
	p.op(bpfLoadAtX|bpfByte, 0)
	p.op(bpfShiftRight, 4)
}

// outer finds a UDP header behind the IP header at X.
func (p *spreadProgram) outer() {
	p.op(bpfStoreX, memIP)
	p.version()
	p.when(bpfEqual, 6, "outer6")
	p.unless(bpfEqual, 4, "none")
	p.op(bpfLoadAtX|bpfByte, 19) // all of the header is there
	p.op(bpfLoadAtX|bpfByte, 9)
	p.unless(bpfEqual, uint32(UDP), "outer")
	p.op(bpfLoadAtX|bpfHalf, 6)
	p.when(bpfAny, 0x3fff, "outer")
	p.headerLength()
	p.unless(bpfAtLeast, 20, "outer")
	p.op(bpfAdd|bpfWithX, 0)
	p.goTo("udp")
	p.mark("outer6")
	p.op(bpfLoadAtX|bpfByte, 39)
	p.op(bpfLoadAtX|bpfByte, 6)
	p.unless(bpfEqual, uint32(UDP), "outer")
	p.op(bpfFromX, 0)
	p.op(bpfAdd, 40)
	p.mark("udp")
}

// headerLength loads the length of the IPv4 header at X.
func (p *spreadProgram) headerLength() {
	p.op(bpfLoadAtX|bpfByte, 0)
	p.op(bpfAnd, 15)
	p.op(bpfShiftLeft, 2)
}

// udp checks the UDP header at A, and stores where the datagram ends.
func (p *spreadProgram) udp() {
	p.op(bpfToX, 0)
	p.op(bpfStoreX, memUDP)
	p.op(bpfAdd, 8)
	p.op(bpfStore, memNeeded)
	p.op(bpfLoadLen, 0)
	p.op(bpfLoadMemX, memNeeded)
	p.unless(bpfAtLeast|bpfWithX, 0, "outer")
	p.op(bpfLoadMemX, memUDP)
	p.op(bpfLoadAtX|bpfHalf, 4)
	p.unless(bpfAtLeast, 8+8, "outer") // with a tunnel's header
	p.op(bpfAdd|bpfWithX, 0)
	p.op(bpfStore, memEnd)
	p.op(bpfLoadLen, 0)
	p.op(bpfLoadMemX, memEnd)
	p.unless(bpfAtLeast|bpfWithX, 0, "outer")
}

// needs goes to the outer addresses if less than n bytes are left at X. X never
// lies behind the end.
func (p *spreadProgram) needs(n uint32) {
	p.left()
	p.unless(bpfAtLeast, n, "outer")
}

func (p *spreadProgram) tunnels() {
	p.op(bpfLoadMemX, memUDP)
	p.op(bpfLoadAtX|bpfHalf, 2)
	p.op(bpfStore, memNeeded)
	p.advance(8)
	p.op(bpfLoadMem, memNeeded)
	p.when(bpfEqual, portVXLAN, "vxlan")
	p.when(bpfEqual, portVXLANLinux, "vxlan")
	p.when(bpfEqual, portVXLANGPE, "vxlanGPE")
	p.when(bpfEqual, portGeneve, "geneve")
	p.when(bpfEqual, portGTPU, "gtpu")
	p.goTo("outer")

	p.mark("vxlanGPE")
	p.vxlanHeader()
	p.op(bpfLoadAtX|bpfByte, 0)
	p.unless(bpfAny, 0x04, "vxlanEthernet")
	p.op(bpfLoadAtX|bpfByte, 3)
	p.when(bpfEqual, 3, "vxlanEthernet")
	p.when(bpfEqual, 1, "vxlanIP")
	p.unless(bpfEqual, 2, "outer")
	p.mark("vxlanIP")
	p.advance(8)
	p.goTo("inner")

	p.mark("vxlan")
	p.vxlanHeader()
	p.mark("vxlanEthernet")
	p.advance(8)
	p.goTo("ethernet")

	p.mark("geneve")
	p.op(bpfLoadAtX|bpfByte, 7)
	p.unless(bpfEqual, 0, "outer")
	p.op(bpfLoadAtX|bpfByte, 0)
	p.when(bpfAny, 0xc0, "outer")
	p.op(bpfAnd, 0x3f)
	p.op(bpfShiftLeft, 2)
	p.op(bpfAdd, 8)
	p.jumpOver("outer")
	p.op(bpfLoadMemX, memUDP)
	p.op(bpfLoadAtX|bpfHalf, 8+2)
	p.op(bpfLoadMemX, memB)
	p.when(bpfEqual, etherTEB, "ethernet")
	p.goTo("typed")

	p.gtpu()
}

func (p *spreadProgram) vxlanHeader() {
	p.op(bpfLoadAtX|bpfByte, 0)
	p.unless(bpfAny, 0x08, "outer")
	p.op(bpfLoadAtX|bpfByte, 7)
	p.unless(bpfEqual, 0, "outer")
}

// jumpOver moves X by A, unless that is more than what is left; it leaves the new
// X in memory too.
func (p *spreadProgram) jumpOver(tooFar string) {
	p.op(bpfAdd|bpfWithX, 0)
	p.op(bpfStore, memB)
	p.op(bpfLoadMem, memEnd)
	p.op(bpfLoadMemX, memB)
	p.unless(bpfAtLeast|bpfWithX, 0, tooFar)
}

func (p *spreadProgram) gtpu() {
	const extensions = 2
	p.mark("gtpu")
	p.op(bpfLoadAtX|bpfByte, 0)
	p.op(bpfAnd, 0xf0)
	p.unless(bpfEqual, 0x30, "outer")
	p.op(bpfLoadAtX|bpfByte, 1)
	p.unless(bpfEqual, 255, "outer")
	p.op(bpfLoadAtX|bpfHalf, 2)
	p.op(bpfAdd, 8)
	p.jumpOver("outer")
	p.op(bpfStoreX, memEnd)
	p.op(bpfLoadMemX, memUDP)
	p.advance(8 + 8)
	p.op(bpfStoreX, memA)
	p.op(bpfLoadMemX, memUDP)
	p.op(bpfLoadAtX|bpfByte, 8)
	p.op(bpfLoadMemX, memA)
	p.unless(bpfAny, 0x07, "inner")
	p.op(bpfAnd, 0x04)
	p.op(bpfStore, memHash)
	p.needs(4)
	p.op(bpfLoadAtX|bpfByte, 3)
	p.op(bpfStore, memNeeded) // the next extension header's type
	p.advance(4)
	p.op(bpfLoadMem, memHash)
	p.when(bpfEqual, 0, "inner")
	for range extensions {
		p.op(bpfLoadMem, memNeeded)
		p.when(bpfEqual, 0, "inner")
		p.needs(4)
		p.op(bpfLoadAtX|bpfByte, 0)
		p.when(bpfEqual, 0, "outer")
		p.op(bpfShiftLeft, 2)
		p.jumpOver("outer")
		p.op(bpfFromX, 0)
		p.op(bpfSub, 1)
		p.op(bpfToX, 0)
		p.op(bpfLoadAtX|bpfByte, 0)
		p.op(bpfStore, memNeeded)
		p.op(bpfLoadMemX, memB)
	}
	p.op(bpfLoadMem, memNeeded)
	p.when(bpfEqual, 0, "inner")
	p.goTo("outer")
}

// inner follows an Ethernet frame or an EtherType inside a tunnel to IP, and
// checks the lengths of that.
func (p *spreadProgram) inner() {
	p.mark("ethernet")
	p.needs(14)
	p.op(bpfLoadAtX|bpfHalf, 12)
	p.op(bpfStore, memNeeded)
	p.advance(14)
	p.op(bpfLoadMem, memNeeded)
	p.mark("typed")
	p.when(bpfEqual, etherIPv4, "inner")
	p.when(bpfEqual, etherIPv6, "inner")
	p.when(bpfEqual, etherVLAN, "innerTag")
	p.when(bpfEqual, etherQinQ, "innerTag")
	p.unless(bpfEqual, etherQinQOld, "outer")
	p.mark("innerTag")
	p.needs(4)
	p.op(bpfLoadAtX|bpfHalf, 2)
	p.op(bpfStore, memNeeded)
	p.advance(4)
	p.op(bpfLoadMem, memNeeded)
	p.when(bpfEqual, etherIPv4, "inner")
	p.unless(bpfEqual, etherIPv6, "outer")

	p.mark("inner")
	p.needs(20)
	p.version()
	p.when(bpfEqual, 6, "inner6")
	p.unless(bpfEqual, 4, "outer")
	p.headerLength()
	p.unless(bpfAtLeast, 20, "outer")
	p.op(bpfStore, memNeeded)
	p.op(bpfStoreX, memA)
	p.op(bpfLoadAtX|bpfHalf, 2)
	p.op(bpfLoadMemX, memNeeded)
	p.unless(bpfAtLeast|bpfWithX, 0, "outer")
	p.op(bpfLoadMemX, memA)
	p.goTo("fits")
	p.mark("inner6")
	p.needs(40)
	p.op(bpfLoadAtX|bpfHalf, 4)
	p.op(bpfAdd, 40)
	p.op(bpfStoreX, memA)
	p.mark("fits")
	p.op(bpfStore, memNeeded)
	p.left()
	p.op(bpfLoadMemX, memNeeded)
	p.unless(bpfAtLeast|bpfWithX, 0, "outer")
	p.op(bpfLoadMemX, memA)
	p.goTo("hash")
}

// hash hashes the addresses of the IP packet at X and returns the worker, as
// spreadHash does.
func (p *spreadProgram) hash() {
	p.version()
	p.when(bpfEqual, 6, "hash6")
	p.unless(bpfEqual, 4, "none")
	p.op(bpfLoadAtX, 12)
	p.op(bpfStore, memA)
	p.op(bpfLoadAtX, 16)
	p.op(bpfStore, memB)
	p.goTo("mix")
	p.mark("hash6")
	p.op(bpfStoreX, memIP)
	p.xorWords(8, memA)
	p.xorWords(24, memB)
	p.mark("mix")

	p.op(bpfLoadMemX, memB)
	p.op(bpfLoadMem, memA)
	p.op(bpfXor|bpfWithX, 0)
	p.op(bpfMul, 0x9e3779b1)
	p.op(bpfStore, memHash)
	p.op(bpfLoadMem, memA)
	p.op(bpfAdd|bpfWithX, 0)
	p.op(bpfMul, 0x85ebca6b)
	p.op(bpfLoadMemX, memHash)
	p.op(bpfAdd|bpfWithX, 0)
	p.xorShifted(15)
	p.op(bpfMul, 0xc2b2ae35)
	p.xorShifted(13)

	// The upper half of the product of the hash and the number of workers.
	workers := uint32(p.workers)
	p.op(bpfStore, memHash)
	p.op(bpfAnd, 0xffff)
	p.op(bpfMul, workers)
	p.op(bpfShiftRight, 16)
	p.op(bpfToX, 0)
	p.op(bpfLoadMem, memHash)
	p.op(bpfShiftRight, 16)
	p.op(bpfMul, workers)
	p.op(bpfAdd|bpfWithX, 0)
	p.op(bpfShiftRight, 16)
	p.op(bpfReturnA, 0)
}

// xorWords stores the exclusive or of four words behind memIP.
func (p *spreadProgram) xorWords(off, to uint32) {
	for i := uint32(0); i < 4; i++ {
		p.op(bpfLoadMemX, memIP)
		p.op(bpfLoadAtX, off+4*i)
		if i > 0 {
			p.op(bpfLoadMemX, to)
			p.op(bpfXor|bpfWithX, 0)
		}
		p.op(bpfStore, to)
	}
}

func (p *spreadProgram) xorShifted(n uint32) {
	p.op(bpfStore, memHash)
	p.op(bpfShiftRight, n)
	p.op(bpfLoadMemX, memHash)
	p.op(bpfXor|bpfWithX, 0)
}
