package filter

import "slices"

// fold returns what is left of a condition at a place, where the protocol and
// whether there are tags is known.
func (p place) fold(n node) node {
	switch n := n.(type) {
	case not:
		x := p.fold(n.x)
		if c, ok := x.(constant); ok {
			return !c
		}
		return not{x}
	case both:
		return foldBoth(p.fold(n.x), p.fold(n.y))
	case either:
		return foldEither(p.fold(n.x), p.fold(n.y))
	}
	if possible := p.possible(n); possible != maybe {
		return constant(possible == always)
	}
	return n
}

func foldBoth(x, y node) node {
	if c, ok := x.(constant); ok {
		if !c {
			return c
		}
		return y
	}
	if c, ok := y.(constant); ok {
		if !c {
			return c
		}
		return x
	}
	return both{x, y}
}

func foldEither(x, y node) node {
	if c, ok := x.(constant); ok {
		if c {
			return c
		}
		return y
	}
	if c, ok := y.(constant); ok {
		if c {
			return c
		}
		return x
	}
	// Ports and addresses of the same kind are looked at together.
	if all, ok := merge(x, y); ok {
		return all
	}
	if e, ok := x.(either); ok {
		if all, ok := merge(e.y, y); ok {
			return either{e.x, all}
		}
	}
	return either{x, y}
}

// merge makes one condition of two if they differ in what they compare with only.
func merge(x, y node) (node, bool) {
	switch a := x.(type) {
	case port:
		b, ok := y.(port)
		if ok && a.dir != srcAndDst && a.dir == b.dir && a.family == b.family && slices.Equal(a.protos, b.protos) {
			a.ranges = append(slices.Clip(a.ranges), b.ranges...)
			return a, true
		}
	case network:
		b, ok := y.(network)
		if ok && a.dir != srcAndDst && a.dir == b.dir && a.family == b.family && a.six == b.six {
			a.prefixes = append(slices.Clip(a.prefixes), b.prefixes...)
			return a, true
		}
	}
	return nil, false
}

type possibility uint8

const (
	maybe possibility = iota
	never
	always
)

func ifElse(c bool, yes, no possibility) possibility {
	if c {
		return yes
	}
	return no
}

// possible says what a place knows of a condition.
func (p place) possible(n node) possibility {
	switch n := n.(type) {
	case constant:
		return ifElse(bool(n), always, never)
	case linkAddress, linkMulticast:
		return ifElse(p.addresses, maybe, never)
	case etherType:
		return p.possibleType(n.number)
	case transport:
		return ifElse(p.over(n.family), maybe, never)
	case port:
		return ifElse(p.over(n.family), maybe, never)
	case multicast:
		return ifElse(p.over(n.family), maybe, never)
	case network:
		return p.possibleNetwork(n)
	case vlan:
		switch {
		case p.tells != byEtherType:
			return never
		case p.live:
			return maybe
		case !p.afloat:
			return never
		}
		return ifElse(n.id < 0, always, maybe)
	case relation:
		return max(p.possibleNumber(n.x), p.possibleNumber(n.y))
	}
	return maybe
}

// over says whether IP of a family is carried here.
func (p place) over(f family) bool {
	switch p.protocol {
	case isIP4:
		return f == anyFamily || f == ip4
	case isIP6:
		return f == anyFamily || f == ip6
	default:
		return false
	}
}

func (p place) possibleType(number uint16) possibility {
	switch number {
	case etherIP4:
		return ifElse(p.protocol == isIP4, always, never)
	case etherIP6:
		return ifElse(p.protocol == isIP6, always, never)
	}
	return ifElse(p.protocol == other && p.typeAt >= 0, maybe, never)
}

func (p place) possibleNetwork(n network) possibility {
	if n.six {
		return ifElse(p.protocol == isIP6, maybe, never)
	}
	switch p.protocol {
	case isIP4:
		return ifElse(n.family == anyFamily || n.family == ip4, maybe, never)
	case other:
		return ifElse(p.typeAt >= 0 && n.family != ip4, maybe, never)
	default:
		return never
	}
}

// possibleNumber says whether the headers that a number is read from can be here.
func (p place) possibleNumber(n number) possibility {
	switch n := n.(type) {
	case operation:
		return max(p.possibleNumber(n.x), p.possibleNumber(n.y))
	case load:
		here := true
		switch n.base.kind {
		case inIP4:
			here = p.protocol == isIP4
		case inIP6:
			here = p.protocol == isIP6
		case atNet:
			here = p.possibleType(n.base.ether) != never
		}
		return max(ifElse(here, maybe, never), p.possibleNumber(n.index))
	}
	return maybe
}

// local says that a condition depends on no protocol and no tag.
func local(n node) bool {
	switch n := n.(type) {
	case not:
		return local(n.x)
	case both:
		return local(n.x) && local(n.y)
	case either:
		return local(n.x) && local(n.y)
	case constant, linkAddress, linkMulticast:
		return true
	case relation:
		return localNumber(n.x) && localNumber(n.y)
	}
	return false
}

func localNumber(n number) bool {
	switch n := n.(type) {
	case operation:
		return localNumber(n.x) && localNumber(n.y)
	case load:
		return n.base.kind == atLink && localNumber(n.index)
	}
	return true
}
