package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Capture captures live, with one source for each worker. Each of them has a ring
// on every interface, and the kernel divides the packets of an interface over the
// rings.
type Capture struct {
	cfg     LiveConfig
	devices []*device
	workers []*liveSource
	// stopping makes the sources end when their rings are empty.
	stopping atomic.Bool

	mu       sync.Mutex
	closed   bool
	sockets  [][]*socket // per interface and worker
	received []uint64    // per interface
	dropped  []uint64    // per interface
	lost     []uint64    // per worker
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
	c := &Capture{cfg: cfg, lost: make([]uint64, cfg.Workers)}
	for w := range cfg.Workers {
		c.workers = append(c.workers, &liveSource{capture: c, worker: w})
	}
	if err := c.open(); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	for i, d := range c.devices {
		cfg.Log.Info("capturing", "interface", d.name, "index", d.index, "link_type", uint32(d.link), "rings", len(c.sockets[i]))
	}
	return c, nil
}

func (c *Capture) open() error {
	for _, name := range c.cfg.Interfaces {
		if err := c.openInterface(name); err != nil {
			return err
		}
	}
	return c.refilter(c.cfg.Filter)
}

// openInterface makes a group of sockets.
func (c *Capture) openInterface(name string) error {
	c.sockets = append(c.sockets, nil)
	own := &c.sockets[len(c.sockets)-1]
	for range c.cfg.Workers {
		s, err := newSocket()
		if err != nil {
			return err
		}
		*own = append(*own, s)
	}
	d, err := findDevice((*own)[0].fd, name)
	if err != nil {
		return err
	}
	c.devices = append(c.devices, d)
	c.received, c.dropped = append(c.received, 0), append(c.dropped, 0)
	group := -1
	for w, s := range *own {
		err := s.prepare(d, &c.cfg.Config)
		if err == nil {
			err = s.bind()
		}
		if err == nil && c.cfg.Workers > 1 {
			group, err = s.join(group)
		}
		if err != nil {
			return fmt.Errorf("capture on %s: %w", name, err)
		}
		c.workers[w].add(s, &Interface{Name: name, Device: name, LinkType: d.link, Snaplen: c.cfg.Snaplen})
	}
	if c.cfg.Workers == 1 {
		return nil
	}
	program, err := c.cfg.Spread(d.link, c.cfg.Workers)
	if err == nil {
		err = (*own)[0].spread(program)
	}
	if err != nil {
		return fmt.Errorf("capture on %s: %w", name, err)
	}
	return nil
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
	programs := make([][]bpf.RawInstruction, len(c.devices))
	for i, d := range c.devices {
		programs[i] = passAll
		if f != nil {
			var err error
			if programs[i], err = f(d.link); err != nil {
				return fmt.Errorf("capture on %s: %w", d.name, err)
			}
		}
		programs[i] = cutTo(programs[i], c.cfg.Snaplen)
	}
	for i, d := range c.devices {
		for _, s := range c.sockets[i] {
			if err := s.filter(programs[i]); err != nil {
				return fmt.Errorf("capture on %s: %w", d.name, err)
			}
		}
	}
	return nil
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

// stop makes the sockets drop what comes from now on.
func (c *Capture) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.stopping.Swap(true) {
		return
	}
	for i, d := range c.devices {
		for _, s := range c.sockets[i] {
			if err := s.filter(dropAll); err != nil {
				c.cfg.Log.Warn("cannot stop the capture", "interface", d.name, "error", err)
			}
		}
	}
}

// Interfaces returns the counters of each interface.
func (c *Capture) Interfaces() []InterfaceStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count()
	all := make([]InterfaceStats, len(c.devices))
	for i, d := range c.devices {
		all[i] = InterfaceStats{
			Name: d.name, Received: c.received[i], Dropped: c.dropped[i],
			CardDropped: since(cardCounter(d.name, "rx_dropped"), d.rxDropped),
			CardMissed:  since(cardCounter(d.name, "rx_missed_errors"), d.rxMissed),
		}
		if !c.closed {
			all[i].Up, _ = interfaceUp(c.sockets[i][0].fd, d.name)
		}
	}
	return all
}

// since is the growth of a counter that may have begun anew.
func since(now, before uint64) uint64 {
	if now < before {
		return now
	}
	return now - before
}

// count reads the sockets' statistics, which begin anew with each reading; c.mu is
// held.
func (c *Capture) count() {
	if c.closed {
		return
	}
	for i := range c.devices {
		for w, s := range c.sockets[i] {
			received, dropped, err := s.statistics()
			if err != nil {
				continue
			}
			c.received[i] += received
			c.dropped[i] += dropped
			c.lost[w] += dropped
		}
	}
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
	for _, own := range c.sockets {
		for _, s := range own {
			errs = append(errs, s.close())
		}
	}
	return errors.Join(errs...)
}

// liveSource is the source of one worker.
type liveSource struct {
	capture *Capture
	worker  int
	sockets []*socket
	rings   []*blockRing
	polls   []unix.PollFd
	down    []bool // per ring: the interface is down
	pinned  bool
	done    bool
}

var (
	_ Source  = (*liveSource)(nil)
	_ Live    = (*liveSource)(nil)
	_ Clocked = (*liveSource)(nil)
	_ Lossy   = (*liveSource)(nil)
	_ Stopper = (*liveSource)(nil)
)

func (s *liveSource) add(socket *socket, at *Interface) {
	s.sockets = append(s.sockets, socket)
	s.rings = append(s.rings, newBlockRing(socket.mem, s.capture.cfg.BlockBytes, at))
	s.polls = append(s.polls, unix.PollFd{Fd: int32(socket.fd), Events: unix.POLLIN})
	s.down = append(s.down, false)
}

// ReadBatch implements Source. Packets lie in the memory shared with the kernel.
func (s *liveSource) ReadBatch(packets []Packet) (int, error) {
	if s.done {
		return 0, io.EOF
	}
	s.pin()
	for _, r := range s.rings {
		r.giveBack()
	}
	if n := s.fill(packets); n > 0 {
		return n, nil
	}
	stopping := s.capture.stopping.Load()
	if err := s.wait(stopping); err != nil {
		return 0, err
	}
	n := s.fill(packets)
	if n == 0 && stopping {
		s.done = true
		return 0, io.EOF
	}
	return n, nil
}

func (s *liveSource) fill(packets []Packet) int {
	if len(s.rings) == 1 {
		return s.rings[0].fill(packets)
	}
	return fillMerged(s.rings, packets)
}

// slack is how late the kernel's timer may be, on top of the block time-out.
const slack = 20 * time.Millisecond

// wait waits for a block. When stopping it waits long enough for the last ones.
func (s *liveSource) wait(stopping bool) error {
	timeout := patience * time.Millisecond
	if stopping {
		timeout = 2*s.capture.cfg.BlockTimeout + slack
	}
	n, err := unix.Poll(s.polls, int(timeout.Milliseconds()))
	if err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("wait for packets: %w", err)
	}
	for i := range s.polls {
		if n > 0 && s.polls[i].Revents&(unix.POLLERR|unix.POLLHUP|unix.POLLNVAL) != 0 || s.down[i] {
			if err := s.look(i); err != nil {
				return err
			}
		}
	}
	return nil
}

// look finds out what is wrong with an interface. One that is down and comes up
// again goes on by itself.
func (s *liveSource) look(i int) error {
	d := s.sockets[i].device
	trouble := s.sockets[i].trouble()
	index, err := interfaceIndex(s.sockets[i].fd, d.name)
	if err != nil || index != d.index {
		return &InterfaceGoneError{d.name}
	}
	up, err := interfaceUp(s.sockets[i].fd, d.name)
	if err != nil {
		return &InterfaceGoneError{d.name}
	}
	if up == !s.down[i] {
		if trouble != nil && !errors.Is(trouble, unix.ENETDOWN) {
			return fmt.Errorf("capture on %s: %w", d.name, trouble)
		}
		return nil
	}
	s.down[i] = !up
	if s.worker == 0 {
		level, text := slog.LevelWarn, "interface is down"
		if up {
			level, text = slog.LevelInfo, "interface is up again"
		}
		s.capture.cfg.Log.Log(context.Background(), level, text, "interface", d.name)
	}
	return nil
}

// pin ties the worker's thread to a processor.
func (s *liveSource) pin() {
	if s.pinned || !s.capture.cfg.PinWorkers {
		return
	}
	s.pinned = true
	runtime.LockOSThread() // for good: the thread ends with its goroutine
	var set unix.CPUSet
	set.Set(s.worker % runtime.NumCPU())
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		s.capture.cfg.Log.Warn("cannot tie a worker to a processor", "worker", s.worker, "error", err)
	}
}

// Live implements Live.
func (s *liveSource) Live() bool { return true }

// Clock implements Clocked: what is older than the block time-out has been handed
// over.
func (s *liveSource) Clock() (Timestamp, bool) {
	return TimestampOf(time.Now().Add(-s.capture.cfg.BlockTimeout - slack)), true
}

// Losses implements Lossy.
func (s *liveSource) Losses() Losses {
	c := s.capture
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count()
	return Losses{DroppedKernel: c.lost[s.worker]}
}

// Stop implements Stopper. It stops all sources of the capture.
func (s *liveSource) Stop() { s.capture.stop() }

// Close implements Source. The sockets are the Capture's to close.
func (s *liveSource) Close() error {
	s.done = true
	return nil
}
