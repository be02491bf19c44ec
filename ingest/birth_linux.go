package ingest

// birth is what the kernel has told of the next interface of a port's name.
type birth struct {
	// index is 0 as long as nothing was told.
	index int
	// passed is what its counters were when it got the name: 0 if it is new, but
	// it may have had another name or have been in another network namespace.
	passed uint64
	// removed says that the interface before it is gone, whose index it may have.
	removed bool
}

// takeNews takes note of what the kernel has told of interfaces.
func (c *Capture) takeNews() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hear()
}

// hear is takeNews while c.mu is held.
func (c *Capture) hear() {
	if c.links == nil {
		return
	}
	complete := c.links.changes(func(l *linkChange) {
		for _, p := range c.ports {
			if p.hear(l) {
				p.born.passed, _ = c.links.passed(p.born.index) // it is gone, or there is an answer
			}
		}
	})
	if !complete { // then who comes is taken to be new
		for _, p := range c.ports {
			p.born = birth{removed: true}
		}
	}
}

// hear reports true if only now the next interface is to be captured on, as the one
// before it, which had got another name, was removed.
func (p *port) hear(l *linkChange) bool {
	b := &p.born
	current := l.index == p.device.index && !b.removed
	switch {
	case current && l.removed:
		b.removed = true
		return b.index != 0
	case current:
	case !l.removed && l.name == p.name:
		if b.index != l.index {
			b.index, b.passed = l.index, l.passed
		}
	case l.index == b.index: // it was removed, or has another name now
		b.index = 0
	}
	return false
}

// passedUnseen is how many packets had passed an interface when sockets, which now
// have their filter, began to capture on it: what it has counted since it got its
// name, less what the sockets have received by then.
func (c *Capture) passedUnseen(p *port, d *device, sockets []*socket) uint64 {
	born := p.born
	p.born = birth{}
	if c.links == nil {
		return 0
	}
	var known, unseen, last uint64
	if born.index == d.index {
		known = born.passed
	}
	for try := range quietTries {
		for _, s := range sockets {
			known += c.countSocket(p, s)
		}
		passed, err := c.links.passed(d.index)
		if err != nil {
			c.cfg.Log.Warn("what passed an interface before it was captured on is not counted", "interface", p.name, "index", d.index, "error", err)
			return 0
		}
		more := passed - min(passed, known)
		if try == 0 || more < unseen {
			unseen = more
		}
		if try > 0 && passed == last {
			break
		}
		last = passed
	}
	return unseen
}

// quietTries is how often counters are read until no packet comes between those of the
// sockets and those of the interface. Where packets come faster, some that come in
// these microseconds count as unseen although they were received.
const quietTries = 8
