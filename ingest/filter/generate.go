package filter

import "encoding/binary"

// accepted is what a program returns for a packet that passes: how much of it is
// wanted.
const accepted = 0x40000

// Scratch memory: what place.afloat says, and what arithmetic needs.
const (
	scratchPlace = 0
	scratchFirst = 1
	scratchEnd   = 16
)

// generator writes the program of one link type.
type generator struct {
	code
	root           node
	layout         layout
	live           bool
	accept, reject label
	tooComplicated bool
}

// program writes everything: it finds out what the frame carries, and goes on
// with a block for that.
func (g *generator) program() {
	g.accept, g.reject = g.newLabel(), g.newLabel()
	if local(g.root) {
		p := place{layout: g.layout, live: g.live}
		g.cond(p.fold(g.root), p, g.accept, g.reject)
	} else {
		g.dispatch()
	}
	g.mark(g.accept)
	g.emit(opRET, accepted)
	g.mark(g.reject)
	g.emit(opRET, 0)
}

// blocks are the labels of what comes after the link layer, and where the network
// header is there.
type blocks struct {
	ip4, ip6, other label
	place
}

func (g *generator) newBlocks() blocks {
	return blocks{g.newLabel(), g.newLabel(), g.newLabel(), place{layout: g.layout, live: g.live}}
}

// newAfloat is for a network header so many bytes behind what scratch memory holds.
func (g *generator) newAfloat(behind int) blocks {
	b := g.newBlocks()
	b.afloat, b.behind = true, behind
	return b
}

// dispatch looks at the link layer.
func (g *generator) dispatch() {
	plain := g.newBlocks()
	switch g.layout.tells {
	case byEtherType:
		g.etherTypes(plain)
		return
	case byPPP:
		g.ppp()
		return
	case by80211:
		g.ieee80211()
		return
	case byVersion:
		g.emit(opLD|sizeB|modeABS, uint32(g.layout.net))
		g.emit(opALU|aluAND, 0xf0)
		g.choose(0x40, plain.ip4)
		g.choose(0x60, plain.ip6)
		g.goTo(plain.other)
	case byFamily:
		g.emit(opLD|sizeW|modeABS, 0)
		for _, f := range []uint32{2, 10, 23, 24, 28, 30} { // AF_INET, and AF_INET6 of the systems in use
			to := plain.ip6
			if f == 2 {
				to = plain.ip4
			}
			g.choose(f, to)
			g.choose(f<<24, to)
		}
		g.goTo(plain.other)
	case alwaysIP4:
		g.goTo(plain.ip4)
	case alwaysIP6:
		g.goTo(plain.ip6)
	}
	g.blocks(plain)
}

// choose jumps if A is k.
func (g *generator) choose(k uint32, to label) {
	next := g.newLabel()
	g.jump(jumpJEQ, k, to, next)
	g.mark(next)
}

// etherTypes reads the EtherType, past up to two tags.
func (g *generator) etherTypes(plain blocks) {
	one, two, tagged := g.newLabel(), g.newLabel(), g.newAfloat(2)
	g.emit(opLD|sizeH|modeABS, uint32(g.layout.typeAt))
	g.chooseType(plain, one)
	g.mark(one)
	g.innerType(g.layout.net+2, tagged, two)
	g.mark(two)
	g.innerType(g.layout.net+6, tagged, tagged.other)
	g.blocks(plain)
	g.blocks(tagged)
}

func (g *generator) innerType(at int, b blocks, tag label) {
	g.emit(opLDX|modeIMM, uint32(at))
	g.emit(opSTX, scratchPlace)
	g.emit(opLD|sizeH|modeABS, uint32(at))
	g.chooseType(b, tag)
}

func (g *generator) chooseType(b blocks, tag label) {
	g.choose(etherIP4, b.ip4)
	g.choose(etherIP6, b.ip6)
	for _, t := range []uint32{etherVLAN, etherQinQ, etherVLANOld} {
		g.choose(t, tag)
	}
	g.goTo(b.other)
}

// blocks writes what is left of the expression for each protocol.
func (g *generator) blocks(b blocks) {
	for _, at := range []struct {
		label    label
		protocol protocol
	}{{b.ip4, isIP4}, {b.ip6, isIP6}, {b.other, other}} {
		g.block(at.label, b.place, at.protocol)
	}
}

func (g *generator) block(at label, p place, protocol protocol) {
	p.protocol = protocol
	g.mark(at)
	g.cond(p.fold(g.root), p, g.accept, g.reject)
}

// cond writes a condition that jumps to one of two labels.
func (g *generator) cond(n node, p place, yes, no label) {
	switch n := n.(type) {
	case constant:
		if n {
			g.goTo(yes)
		} else {
			g.goTo(no)
		}
	case not:
		g.cond(n.x, p, no, yes)
	case both:
		next := g.newLabel()
		g.cond(n.x, p, next, no)
		g.mark(next)
		g.cond(n.y, p, yes, no)
	case either:
		next := g.newLabel()
		g.cond(n.x, p, yes, next)
		g.mark(next)
		g.cond(n.y, p, yes, no)
	case linkAddress:
		g.linkAddress(n, yes, no)
	case linkMulticast:
		g.emit(opLD|sizeB|modeABS, 0)
		g.jump(jumpS, 1, yes, no)
	case network:
		g.network(n, p, yes, no)
	case multicast:
		g.multicast(p, yes, no)
	case port:
		g.port(n, p, yes, no)
	case etherType:
		g.loadType(p)
		g.jump(jumpJEQ, uint32(n.number), yes, no)
	case transport:
		g.transport(n, p, yes, no)
	case vlan:
		g.vlan(n, p, yes, no)
	case relation:
		g.relation(n, p, yes, no)
	}
}

// loadNet loads from the network header.
func (g *generator) loadNet(p place, size uint16, off int) {
	if !p.afloat {
		g.emit(opLD|size|modeABS, uint32(p.net+off))
		return
	}
	g.emit(opLDX|modeMEM, scratchPlace)
	g.emit(opLD|size|modeIND, uint32(p.behind+off))
}

func (g *generator) loadType(p place) {
	if !p.afloat {
		g.emit(opLD|sizeH|modeABS, uint32(p.typeAt))
		return
	}
	g.emit(opLDX|modeMEM, scratchPlace)
	g.emit(opLD|sizeH|modeIND, 0)
}

// headerIP4 loads into X what, with the constant that it returns, is the offset
// of the payload of an IPv4 packet.
func (g *generator) headerIP4(p place) uint32 {
	if !p.afloat {
		g.emit(opLDX|sizeB|modeMSH, uint32(p.net))
		return uint32(p.net)
	}
	g.loadNet(p, sizeB, 0)
	g.emit(opALU|aluAND, 0x0f)
	g.emit(opALU|aluLSH, 2)
	g.emit(opALU|aluADD|srcX, 0)
	g.emit(opMISC|miscTAX, 0)
	return uint32(p.behind)
}

// ends runs a test on one end or both, as the direction wants.
func (g *generator) ends(d direction, yes, no label, test func(dst bool, yes, no label)) {
	next := g.newLabel()
	switch d {
	case srcOnly:
		test(false, yes, no)
	case dstOnly:
		test(true, yes, no)
	case srcAndDst:
		test(false, next, no)
		g.mark(next)
		test(true, yes, no)
	default:
		test(false, yes, next)
		g.mark(next)
		test(true, yes, no)
	}
}

func (g *generator) linkAddress(n linkAddress, yes, no label) {
	g.ends(n.dir, yes, no, func(dst bool, yes, no label) {
		at := uint32(6)
		if dst {
			at = 0
		}
		next := g.newLabel()
		g.emit(opLD|sizeW|modeABS, at+2)
		g.jump(jumpJEQ, binary.BigEndian.Uint32(n.mac[2:]), next, no)
		g.mark(next)
		g.emit(opLD|sizeH|modeABS, at)
		g.jump(jumpJEQ, uint32(binary.BigEndian.Uint16(n.mac[:])), yes, no)
	})
}

// network compares the addresses of IPv4, IPv6 or ARP.
func (g *generator) network(n network, p place, yes, no label) {
	src, dst := 12, 16
	switch p.protocol {
	case isIP6:
		src, dst = 8, 24
	case other:
		src, dst = 14, 24
		is := g.newLabel()
		g.isARP(n.family, p, is, no)
		g.mark(is)
	}
	g.ends(n.dir, yes, no, func(isDst bool, yes, no label) {
		at := src
		if isDst {
			at = dst
		}
		for _, like := range byMask(n.prefixes) {
			next := g.newLabel()
			if n.six {
				g.prefixes6(p, at, like, yes, next)
			} else {
				g.prefixes4(p, at, like, yes, next)
			}
			g.mark(next)
		}
		g.goTo(no)
	})
}

func (g *generator) isARP(f family, p place, yes, no label) {
	g.loadType(p)
	if f == anyFamily || f == arp {
		g.choose(etherARP, yes)
	}
	if f == anyFamily || f == rarp {
		g.choose(etherRARP, yes)
	}
	g.goTo(no)
}

// byMask puts prefixes with the same mask together.
func byMask(prefixes []prefix) (groups [][]prefix) {
	at := map[[16]byte]int{}
	for _, f := range prefixes {
		i, ok := at[f.mask]
		if !ok {
			i = len(groups)
			at[f.mask] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], f)
	}
	return groups
}

// prefixes4 compares an IPv4 address with prefixes of one mask.
func (g *generator) prefixes4(p place, at int, prefixes []prefix, yes, no label) {
	values := make([]uint32, len(prefixes))
	for i := range prefixes {
		values[i] = prefixes[i].word(0)
	}
	g.loadMasked(p, at, &prefixes[0], 0)
	g.oneOf(values, yes, no)
}

// prefixes6 compares an IPv6 address, word by word.
func (g *generator) prefixes6(p place, at int, prefixes []prefix, yes, no label) {
	for i := range prefixes {
		next := g.newLabel()
		for w := range 4 {
			if w > 0 && binary.BigEndian.Uint32(prefixes[i].mask[4*w:]) == 0 {
				break
			}
			equal := g.newLabel()
			g.loadMasked(p, at, &prefixes[i], w)
			g.jump(jumpJEQ, prefixes[i].word(w), equal, next)
			g.mark(equal)
		}
		g.goTo(yes)
		g.mark(next)
	}
	g.goTo(no)
}

func (f *prefix) word(w int) uint32 { return binary.BigEndian.Uint32(f.addr[4*w:]) }

// loadMasked loads a word of an address, and those bits of it that count.
func (g *generator) loadMasked(p place, at int, f *prefix, w int) {
	g.loadNet(p, sizeW, at+4*w)
	if mask := binary.BigEndian.Uint32(f.mask[4*w:]); mask != 1<<32-1 {
		g.emit(opALU|aluAND, mask)
	}
}

// chunk is how many comparisons share a jump, so that each of them reaches it.
const chunk = 100

// oneOf compares A with values.
func (g *generator) oneOf(values []uint32, yes, no label) {
	for len(values) > 0 {
		n := min(chunk, len(values))
		next, hit := g.newLabel(), g.newLabel()
		for i, v := range values[:n] {
			if i == n-1 {
				g.jump(jumpJEQ, v, hit, next)
			} else {
				g.choose(v, hit)
			}
		}
		g.mark(hit)
		g.goTo(yes)
		g.mark(next)
		values = values[n:]
	}
	g.goTo(no)
}

func (g *generator) multicast(p place, yes, no label) {
	if p.protocol == isIP4 {
		g.loadNet(p, sizeB, 16)
		g.jump(jumpJGE, 224, yes, no)
		return
	}
	g.loadNet(p, sizeB, 24)
	g.jump(jumpJEQ, 255, yes, no)
}

// transport compares the protocol; over IPv6 also behind a fragment header that
// comes first, as libpcap does.
func (g *generator) transport(n transport, p place, yes, no label) {
	if p.protocol == isIP4 {
		g.loadNet(p, sizeB, 9)
		g.jump(jumpJEQ, uint32(n.number), yes, no)
		return
	}
	next, fragment := g.newLabel(), g.newLabel()
	g.loadNet(p, sizeB, 6)
	g.jump(jumpJEQ, uint32(n.number), yes, next)
	g.mark(next)
	g.jump(jumpJEQ, fragment6, fragment, no)
	g.mark(fragment)
	g.loadNet(p, sizeB, 40)
	g.jump(jumpJEQ, uint32(n.number), yes, no)
}

// port compares ports, which only an unfragmented packet or a first fragment
// has; over IPv6 only if the transport follows the fixed header.
func (g *generator) port(n port, p place, yes, no label) {
	is := g.newLabel()
	at := 9
	if p.protocol == isIP6 {
		at = 6
	}
	g.loadNet(p, sizeB, at)
	for i, proto := range n.protos {
		if i == len(n.protos)-1 {
			g.jump(jumpJEQ, uint32(proto), is, no)
		} else {
			g.choose(uint32(proto), is)
		}
	}
	g.mark(is)
	load := func(off int) { g.loadNet(p, sizeH, 40+off) }
	if p.protocol == isIP4 {
		g.notFragment(p, no)
		base := g.headerIP4(p)
		load = func(off int) { g.emit(opLD|sizeH|modeIND, base+uint32(off)) }
	}
	g.ends(n.dir, yes, no, func(dst bool, yes, no label) {
		if dst {
			load(2)
		} else {
			load(0)
		}
		g.portIn(n.ranges, yes, no)
	})
}

func (g *generator) notFragment(p place, no label) {
	whole := g.newLabel()
	g.loadNet(p, sizeH, 6)
	g.jump(jumpS, 0x1fff, no, whole)
	g.mark(whole)
}

// portIn compares A with ranges.
func (g *generator) portIn(ranges []portRange, yes, no label) {
	for _, r := range ranges {
		next := g.newLabel()
		if r.lo == r.hi {
			g.jump(jumpJEQ, uint32(r.lo), yes, next)
		} else {
			within := g.newLabel()
			g.jump(jumpJGE, uint32(r.lo), within, next)
			g.mark(within)
			g.jump(jumpJGT, uint32(r.hi), next, yes)
		}
		g.mark(next)
	}
	g.goTo(no)
}

// vlan looks at the tag that the kernel holds, and at those in the frame.
func (g *generator) vlan(n vlan, p place, yes, no label) {
	if p.live {
		next := g.newLabel()
		g.emit(opLD|sizeW|modeABS, extVLANPresent)
		if n.id < 0 {
			g.jump(jumpJEQ, 0, next, yes)
		} else {
			present := g.newLabel()
			g.jump(jumpJEQ, 0, next, present)
			g.mark(present)
			g.emit(opLD|sizeW|modeABS, extVLANTag)
			g.tagIs(n, yes, next)
		}
		g.mark(next)
	}
	switch {
	case !p.afloat:
		g.goTo(no)
	case n.id < 0:
		g.goTo(yes)
	default:
		next, two := g.newLabel(), g.newLabel()
		g.emit(opLD|sizeH|modeABS, uint32(p.net))
		g.tagIs(n, yes, next)
		g.mark(next)
		g.emit(opLD|modeMEM, scratchPlace)
		g.jump(jumpJEQ, uint32(p.net+6), two, no)
		g.mark(two)
		g.emit(opLD|sizeH|modeABS, uint32(p.net+4))
		g.tagIs(n, yes, no)
	}
}

func (g *generator) tagIs(n vlan, yes, no label) {
	g.emit(opALU|aluAND, 0x0fff)
	g.jump(jumpJEQ, uint32(n.id), yes, no)
}
