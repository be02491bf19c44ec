package filter

// ieee80211 finds the EtherType behind the header of an 802.11 data frame (IEEE
// 802.11 section 9.3.2) and the headers of 802.2 and SNAP. Other frames, protected
// and aggregated ones carry nothing that could be looked at.
func (g *generator) ieee80211() {
	nothing := g.newBlocks()
	nothing.typeAt = -1
	typed := g.newAfloat(2)
	if g.layout.radiotap {
		g.radiotap(nothing.other)
	} else {
		g.emit(opLDX|modeIMM, 0)
	}
	then := func(mask, value uint32) { // else there is nothing
		next := g.newLabel()
		if value == 0 {
			g.jump(jumpS, mask, nothing.other, next)
		} else {
			g.emit(opALU|aluAND, mask)
			g.jump(jumpJEQ, value, next, nothing.other)
		}
		g.mark(next)
	}
	const (
		control, flags                   = 0, 1
		kind, data                       = 0x4c, 0x08 // type, and the bit of frames without data
		qos, aggregated                  = 0x80, 0x80
		protected, order, betweenSystems = 0x40, 0x80, 0x03
	)
	g.emit(opLD|sizeB|modeIND, control)
	then(kind, data)
	g.emit(opLD|sizeB|modeIND, flags)
	then(protected, 0)
	g.emit(opLD|sizeB|modeIND, flags)
	g.emit(opALU|aluAND, betweenSystems)
	four, three, service, llc := g.newLabel(), g.newLabel(), g.newLabel(), g.newLabel()
	g.jump(jumpJEQ, betweenSystems, four, three)
	g.mark(four) // addresses
	g.setPlace(30)
	g.goTo(service)
	g.mark(three)
	g.setPlace(24)
	g.mark(service)
	some := g.newLabel()
	g.emit(opLD|sizeB|modeIND, control)
	g.jump(jumpS, qos, some, llc)
	g.mark(some)
	g.emit(opLD|sizeB|modeIND, flags)
	g.emit(opALU|aluAND, order)
	g.emit(opALU|aluRSH, 5) // four bytes of HT control
	g.emit(opST, scratchFirst)
	g.emit(opLDX|modeMEM, scratchPlace)
	g.emit(opLD|sizeB|modeIND, 0)
	then(aggregated, 0)
	g.emit(opLD|modeMEM, scratchFirst)
	g.emit(opALU|aluADD|srcX, 0)
	g.emit(opALU|aluADD, 2)
	g.emit(opST, scratchPlace)
	g.mark(llc)
	g.emit(opLDX|modeMEM, scratchPlace)
	g.emit(opLD|sizeW|modeIND, 0)
	snap, ethernet := g.newLabel(), g.newLabel()
	g.jump(jumpJEQ, 0xaaaa0300, snap, nothing.other)
	g.mark(snap)
	g.emit(opLD|sizeH|modeIND, 4)
	g.jump(jumpJEQ, 0, ethernet, nothing.other)
	g.mark(ethernet)
	g.setPlace(6)
	g.emit(opLD|sizeH|modeIND, 6)
	g.choose(etherIP4, typed.ip4)
	g.choose(etherIP6, typed.ip6)
	g.goTo(typed.other)
	g.blocks(typed)
	g.block(nothing.other, nothing.place, other)
}

// setPlace sets what scratch memory holds to so many bytes behind X.
func (g *generator) setPlace(behind uint32) {
	g.emit(opMISC|miscTXA, 0)
	g.emit(opALU|aluADD, behind)
	g.emit(opST, scratchPlace)
}

// radiotap loads the length of its header into X; it is little-endian and at least
// eight.
func (g *generator) radiotap(short label) {
	long := g.newLabel()
	g.emit(opLD|sizeB|modeABS, 3)
	g.emit(opALU|aluLSH, 8)
	g.emit(opMISC|miscTAX, 0)
	g.emit(opLD|sizeB|modeABS, 2)
	g.emit(opALU|aluOR|srcX, 0)
	g.emit(opMISC|miscTAX, 0)
	g.jump(jumpJGE, 8, long, short)
	g.mark(long)
}
