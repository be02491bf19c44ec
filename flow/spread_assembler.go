package flow

import (
	"fmt"

	"golang.org/x/net/bpf"
)

// Codes of classic BPF (linux/filter.h).
const (
	bpfLoad       = 0x20 // LD W ABS; H and B are added
	bpfLoadAtX    = 0x40 // LD W IND
	bpfHalf       = 0x08
	bpfByte       = 0x10
	bpfLoadLen    = 0x80
	bpfLoadMem    = 0x60
	bpfLoadConstX = 0x01
	bpfLoadMemX   = 0x61
	bpfStore      = 0x02
	bpfStoreX     = 0x03
	bpfAdd        = 0x04
	bpfSub        = 0x14
	bpfMul        = 0x24
	bpfAnd        = 0x54
	bpfShiftLeft  = 0x64
	bpfShiftRight = 0x74
	bpfXor        = 0xa4
	bpfWithX      = 0x08
	bpfJump       = 0x05
	bpfEqual      = 0x15
	bpfGreater    = 0x25
	bpfAtLeast    = 0x35
	bpfAny        = 0x45
	bpfReturn     = 0x06
	bpfReturnA    = 0x16
	bpfToX        = 0x07
	bpfFromX      = 0x87
)

// spreadProgram writes the program. Jumps go forward, over any distance: a
// conditional one passes over an unconditional one.
type spreadProgram struct {
	workers int
	code    []bpf.RawInstruction
	jumps   map[string][]int // from where to a label
	labels  int
}

func (p *spreadProgram) op(code uint16, k uint32) {
	p.code = append(p.code, bpf.RawInstruction{Op: code, K: k})
}

// when jumps if the comparison of A with k holds, unless if it does not.
func (p *spreadProgram) when(code uint16, k uint32, to string) {
	p.code = append(p.code, bpf.RawInstruction{Op: code, K: k, Jf: 1})
	p.goTo(to)
}

func (p *spreadProgram) unless(code uint16, k uint32, to string) {
	p.code = append(p.code, bpf.RawInstruction{Op: code, K: k, Jt: 1})
	p.goTo(to)
}

func (p *spreadProgram) goTo(to string) {
	if p.jumps == nil {
		p.jumps = map[string][]int{}
	}
	p.jumps[to] = append(p.jumps[to], len(p.code))
	p.op(bpfJump, 0)
}

func (p *spreadProgram) mark(label string) {
	for _, from := range p.jumps[label] {
		p.code[from].K = uint32(len(p.code) - from - 1)
	}
	delete(p.jumps, label)
}

// label makes a name that nothing else has.
func (p *spreadProgram) label(name string) string {
	p.labels++
	return fmt.Sprint(name, p.labels)
}

// advance moves X.
func (p *spreadProgram) advance(n uint32) {
	p.op(bpfFromX, 0)
	p.op(bpfAdd, n)
	p.op(bpfToX, 0)
}

// left computes how much there is behind X, before the end.
func (p *spreadProgram) left() {
	p.op(bpfLoadMem, memEnd)
	p.op(bpfSub|bpfWithX, 0)
}
