package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// liveSource is the source of one worker.
type liveSource struct {
	capture *Capture
	worker  int
	// taps are one per interface, and after them those of interfaces that were
	// removed, until they are read through.
	taps  []tap
	rings []*blockRing // per tap
	// polls are those of the taps, after the one that tells of interfaces.
	polls  []unix.PollFd
	reads  uint
	pinned bool
	done   bool
	// drained is when the rings hold all that came before the stop, zero before
	// that.
	drained time.Time
	// stamp is the last time of the card, at is when it was read: with
	// TimestampsHardware.
	stamp Timestamp
	at    time.Time
}

// tap is what a worker reads of one interface.
type tap struct {
	port   *port
	socket *socket // nil while the interface is gone
	down   bool
	// anew says that the interface was made anew, and has not been up since.
	anew bool
	// drained is when the ring of an interface that was removed holds all that is
	// to come, zero while the interface is there.
	drained time.Time
	// unstamped and damaged say that such packets were spoken of.
	unstamped, damaged bool
}

var (
	_ Source  = (*liveSource)(nil)
	_ Live    = (*liveSource)(nil)
	_ Clocked = (*liveSource)(nil)
	_ Lossy   = (*liveSource)(nil)
	_ Stopper = (*liveSource)(nil)
)

func newLiveSource(c *Capture, worker int) *liveSource {
	s := &liveSource{capture: c, worker: worker}
	s.polls = append(s.polls, pollFor(-1))
	if c.links != nil {
		s.polls[0] = pollFor(c.links.told)
	}
	return s
}

func pollFor(fd int) unix.PollFd { return unix.PollFd{Fd: int32(fd), Events: unix.POLLIN} }

func (s *liveSource) add(t tap, r *blockRing) {
	fd := -1
	if t.socket != nil {
		fd = t.socket.fd
	}
	s.taps, s.rings, s.polls = append(s.taps, t), append(s.rings, r), append(s.polls, pollFor(fd))
}

func (s *liveSource) ringOf(socket *socket, name string) *blockRing {
	cfg := &s.capture.cfg
	return newBlockRing(socket.mem, cfg.BlockBytes, &Interface{Name: name, Device: name, LinkType: socket.device.link, Snaplen: cfg.Snaplen})
}

// lookEvery is after how many readings the interfaces are looked at even if there
// are always packets. The kernel's counters are read then, too, which have 32 bits.
const lookEvery = 64

// ReadBatch implements Source. Packets lie in the memory shared with the kernel.
func (s *liveSource) ReadBatch(packets []Packet) (int, error) {
	if s.done {
		return 0, io.EOF
	}
	s.pin()
	for _, r := range s.rings {
		r.giveBack()
	}
	if s.reads++; s.reads%lookEvery == 0 {
		s.Losses()
		if err := s.wait(0); err != nil {
			return 0, err
		}
	}
	if n := s.fill(packets); n > 0 {
		return n, nil
	}
	if err := s.wait(s.timeout()); err != nil {
		return 0, err
	}
	last := !s.drained.IsZero() && !time.Now().Before(s.drained)
	n := s.fill(packets)
	if n == 0 && last && s.readThrough() {
		s.done = true
		return 0, io.EOF
	}
	return n, nil
}

func (s *liveSource) fill(packets []Packet) (n int) {
	if len(s.rings) == 1 {
		n = s.rings[0].fill(packets)
	} else {
		n = fillMerged(s.rings, packets)
	}
	for i, r := range s.rings {
		if r.damaged > 0 {
			s.lose(i)
		}
	}
	if n > 0 && s.capture.cfg.Timestamps == TimestampsHardware {
		s.readCardTime(packets[:n])
	}
	return n
}

// lose counts the packets of a damaged block as dropped, and tells of the first.
func (s *liveSource) lose(i int) {
	t, r := &s.taps[i], s.rings[i]
	if !t.damaged {
		t.damaged = true
		s.capture.cfg.Log.Error("a block of packets is damaged: they are counted as dropped", "interface", t.port.name, "packets", r.damaged)
	}
	s.capture.lose(t.port, s.worker, r.damaged)
	r.damaged = 0
}

// slack is how late the kernel's timer may be, on top of the block time-out.
const slack = 20 * time.Millisecond

// last is how long the last block of a ring may take.
func (s *liveSource) last() time.Duration { return 2*s.capture.cfg.BlockTimeout + slack }

// overdue is how much longer it may take on a machine that is busy elsewhere, if
// packets are known to be in it.
const overdue = 2 * time.Second

// readThrough says whether all rings are.
func (s *liveSource) readThrough() bool {
	for i := range s.taps {
		if s.taps[i].socket != nil && !s.ended(i, s.drained) {
			return false
		}
	}
	return true
}

// ended says whether a ring, of which all should have come by a time, has nothing to
// come. What does not come by then counts as dropped.
func (s *liveSource) ended(i int, by time.Time) bool {
	t, r := &s.taps[i], s.rings[i]
	if time.Now().Before(by) || r.peek() {
		return false
	}
	missing := s.capture.awaited(t.port, t.socket, r)
	if missing > 0 && time.Since(by) > overdue {
		s.capture.cfg.Log.Error("the last packets of a ring do not come: they are counted as dropped", "interface", t.port.name, "packets", missing)
		s.capture.lose(t.port, s.worker, missing)
		r.seen += missing
		missing = 0
	}
	return missing == 0
}

// timeout is how long to wait for packets: after a stop, or the removal of an
// interface, until the last blocks are there.
func (s *liveSource) timeout() time.Duration {
	if !s.drained.IsZero() {
		return max(time.Millisecond, time.Until(s.drained))
	}
	if s.capture.stopping.Load() {
		s.drained = time.Now().Add(s.last())
		return s.last()
	}
	wait := patience * time.Millisecond
	for i := range s.taps {
		if t := &s.taps[i]; !t.drained.IsZero() {
			wait = min(wait, max(time.Millisecond, time.Until(t.drained)))
		}
	}
	return wait
}

// wait waits for a block or for news of an interface, and looks at interfaces with
// which something is wrong. Even without news it does so whenever there was no packet
// for patience: another worker may have taken them.
func (s *liveSource) wait(timeout time.Duration) error {
	n, err := unix.Poll(s.polls, int((timeout + time.Millisecond - 1).Milliseconds()))
	if err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("wait for packets: %w", err)
	}
	if n > 0 && s.polls[0].Revents != 0 {
		s.capture.takeNews()
	}
	for i := len(s.taps) - 1; i >= 0; i-- { // backwards, for those that are removed
		t := &s.taps[i]
		var err error
		switch troubled := n > 0 && s.polls[1+i].Revents&(unix.POLLERR|unix.POLLHUP|unix.POLLNVAL) != 0; {
		case !t.drained.IsZero():
			err = s.drain(i)
		case t.socket == nil:
			err = s.seek(i)
		case troubled || t.down:
			err = s.look(i)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// look finds out what is wrong with an interface. One that is down and comes up
// again goes on by itself; the next one is sought of one that was removed.
func (s *liveSource) look(i int) error {
	t := &s.taps[i]
	trouble := t.socket.trouble()
	orphaned, err := t.socket.orphaned()
	if err != nil {
		return err
	}
	if orphaned || t.anew && s.capture.left(t.socket.device) {
		return s.orphan(i)
	}
	up, err := t.socket.device.isUp(t.socket.fd)
	if errors.Is(err, unix.ENODEV) { // it is being removed
		up, err = false, nil
	}
	if err != nil {
		return fmt.Errorf("capture on %s: %w", t.port.name, err)
	}
	if up == !t.down {
		if trouble != nil && !errors.Is(trouble, unix.ENETDOWN) {
			return fmt.Errorf("capture on %s: %w", t.port.name, trouble)
		}
		return nil
	}
	t.down = !up
	switch {
	case t.down:
		s.tell(t, false, "is down")
	case t.anew:
		t.anew = false
		s.tellAnew(t)
	default:
		s.tell(t, true, "is up again")
	}
	return nil
}

// orphan goes on reading the ring of an interface that was removed, beside that of
// the next one. So does one that had the name for a moment and was never up under it.
func (s *liveSource) orphan(i int) error {
	t := s.taps[i]
	if !t.anew {
		s.tell(&t, false, "was removed")
	}
	t.drained = time.Now().Add(s.last())
	s.add(t, s.rings[i])
	s.taps[i], s.rings[i], s.polls[1+i] = tap{port: t.port}, &blockRing{}, pollFor(-1)
	return s.seek(i)
}

// seek begins to read the next interface of a name, if there is one. Trouble can wait
// until all is read that was received.
func (s *liveSource) seek(i int) error {
	t := &s.taps[i]
	socket, err := s.capture.takeNew(t.port, s.worker)
	if err != nil && !s.draining(t.port) {
		return err
	}
	if socket == nil {
		return nil
	}
	*t = tap{port: t.port, socket: socket, down: true, anew: true}
	s.rings[i], s.polls[1+i] = s.ringOf(socket, t.port.name), pollFor(socket.fd)
	return s.look(i)
}

// drain gives back the socket of an interface that was removed, as soon as all that
// it has received was read.
func (s *liveSource) drain(i int) error {
	t := s.taps[i]
	if !s.ended(i, t.drained) {
		return nil
	}
	s.taps, s.rings, s.polls = slices.Delete(s.taps, i, i+1), slices.Delete(s.rings, i, i+1), slices.Delete(s.polls, 1+i, 2+i)
	return s.capture.giveBack(t.port, t.socket)
}

// draining says that there is something to read of removed interfaces.
func (s *liveSource) draining(p *port) bool {
	return slices.ContainsFunc(s.taps, func(t tap) bool { return t.port == p && !t.drained.IsZero() })
}

// tell announces what happens to an interface. All workers see it; one speaks.
func (s *liveSource) tell(t *tap, up bool, detail string) {
	if s.worker != 0 {
		return
	}
	level := slog.LevelWarn
	if up {
		level = slog.LevelInfo
	}
	s.capture.cfg.Log.Log(context.Background(), level, "interface "+detail, "interface", t.port.name)
	s.capture.cfg.Changed(InterfaceChange{Name: t.port.name, Up: up, Detail: detail})
}

// tellAnew announces an interface that was made anew, and is up.
func (s *liveSource) tellAnew(t *tap) {
	if s.worker != 0 {
		return
	}
	cfg, d := &s.capture.cfg, t.socket.device
	cfg.Log.Info("interface is back", "interface", t.port.name, "index", d.index, "link_type", uint32(d.link), "spare_sockets", s.capture.spares(t.port), "unseen", d.unseen)
	cfg.Changed(InterfaceChange{Name: t.port.name, Up: true, Detail: fmt.Sprintf("is back, under index %d", d.index), Unseen: d.unseen})
}

// pin ties the worker's thread to one of the processors that the process may use.
func (s *liveSource) pin() {
	if s.pinned || !s.capture.cfg.PinWorkers {
		return
	}
	s.pinned = true
	runtime.LockOSThread() // for good: the thread ends with its goroutine
	var may unix.CPUSet
	err := unix.SchedGetaffinity(0, &may)
	if err == nil {
		var set unix.CPUSet
		set.Set(nth(&may, s.worker))
		err = unix.SchedSetaffinity(0, &set)
	}
	if err != nil {
		s.capture.cfg.Log.Warn("cannot tie a worker to a processor", "worker", s.worker, "error", err)
	}
}

// nth is the number of the nth processor of a set, counted round from 0.
func nth(set *unix.CPUSet, n int) int {
	n %= max(1, set.Count())
	cpu := 0
	for ; n > 0 || !set.IsSet(cpu) && cpu < maxProcessors; cpu++ {
		if set.IsSet(cpu) {
			n--
		}
	}
	return cpu
}

// maxProcessors is how many a unix.CPUSet holds.
const maxProcessors = 1024

// readCardTime remembers how late the card's clock is, and tells once of packets
// that have no time of it, as those have that this machine sends.
func (s *liveSource) readCardTime(packets []Packet) {
	s.stamp, s.at = packets[len(packets)-1].Time, time.Now()
	for i, r := range s.rings {
		if r.unstamped > 0 && !s.taps[i].unstamped {
			s.taps[i].unstamped = true
			s.capture.cfg.Log.Warn("packets without a time stamp of the card carry the kernel's time", "interface", s.taps[i].port.name)
		}
	}
}

// Live implements Live.
func (s *liveSource) Live() bool { return true }

// Clock implements Clocked: what is older than the block time-out has been handed
// over. The card's clock may be another than the system's: it is taken to go on
// from its last time stamp.
func (s *liveSource) Clock() (Timestamp, bool) {
	late := s.capture.cfg.BlockTimeout + slack
	if s.capture.cfg.Timestamps != TimestampsHardware {
		return TimestampOf(time.Now().Add(-late)), true
	}
	return s.stamp.Add(time.Since(s.at) - late), !s.at.IsZero()
}

// Losses implements Lossy.
func (s *liveSource) Losses() Losses {
	c := s.capture
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count()
	l := Losses{DroppedKernel: c.lost[s.worker]}
	if s.worker == 0 { // for all
		l.Unseen = c.unseen
	}
	return l
}

// Stop implements Stopper. It stops all sources of the capture.
func (s *liveSource) Stop() { s.capture.stop() }

// Close implements Source. The sockets are the Capture's to close.
func (s *liveSource) Close() error {
	s.done = true
	return nil
}
