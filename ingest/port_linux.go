package ingest

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// port is a network interface as it was configured: by its name. The interface
// behind it may be removed and made again, under another index; then spare sockets
// are bound to it. Capture.mu guards it.
type port struct {
	name   string
	device *device // the last one of that name that is captured on
	gone   bool    // it was removed
	// sockets are those that are bound: one per worker to the device, and those of
	// removed ones that are not read through.
	sockets []*socket
	// fresh are, per worker, those that it has not begun to read.
	fresh [][]*socket
	// spares are unbound, and have no ring as long as there is an interface. Each
	// time it comes back one per worker is used up.
	spares []*socket
	// trouble is why the last ones could not be used.
	trouble error
	born    birth

	received, dropped, unseen uint64
	// card counts for the device, before for those before it.
	card, before cardCounters
}

// openPort opens the sockets of an interface and binds them.
func (c *Capture) openPort(p *port) error {
	for n := range c.cfg.Workers * (1 + c.cfg.SpareSockets) {
		s, err := newSocket(n % c.cfg.Workers)
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
	if !p.device.up {
		return fmt.Errorf("capture on %s: the interface is down: ip link set %s up", p.name, p.name)
	}
	if err := c.attach(p.sockets, p.device); err != nil {
		return fmt.Errorf("capture on %s: %w", p.name, err)
	}
	return nil
}

// attach makes sockets a group that captures on an interface. They still have the
// filter that drops everything.
func (c *Capture) attach(sockets []*socket, d *device) error {
	if err := c.prepare(sockets); err != nil {
		return err
	}
	group := -1
	for _, s := range sockets {
		err := s.bind(d, &c.cfg.Config)
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

func (c *Capture) prepare(sockets []*socket) error {
	for _, s := range sockets {
		if err := s.prepare(&c.cfg.Config); err != nil {
			return err
		}
	}
	return nil
}

// giveBack closes a worker's socket, whose interface was removed and whose ring is
// read through.
func (c *Capture) giveBack(p *port, s *socket) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.countSocket(p, s)
	p.sockets = slices.DeleteFunc(p.sockets, func(o *socket) bool { return o == s })
	if err := s.close(); err != nil {
		return fmt.Errorf("capture on %s: %w", p.name, err)
	}
	return nil
}

// takeNew gives a worker, whose last interface of the port was removed, its socket on
// the next one of that name, and nil while there is none. The first worker that finds
// it binds the spare sockets, for all. It takes no privileges.
func (c *Capture) takeNew(p *port, worker int) (*socket, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(p.fresh[worker]) == 0 {
		if c.closed || c.stopping.Load() {
			return nil, nil
		}
		p.gone = true
		if err := c.bindSpares(p); err != nil || p.gone {
			return nil, err
		}
	}
	s := p.fresh[worker][0]
	p.fresh[worker] = p.fresh[worker][1:]
	return s, nil
}

// bindSpares looks for an interface of the port's name, and captures on it.
func (c *Capture) bindSpares(p *port) error {
	if len(p.spares) == 0 {
		return &InterfaceGoneError{Name: p.name, Spares: c.cfg.SpareSockets, Cause: p.trouble}
	}
	c.hear()
	sockets := p.spares[:c.cfg.Workers]
	d, err := findDevice(c.probe, p.name)
	if errors.Is(err, unix.ENODEV) {
		_ = c.prepare(sockets) // beforehand; what is wrong will be so when it must be right
		return nil
	}
	if err != nil {
		return err
	}
	err = c.replace(p, d, sockets)
	if errors.Is(err, errNotYet) {
		return nil
	}
	p.spares = p.spares[c.cfg.Workers:]
	if err != nil {
		p.trouble = err
		c.cfg.Log.Warn("cannot capture on the interface that has come back", "interface", p.name, "index", d.index, "error", err)
		return closeAll(sockets)
	}
	return nil
}

// errNotYet says that the kernel, before Linux 6.13, makes no group of sockets on an
// interface that is down. They can be bound again.
var errNotYet = errors.New("the interface is down")

// replace makes sockets the port's, on another interface of its name. One that is not
// up yet is captured on from its first packet.
func (c *Capture) replace(p *port, d *device, sockets []*socket) error {
	if err := c.attach(sockets, d); err != nil {
		if !d.up && len(sockets) > 1 && errors.Is(err, unix.EINVAL) {
			return errNotYet
		}
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
	d.unseen = c.passedUnseen(p, d, sockets)
	p.unseen += d.unseen
	c.unseen += d.unseen
	for w, s := range sockets {
		p.fresh[w] = append(p.fresh[w], s)
	}
	p.device, p.gone = d, false
	p.sockets = append(p.sockets, sockets...)
	p.before.add(p.card)
	p.card = cardCounters{}
	return nil
}

// left says that an interface that was made anew had the name of the port only in
// passing: it got another one before it was up. All workers are told the same.
func (c *Capture) left(d *device) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if d.kept || d.left {
		return d.left
	}
	name, err := interfaceName(c.probe, d.index)
	if err != nil {
		return false // it is being removed
	}
	index, err := interfaceIndex(c.probe, d.name) // d.name may be an alternative one
	d.left = err != nil || index != d.index
	if up, err := interfaceUp(c.probe, name); err == nil && up {
		d.kept = !d.left
	}
	return d.left
}

// spares says for how many times there are spare sockets.
func (c *Capture) spares(p *port) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(p.spares) / c.cfg.Workers
}

func (p *port) setFilter(program []bpf.RawInstruction) error {
	for _, s := range p.sockets {
		if err := s.filter(program); err != nil {
			return err
		}
	}
	return nil
}

// up says that packets can come.
func (p *port) up(probe int) bool {
	if p.gone {
		return false
	}
	up, err := p.device.isUp(probe)
	return err == nil && up
}

// readCard reads the counters of the interface. Those of one that was removed stay
// as they were read last.
func (p *port) readCard() {
	now, ok := readCard(p.device.name)
	if ok && !p.gone {
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
		errs = append(errs, s.close())
	}
	return errors.Join(errs...)
}
