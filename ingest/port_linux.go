package ingest

import (
	"errors"
	"fmt"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// port is a network interface as it was configured: by its name. The interface
// behind it may be removed and made again, under another index; then the sockets
// are replaced by spare ones. Capture.mu guards it.
type port struct {
	name    string
	device  *device   // the last one of that name
	sockets []*socket // one per worker, nil where the worker has given it back
	// spares are unbound, and have no ring. Each time the interface comes back one
	// per worker is used up.
	spares []*socket
	// trouble is why the last ones could not be used.
	trouble error

	received, dropped uint64
	// card counts for the device, before for those before it.
	card, before cardCounters
}

// openPort opens the sockets of an interface and binds them.
func (c *Capture) openPort(p *port) error {
	for n := range c.cfg.Workers * (1 + c.cfg.SpareSockets) {
		s, err := newSocket()
		if err != nil {
			return err
		}
		if n < c.cfg.Workers {
			p.sockets = append(p.sockets, s)
		} else {
			p.spares = append(p.spares, s)
		}
	}
	var err error
	if p.device, err = findDevice(c.probe, p.name); err != nil {
		return err
	}
	if err := c.attach(p.sockets, p.device); err != nil {
		return fmt.Errorf("capture on %s: %w", p.name, err)
	}
	return nil
}

// attach makes sockets a group that captures on an interface. They still have the
// filter that drops everything.
func (c *Capture) attach(sockets []*socket, d *device) error {
	group := -1
	for _, s := range sockets {
		err := s.prepare(d, &c.cfg.Config)
		if err == nil {
			err = s.bind()
		}
		if err == nil && len(sockets) > 1 {
			group, err = s.join(group)
		}
		if err != nil {
			return err
		}
	}
	if len(sockets) == 1 {
		return nil
	}
	program, err := c.cfg.Spread(d.link, len(sockets))
	if err != nil {
		return err
	}
	return sockets[0].spread(program)
}

// giveBack closes a worker's socket, whose interface was removed and whose ring is
// read through. It is an error if no more can come: there are no spare sockets.
func (c *Capture) giveBack(p *port, worker int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := p.sockets[worker]
	c.countSocket(p, worker, s)
	p.sockets[worker] = nil
	if err := s.close(); err != nil {
		return fmt.Errorf("capture on %s: %w", p.name, err)
	}
	if len(p.spares) == 0 {
		return c.gone(p)
	}
	return nil
}

// takeNew gives a worker its socket on the interface that has come back under the
// name of the port, and nil while there is none. The first worker that finds the
// interface after all have given back their sockets binds the spare ones, for all.
// It takes no privileges.
func (c *Capture) takeNew(p *port, worker int) (*socket, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.stopping.Load() {
		return nil, nil
	}
	for _, s := range p.sockets {
		if s != nil {
			return p.sockets[worker], nil // or the others still read theirs
		}
	}
	if len(p.spares) == 0 {
		return nil, c.gone(p)
	}
	d, err := findDevice(c.probe, p.name)
	if errors.Is(err, unix.ENODEV) || errors.Is(err, errInterfaceDown) {
		return nil, nil // not yet
	}
	if err != nil {
		return nil, err
	}
	sockets := p.spares[:c.cfg.Workers]
	p.spares = p.spares[c.cfg.Workers:]
	if err := c.replace(p, d, sockets); err != nil {
		p.trouble = err
		c.cfg.Log.Warn("cannot capture on the interface that has come back", "interface", p.name, "index", d.index, "error", err)
		return nil, closeAll(sockets)
	}
	c.cfg.Log.Info("interface is back", "interface", p.name, "index", d.index, "link_type", uint32(d.link), "spare_sockets", len(p.spares)/c.cfg.Workers)
	c.cfg.Changed(InterfaceChange{Name: p.name, Up: true, Detail: fmt.Sprintf("is back, under index %d", d.index)})
	return sockets[worker], nil
}

// replace makes sockets the port's, on another interface of its name.
func (c *Capture) replace(p *port, d *device, sockets []*socket) error {
	if err := c.attach(sockets, d); err != nil {
		return err
	}
	program, err := c.program(c.filter, d.link)
	if err != nil {
		return err
	}
	for _, s := range sockets {
		if err := s.filter(program); err != nil {
			return err
		}
	}
	p.device, p.sockets = d, sockets
	p.before.add(p.card)
	p.card = cardCounters{}
	return nil
}

// gone is the error of an interface that was removed and cannot be waited for.
func (c *Capture) gone(p *port) error {
	return &InterfaceGoneError{Name: p.name, Spares: c.cfg.SpareSockets, Cause: p.trouble}
}

func (p *port) setFilter(program []bpf.RawInstruction) error {
	for _, s := range p.sockets {
		if s == nil {
			continue
		}
		if err := s.filter(program); err != nil {
			return err
		}
	}
	return nil
}

// up says that packets can come.
func (p *port) up(probe int) bool {
	if p.sockets[0] == nil {
		return false
	}
	up, err := p.device.up(probe)
	return err == nil && up
}

// readCard reads the counters of the interface. Those of one that was removed stay
// as they were read last.
func (p *port) readCard() {
	now, ok := readCard(p.device.name)
	if ok && p.sockets[0] != nil {
		p.card = cardCounters{since(now.dropped, p.device.card.dropped), since(now.missed, p.device.card.missed)}
	}
}

// since is the growth of a counter that may have begun anew.
func since(now, before uint64) uint64 {
	if now < before {
		return now
	}
	return now - before
}

func (p *port) close() error { return errors.Join(closeAll(p.sockets), closeAll(p.spares)) }

func closeAll(sockets []*socket) error {
	var errs []error
	for _, s := range sockets {
		if s != nil {
			errs = append(errs, s.close())
		}
	}
	return errors.Join(errs...)
}
