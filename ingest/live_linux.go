package ingest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Capture captures live, with one source for each worker. Each of them has a ring
// on every interface, and the kernel divides the packets of an interface over the
// rings.
type Capture struct {
	cfg     LiveConfig
	workers []*liveSource
	// stopping makes the sources end when their rings are empty.
	stopping atomic.Bool

	mu     sync.Mutex
	closed bool
	probe  int    // a socket to ask the kernel by; -1 for none
	links  *links // nil if it cannot be had
	ports  []*port
	filter func(LinkType) ([]bpf.RawInstruction, error)
	lost   []uint64 // per worker
	unseen uint64
}

// OpenLive opens packet sockets on all interfaces: without protocol and with a
// filter that drops everything, then their rings, then they are bound and joined
// to groups, and only when all are ready they get their filters. So no packet
// comes before its filter, and none to several workers. It needs CAP_NET_RAW.
// Capturing has begun when it returns.
func OpenLive(cfg LiveConfig) (*Capture, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	c := &Capture{cfg: cfg, probe: -1, lost: make([]uint64, cfg.Workers)}
	if err := c.open(); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	for _, p := range c.ports {
		c.cfg.Log.Info("capturing", "interface", p.name, "index", p.device.index, "link_type", uint32(p.device.link), "rings", len(p.sockets))
	}
	return c, nil
}

func (c *Capture) open() error {
	var err error
	if c.probe, err = unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return fmt.Errorf("open a socket to ask for interfaces: %w", err)
	}
	if c.links, err = openLinks(); err != nil {
		c.cfg.Log.Warn("not told when interfaces come back: they are looked for, and what is missed meanwhile is not counted", "error", err)
	}
	for w := range c.cfg.Workers {
		c.workers = append(c.workers, newLiveSource(c, w))
	}
	for _, name := range c.cfg.Interfaces {
		p := &port{name: name, fresh: make([][]*socket, c.cfg.Workers)}
		c.ports = append(c.ports, p)
		if err := c.openPort(p); err != nil {
			return err
		}
		for w, worker := range c.workers {
			worker.add(tap{port: p, socket: p.sockets[w]}, worker.ringOf(p.sockets[w], name))
		}
	}
	return c.refilter(c.cfg.Filter)
}

// Sources returns one source per worker. They share nothing but their end: when
// one of them is stopped, all are.
func (c *Capture) Sources() []Source {
	sources := make([]Source, len(c.workers))
	for i, w := range c.workers {
		sources[i] = w
	}
	return sources
}

// Refilter replaces the filter of all sockets, without a gap: each packet meets
// the old one or the new one. It needs no privileges. After a stop it does
// nothing.
func (c *Capture) Refilter(f func(LinkType) ([]bpf.RawInstruction, error)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopping.Load() || c.closed {
		return nil
	}
	return c.refilter(f)
}

func (c *Capture) refilter(f func(LinkType) ([]bpf.RawInstruction, error)) error {
	programs := make([][]bpf.RawInstruction, len(c.ports))
	for i, p := range c.ports {
		var err error
		if programs[i], err = c.program(f, p.device.link); err != nil {
			return fmt.Errorf("capture on %s: %w", p.name, err)
		}
	}
	for i, p := range c.ports {
		if err := p.setFilter(programs[i]); err != nil {
			return fmt.Errorf("capture on %s: %w", p.name, err)
		}
	}
	c.filter = f
	return nil
}

// program is the filter for a link type.
func (c *Capture) program(f func(LinkType) ([]bpf.RawInstruction, error), link LinkType) ([]bpf.RawInstruction, error) {
	program := passAll
	if f != nil {
		var err error
		if program, err = f(link); err != nil {
			return nil, err
		}
	}
	return cutTo(program, c.cfg.Snaplen), nil
}

// cutTo makes a program return the snaplen for what passes.
func cutTo(program []bpf.RawInstruction, snaplen int) []bpf.RawInstruction {
	cut := make([]bpf.RawInstruction, len(program))
	for i, in := range program {
		if in.Op == unix.BPF_RET && in.K != 0 {
			in.K = uint32(snaplen)
		}
		cut[i] = in
	}
	return cut
}

// stop makes the sockets drop what comes from now on. The sources are told when all
// of them do.
func (c *Capture) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.stopping.Load() {
		return
	}
	for _, p := range c.ports {
		if err := p.setFilter(dropAll); err != nil {
			c.cfg.Log.Warn("cannot stop the capture", "interface", p.name, "error", err)
		}
	}
	c.stopping.Store(true)
}

// Interfaces returns the counters of each interface.
func (c *Capture) Interfaces() []InterfaceStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count()
	all := make([]InterfaceStats, len(c.ports))
	for i, p := range c.ports {
		up := !c.closed && p.up(c.probe)
		p.readCard()
		all[i] = InterfaceStats{
			Name: p.name, Up: up, Received: p.received, Dropped: p.dropped, Unseen: p.unseen,
			CardDropped: p.before.dropped + p.card.dropped, CardMissed: p.before.missed + p.card.missed,
		}
	}
	return all
}

// count reads the sockets' statistics, which begin anew with each reading; c.mu is
// held.
func (c *Capture) count() {
	for _, p := range c.ports {
		for _, s := range p.sockets {
			c.countSocket(p, s)
		}
	}
}

// countSocket returns how much a socket has received since it was counted last.
func (c *Capture) countSocket(p *port, s *socket) uint64 {
	received, dropped, err := s.statistics()
	if err != nil {
		return 0
	}
	p.received += received
	p.dropped += dropped
	c.lost[s.worker] += dropped
	s.held += received - min(received, dropped)
	return received
}

// awaited returns how many packets of a socket's ring have not been handed over, though
// the kernel has counted them.
func (c *Capture) awaited(p *port, s *socket, r *blockRing) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.countSocket(p, s)
	return s.held - min(s.held, r.seen)
}

// lose counts packets of a ring that could not be read.
func (c *Capture) lose(p *port, worker int, packets uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p.dropped += packets
	c.lost[worker] += packets
}

// Close closes all sockets. The sources must not be in use. It is safe to call
// twice.
func (c *Capture) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.count()
	c.closed = true
	var errs []error
	for _, p := range c.ports {
		errs = append(errs, p.close())
	}
	if c.links != nil {
		errs = append(errs, c.links.close())
	}
	if c.probe >= 0 {
		errs = append(errs, unix.Close(c.probe))
	}
	return errors.Join(errs...)
}
