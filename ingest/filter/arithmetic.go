package filter

// relation compares two numbers, if the headers that they are read from are
// there.
func (g *generator) relation(n relation, p place, yes, no label) {
	checked := map[base]bool{}
	g.headers(n.x, p, no, checked)
	g.headers(n.y, p, no, checked)
	op := uint16(jumpJEQ)
	switch n.op {
	case ">", "<=":
		op = jumpJGT
	case ">=", "<":
		op = jumpJGE
	}
	if n.op == "!=" || n.op == "<" || n.op == "<=" {
		yes, no = no, yes
	}
	if k, ok := n.y.(literal); ok {
		g.number(n.x, p, scratchFirst)
		g.jump(op, uint32(k), yes, no)
		return
	}
	g.twoNumbers(n.x, n.y, p, scratchFirst)
	g.jump(op|srcX, 0, yes, no)
}

// headers checks that the headers of all loads are there, each once.
func (g *generator) headers(n number, p place, no label, checked map[base]bool) {
	switch n := n.(type) {
	case operation:
		g.headers(n.x, p, no, checked)
		g.headers(n.y, p, no, checked)
	case load:
		if !checked[n.base] {
			checked[n.base] = true
			g.header(n.base, p, no)
		}
		g.headers(n.index, p, no, checked)
	}
}

func (g *generator) header(b base, p place, no label) {
	is := g.newLabel()
	switch b.kind {
	case atNet:
		if p.protocol == other {
			g.loadType(p)
			g.jump(jumpJEQ, uint32(b.ether), is, no)
		}
	case inIP4:
		g.loadNet(p, sizeB, 9)
		g.jump(jumpJEQ, uint32(b.proto), is, no)
		g.mark(is)
		g.notFragment(p, no)
		return
	case inIP6:
		g.loadNet(p, sizeB, 6)
		g.jump(jumpJEQ, uint32(b.proto), is, no)
	}
	g.mark(is)
}

// number computes into A; scratch memory from free on may be used.
func (g *generator) number(n number, p place, free int) {
	switch n := n.(type) {
	case literal:
		g.emit(opLD|modeIMM, uint32(n))
	case length:
		g.length(p)
	case operation:
		code := operations[n.op]
		if k, ok := n.y.(literal); ok {
			g.number(n.x, p, free)
			g.emit(opALU|code, uint32(k))
			return
		}
		g.twoNumbers(n.x, n.y, p, free)
		g.emit(opALU|code|srcX, 0)
	case load:
		g.load(n, p, free)
	}
}

var operations = map[string]uint16{
	"+": aluADD, "-": aluSUB, "*": aluMUL, "/": aluDIV, "%": aluMOD,
	"&": aluAND, "|": aluOR, "^": aluXOR, "<<": aluLSH, ">>": aluRSH,
}

// twoNumbers computes one into A and one into X.
func (g *generator) twoNumbers(a, x number, p place, free int) {
	g.number(x, p, free)
	if free >= scratchEnd {
		g.tooComplicated = true
		return
	}
	g.emit(opST, uint32(free))
	g.number(a, p, free+1)
	g.emit(opLDX|modeMEM, uint32(free))
}

// length counts the tag that the kernel holds beside the frame.
func (g *generator) length(p place) {
	if p.live && p.tells == byEtherType {
		g.emit(opLD|sizeW|modeABS, extVLANPresent)
		g.emit(opALU|aluLSH, 2)
		g.emit(opMISC|miscTAX, 0)
		g.emit(opLD|sizeW|modeLEN, 0)
		g.emit(opALU|aluADD|srcX, 0)
		return
	}
	g.emit(opLD|sizeW|modeLEN, 0)
}

var sizes = map[int]uint16{1: sizeB, 2: sizeH, 4: sizeW}

// load reads bytes of a header.
func (g *generator) load(n load, p place, free int) {
	size := sizes[n.size]
	if k, ok := n.index.(literal); ok {
		g.loadAt(n.base, size, p, uint32(k))
		return
	}
	g.number(n.index, p, free)
	switch {
	case n.base.kind == inIP4:
		if free >= scratchEnd {
			g.tooComplicated = true
			return
		}
		g.emit(opST, uint32(free))
		off := g.headerIP4(p)
		g.emit(opLD|modeMEM, uint32(free))
		g.emit(opALU|aluADD|srcX, 0)
		g.emit(opMISC|miscTAX, 0)
		g.emit(opLD|size|modeIND, off)
	case n.base.kind == atLink || !p.afloat:
		off := 0
		if n.base.kind != atLink {
			off = p.net + n.base.fixed()
		}
		g.emit(opMISC|miscTAX, 0)
		g.emit(opLD|size|modeIND, uint32(off))
	default:
		g.emit(opLDX|modeMEM, scratchPlace)
		g.emit(opALU|aluADD|srcX, 0)
		g.emit(opMISC|miscTAX, 0)
		g.emit(opLD|size|modeIND, uint32(p.behind+n.base.fixed()))
	}
}

// fixed is the length of the header before the place that a load counts from.
func (b base) fixed() int {
	if b.kind == inIP6 {
		return 40
	}
	return 0
}

// maxIndex keeps offsets out of the kernel's range for other things.
const maxIndex = 1 << 20

func (g *generator) loadAt(b base, size uint16, p place, k uint32) {
	k = min(k, maxIndex)
	switch b.kind {
	case atLink:
		g.emit(opLD|size|modeABS, k)
	case inIP4:
		off := g.headerIP4(p)
		g.emit(opLD|size|modeIND, off+k)
	default:
		g.loadNet(p, size, b.fixed()+int(k))
	}
}
