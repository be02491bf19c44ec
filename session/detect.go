package session

import (
	"slices"

	"flowscope/flow"
)

// candidate is a factory in the order of the registry, with what is to be known
// of it for every flow.
type candidate struct {
	index    int16 // in Driver.all
	factory  Factory
	protocol *Protocol
	stream   SessionParserFactory  // nil: none
	datagram DatagramParserFactory // nil: none
	ports    []uint16
	buffer   int
	first    int // first topic of the protocol
	count    *ProtocolCounters
	names    []string // the protocol's name, for closed.protocols
	// What its parsers are able to, by family.
	streams, datagrams abilities
}

func newCandidate(index int, f Factory, first int, s Settings) *candidate {
	c := &candidate{index: int16(index), factory: f, protocol: f.Protocol(), first: first, ports: s.Ports, buffer: s.Buffer}
	c.names = []string{c.protocol.Name}
	c.stream, _ = f.(SessionParserFactory)
	c.datagram, _ = f.(DatagramParserFactory)
	return c
}

// detector orders the candidates of a transport for a pair of ports. Ports only
// order; the probes decide.
type detector struct {
	// byPort gives for each port the number of an order; 0 is the default one.
	byPort [1 << 16]uint8
	orders [][]*candidate
	// resyncs says that some of them take a stream from its middle on.
	resyncs bool
}

func newDetector(all []*candidate, transport flow.Transport) *detector {
	d := &detector{}
	var list []*candidate
	for _, c := range all {
		if slices.Contains(c.protocol.Transports, transport) {
			list = append(list, c)
			d.resyncs = d.resyncs || c.protocol.Resyncs
		}
	}
	d.orders = append(d.orders, list)
	for _, c := range list {
		for _, p := range c.ports {
			if d.byPort[p] == 0 {
				d.byPort[p] = d.orderOf(portFirst(list, p))
			}
		}
	}
	return d
}

// orderOf returns the number of an order of a port, never 0. There are about as many
// as protocols; of more than fit, the ports have the default one.
func (d *detector) orderOf(list []*candidate) uint8 {
	for i := 1; i < len(d.orders); i++ {
		if slices.Equal(d.orders[i], list) {
			return uint8(i)
		}
	}
	if len(d.orders) == 256 {
		return 0
	}
	d.orders = append(d.orders, list)
	return uint8(len(d.orders) - 1)
}

// any says that some candidate may take a flow, by whether its beginning was seen.
func (d *detector) any(midstream bool) bool {
	if !midstream {
		return len(d.orders[0]) > 0
	}
	return d.resyncs
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
	if slices.Contains(c.ports, port) {
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

// decision is what the probes have said so far.
type decision struct {
	matches []*candidate // in order; more than one only if several are wanted
	more    bool         // nothing is decided: it takes more bytes
}

// decide asks the candidates about a sample. The first that matches wins. One
// that cannot say yet is not overtaken by a later one, or what a flow is would
// hang on how its bytes are cut; unless this is the final sample. A port decides
// when nobody else is in question. The matches are valid until the next call.
func (d *Driver) decide(list []*candidate, s *Sample, final bool) decision {
	var byPort *candidate
	undecided := 0
	d.matches = d.matches[:0]
	for _, c := range list {
		if s.Midstream && !c.protocol.Resyncs {
			continue
		}
		switch d.ask(c, s) {
		case Match:
			if undecided == 0 || final || s.Transport == flow.UDP || d.cfg.Parallel {
				d.matches = append(d.matches, c)
			}
			if !d.cfg.Parallel {
				if len(d.matches) > 0 {
					return decision{matches: d.matches}
				}
				return decision{more: true}
			}
		case More:
			undecided++
			if byPort == nil && c.protocol.PortDecides && s.OnPort(c.protocol) {
				byPort = c
			}
		}
	}
	if d.cfg.Parallel && undecided > 0 && !final && s.Transport != flow.UDP {
		return decision{more: true}
	}
	if len(d.matches) == 0 && byPort != nil && (undecided == 1 || final || s.Transport == flow.UDP) {
		d.matches = append(d.matches, byPort)
	}
	return decision{matches: d.matches, more: len(d.matches) == 0 && undecided > 0 && !final}
}
