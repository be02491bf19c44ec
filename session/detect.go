package session

import (
	"slices"

	"flowscope/flow"
)

// candidate is a factory in the order of the registry.
type candidate struct {
	index    int // in Driver.all
	factory  Factory
	datagram DatagramParserFactory
	protocol *Protocol
	first    int      // first topic of the protocol
	names    []string // the protocol's name, for closed.protocols
}

// detector orders the candidates of a transport for a pair of ports. Ports only
// order; the probes decide.
type detector struct {
	// byPort gives for each port the number of an order; 0 is the default one.
	byPort [1 << 16]uint8
	orders [][]*candidate
}

func newDetector(all []*candidate, transport flow.Transport) *detector {
	d := &detector{}
	var list []*candidate
	for _, c := range all {
		if slices.Contains(c.protocol.Transports, transport) {
			list = append(list, c)
		}
	}
	d.orders = append(d.orders, list)
	for _, c := range list {
		for _, p := range c.protocol.Ports {
			if d.byPort[p] == 0 && len(d.orders) < 256 {
				d.byPort[p] = uint8(len(d.orders))
				d.orders = append(d.orders, portFirst(list, p))
			}
		}
	}
	return d
}

// portFirst moves the candidates that name the port to the front.
func portFirst(list []*candidate, port uint16) []*candidate {
	out := slices.Clone(list)
	slices.SortStableFunc(out, func(a, b *candidate) int {
		return boolRank(a, port) - boolRank(b, port)
	})
	return out
}

func boolRank(c *candidate, port uint16) int {
	if slices.Contains(c.protocol.Ports, port) {
		return 0
	}
	return 1
}

// candidates returns the factories to probe, in order.
func (d *detector) candidates(src, dst uint16) []*candidate {
	if o := d.byPort[dst]; o != 0 {
		return d.orders[o]
	}
	return d.orders[d.byPort[src]]
}

// probe asks the candidates about one payload. The first match wins; More counts
// only if nobody matches.
func (d *detector) probe(s *Sample) (*candidate, Verdict) {
	verdict := No
	for _, c := range d.candidates(s.SrcPort, s.DstPort) {
		switch c.factory.Probe(s) {
		case Match:
			return c, Match
		case More:
			verdict = More
		}
	}
	return nil, verdict
}
