package session

// maxPooled bounds how many idle parsers of one factory are kept.
const maxPooled = 1 << 16

// parserPool keeps idle parsers of the factories whose parsers can be reset, by
// candidate.
type parserPool [][]DatagramParser

// get returns a parser as good as new.
func (p parserPool) get(c *candidate) DatagramParser {
	if idle := p[c.index]; len(idle) > 0 {
		p[c.index] = idle[:len(idle)-1]
		return idle[len(idle)-1]
	}
	return c.datagram.NewDatagramParser()
}

// put takes back a parser that get returned for candidate number n.
func (p parserPool) put(n int16, parser DatagramParser) {
	if reset, ok := parser.(Resetter); ok && len(p[n]) < maxPooled {
		reset.Reset()
		p[n] = append(p[n], parser)
	}
}
