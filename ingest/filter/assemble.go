package filter

import (
	"errors"

	"golang.org/x/net/bpf"
)

// maxProgram is the kernel's limit for the length of a program.
const maxProgram = 4096

// Codes of classic BPF (McCanne and Jacobson, 1993; linux/filter.h).
const (
	opLD, opLDX, opST, opSTX, opALU, opJMP, opRET, opMISC = 0, 1, 2, 3, 4, 5, 6, 7

	sizeW, sizeH, sizeB                      = 0x00, 0x08, 0x10
	modeIMM, modeABS, modeIND                = 0x00, 0x20, 0x40
	modeMEM, modeLEN, modeMSH                = 0x60, 0x80, 0xa0
	aluADD, aluSUB, aluMUL, aluDIV, aluOR    = 0x00, 0x10, 0x20, 0x30, 0x40
	aluAND, aluLSH, aluRSH, aluNEG           = 0x50, 0x60, 0x70, 0x80
	aluMOD, aluXOR                           = 0x90, 0xa0
	jumpJA, jumpJEQ, jumpJGT, jumpJGE, jumpS = 0x00, 0x10, 0x20, 0x30, 0x40

	srcK, srcX = 0x00, 0x08
	miscTAX    = 0x00
	miscTXA    = 0x80
)

// extension is where the kernel's data beside a frame begins.
const (
	extension      = 0xfffff000
	extVLANTag     = extension + 44
	extVLANPresent = extension + 48
)

// label is a place in the code to jump to.
type label int

// instruction is one that may jump to labels.
type instruction struct {
	code   uint16
	k      uint32
	jt, jf label // of conditional jumps; jt of JA
}

func (i *instruction) jumps() bool { return i.code&7 == opJMP }

// code is a program under construction. All jumps go forward.
type code struct {
	list  []instruction
	marks []int // per label: the instruction that it stands before, -1 if none
}

func (c *code) newLabel() label {
	c.marks = append(c.marks, -1)
	return label(len(c.marks) - 1)
}

func (c *code) mark(l label) { c.marks[l] = len(c.list) }

func (c *code) emit(op uint16, k uint32) {
	c.list = append(c.list, instruction{code: op, k: k})
}

// jump compares A with k, or with X if the code says so.
func (c *code) jump(op uint16, k uint32, yes, no label) {
	c.list = append(c.list, instruction{code: opJMP | op, k: k, jt: yes, jf: no})
}

func (c *code) goTo(l label) {
	c.list = append(c.list, instruction{code: opJMP | jumpJA, jt: l})
}

// maxNear is how far a conditional jump reaches.
const maxNear = 255

// assemble resolves labels. A jump that is too far becomes one over two
// unconditional ones.
func (c *code) assemble() ([]bpf.RawInstruction, error) {
	far := make([]bool, len(c.list))
	starts := make([]int, len(c.list)+1)
	for changed := true; changed; {
		changed = false
		for i := range c.list {
			starts[i+1] = starts[i] + 1
			if far[i] {
				starts[i+1] += 2
			}
		}
		for i := range c.list {
			in := &c.list[i]
			if !in.jumps() || in.code == opJMP|jumpJA || far[i] {
				continue
			}
			if c.distance(starts, i, in.jt) > maxNear || c.distance(starts, i, in.jf) > maxNear {
				far[i] = true
				changed = true
			}
		}
	}
	if starts[len(c.list)] > maxProgram {
		return nil, errors.New("filter: the expression makes a program of more than 4096 instructions")
	}
	var program []bpf.RawInstruction
	for i := range c.list {
		in := &c.list[i]
		raw := bpf.RawInstruction{Op: in.code, K: in.k}
		switch {
		case !in.jumps():
		case in.code == opJMP|jumpJA:
			raw.K = uint32(c.distance(starts, i, in.jt))
		case far[i]:
			raw.Jt, raw.Jf = 0, 1
			program = append(program, raw, bpf.RawInstruction{
				Op: opJMP | jumpJA, K: uint32(c.distance(starts, i, in.jt) - 1),
			})
			raw = bpf.RawInstruction{Op: opJMP | jumpJA, K: uint32(c.distance(starts, i, in.jf) - 2)}
		default:
			raw.Jt, raw.Jf = uint8(c.distance(starts, i, in.jt)), uint8(c.distance(starts, i, in.jf))
		}
		program = append(program, raw)
	}
	return program, nil
}

// distance is the number of instructions between a jump and its target.
func (c *code) distance(starts []int, from int, to label) int {
	return starts[c.marks[to]] - starts[from] - 1
}
