package session

// maxPooled bounds how many idle parsers of one factory are kept.
const maxPooled = 1 << 16

// parserPool holds the running parsers, by index, and the idle ones of each
// factory whose parsers can be reset.
type parserPool struct {
	running []pooled
	free    []int32
	idle    [][]DatagramParser
}

type pooled struct {
	parser    DatagramParser
	candidate int
}

func newParserPool(factories int) parserPool {
	return parserPool{idle: make([][]DatagramParser, factories)}
}

// get returns the index of a parser as good as new.
func (p *parserPool) get(n int, c *candidate) int32 {
	var parser DatagramParser
	if idle := p.idle[n]; len(idle) > 0 {
		parser = idle[len(idle)-1]
		p.idle[n] = idle[:len(idle)-1]
	} else {
		parser = c.datagram.NewDatagramParser()
	}
	if k := len(p.free); k > 0 {
		i := p.free[k-1]
		p.free = p.free[:k-1]
		p.running[i] = pooled{parser, n}
		return i
	}
	p.running = append(p.running, pooled{parser, n})
	return int32(len(p.running) - 1)
}

func (p *parserPool) at(i int32) DatagramParser { return p.running[i].parser }

// put takes a parser back.
func (p *parserPool) put(i int32) {
	r := p.running[i]
	p.running[i] = pooled{}
	p.free = append(p.free, i)
	if reset, ok := r.parser.(Resetter); ok && len(p.idle[r.candidate]) < maxPooled {
		reset.Reset()
		p.idle[r.candidate] = append(p.idle[r.candidate], r.parser)
	}
}
