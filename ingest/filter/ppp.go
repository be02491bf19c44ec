package filter

// Protocol numbers of PPP.
const (
	pppIP4 = 0x21
	pppIP6 = 0x57
)

// ppp reads the protocol field, of one byte or two, behind address and control or
// without them (RFC 1661 section 2, RFC 1662 section 3.1).
func (g *generator) ppp() {
	b := g.newAfloat(0)
	framed, bare := g.newLabel(), g.newLabel()
	g.emit(opLD|sizeH|modeABS, 0)
	g.jump(jumpJEQ, 0xff03, framed, bare)
	g.mark(framed)
	g.pppProtocol(2, b)
	g.mark(bare)
	g.pppProtocol(0, b)
	g.blocks(b)
}

func (g *generator) pppProtocol(at uint32, b blocks) {
	short, long := g.newLabel(), g.newLabel()
	g.emit(opLD|sizeB|modeABS, at)
	g.jump(jumpS, 1, short, long)
	g.mark(long)
	g.emit(opLDX|modeIMM, at+2)
	g.emit(opSTX, scratchPlace)
	g.emit(opLD|sizeH|modeABS, at)
	g.choosePPP(b)
	g.mark(short)
	g.emit(opLDX|modeIMM, at+1)
	g.emit(opSTX, scratchPlace)
	g.choosePPP(b)
}

func (g *generator) choosePPP(b blocks) {
	g.choose(pppIP4, b.ip4)
	g.choose(pppIP6, b.ip6)
	g.goTo(b.other)
}
