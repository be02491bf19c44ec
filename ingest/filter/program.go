package filter

import (
	"encoding/binary"
	"errors"

	"golang.org/x/net/bpf"
)

// Program is a filter for packets of one link type, in classic BPF.
type Program []bpf.RawInstruction

// Compile returns the program for a link type. Live is for packet sockets of
// Linux, whose frames have lost their outer VLAN tag to the kernel's data beside
// them. The error is a *LinkError, or says that the expression is too
// complicated for the kernel.
func (e *Expression) Compile(link uint32, live bool) (Program, error) {
	l, ok := layouts[link]
	if !ok {
		return nil, &LinkError{link}
	}
	g := generator{root: e.root, layout: l, live: live}
	g.program()
	if g.tooComplicated {
		return nil, errors.New("filter: the arithmetic is nested too deep for classic BPF")
	}
	return g.assemble()
}

// Match reports whether a packet passes: data is what was captured of it, length
// its length on the wire. It allocates nothing. A packet that is too short for
// what the program reads does not pass.
func (p Program) Match(data []byte, length int) bool {
	return p.run(data, uint32(length)) != 0
}

// run is a machine for the instructions that this package writes; any other ends
// with 0, and so does reading beyond the packet.
func (p Program) run(data []byte, length uint32) uint32 {
	var (
		a, x    uint32
		scratch [scratchEnd]uint32
	)
	for pc := 0; uint(pc) < uint(len(p)); pc++ {
		in := &p[pc]
		switch in.Op {
		case opLD | sizeW | modeABS, opLD | sizeH | modeABS, opLD | sizeB | modeABS:
			v, ok := fetch(data, uint64(in.K), in.Op&0x18)
			if !ok {
				return 0
			}
			a = v
		case opLD | sizeW | modeIND, opLD | sizeH | modeIND, opLD | sizeB | modeIND:
			v, ok := fetch(data, uint64(in.K)+uint64(x), in.Op&0x18)
			if !ok {
				return 0
			}
			a = v
		case opLDX | sizeB | modeMSH:
			v, ok := fetch(data, uint64(in.K), sizeB)
			if !ok {
				return 0
			}
			x = v & 15 * 4
		case opJMP | jumpJA:
			pc += int(in.K)
		case opJMP | jumpJEQ, opJMP | jumpJGT, opJMP | jumpJGE, opJMP | jumpS:
			pc += skip(in, a, in.K)
		case opJMP | jumpJEQ | srcX, opJMP | jumpJGT | srcX, opJMP | jumpJGE | srcX, opJMP | jumpS | srcX:
			pc += skip(in, a, x)
		case opLD | modeIMM:
			a = in.K
		case opLDX | modeIMM:
			x = in.K
		case opLD | sizeW | modeLEN:
			a = length
		case opLD | modeMEM:
			a = scratch[in.K&15]
		case opLDX | modeMEM:
			x = scratch[in.K&15]
		case opST:
			scratch[in.K&15] = a
		case opSTX:
			scratch[in.K&15] = x
		case opMISC | miscTAX:
			x = a
		case opMISC | miscTXA:
			a = x
		case opRET:
			return in.K
		default:
			operand := in.K
			if in.Op&srcX != 0 {
				operand = x
			}
			v, ok := calculate(in.Op&0xf0, a, operand)
			if !ok || in.Op&7 != opALU {
				return 0
			}
			a = v
		}
	}
	return 0
}

// fetch reads big-endian bytes of a packet.
func fetch(data []byte, at uint64, size uint16) (uint32, bool) {
	n := uint64(len(data))
	switch {
	case size == sizeW && at+4 <= n:
		return binary.BigEndian.Uint32(data[at:]), true
	case size == sizeH && at+2 <= n:
		return uint32(binary.BigEndian.Uint16(data[at:])), true
	case size == sizeB && at < n:
		return uint32(data[at]), true
	}
	return 0, false
}

// skip returns how far a conditional jump goes.
func skip(in *bpf.RawInstruction, a, with uint32) int {
	yes := false
	switch in.Op & 0xf0 {
	case jumpJEQ:
		yes = a == with
	case jumpJGT:
		yes = a > with
	case jumpJGE:
		yes = a >= with
	case jumpS:
		yes = a&with != 0
	}
	if yes {
		return int(in.Jt)
	}
	return int(in.Jf)
}

// calculate is one operation. Shifts count modulo 32, as the kernel does.
func calculate(op uint16, a, b uint32) (uint32, bool) {
	switch op {
	case aluNEG:
		return -a, true
	case aluADD:
		return a + b, true
	case aluSUB:
		return a - b, true
	case aluMUL:
		return a * b, true
	case aluDIV:
		if b == 0 {
			return 0, false
		}
		return a / b, true
	case aluMOD:
		if b == 0 {
			return 0, false
		}
		return a % b, true
	case aluOR:
		return a | b, true
	case aluAND:
		return a & b, true
	case aluXOR:
		return a ^ b, true
	case aluLSH:
		return a << (b & 31), true
	case aluRSH:
		return a >> (b & 31), true
	}
	return 0, false
}
