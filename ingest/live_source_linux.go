package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// liveSource is the source of one worker.
type liveSource struct {
	capture *Capture
	worker  int
	taps    []tap
	rings   []*blockRing // per tap
	polls   []unix.PollFd
	reads   uint
	pinned  bool
	done    bool
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

func (s *liveSource) add(p *port, socket *socket) {
	s.taps = append(s.taps, tap{port: p})
	s.rings = append(s.rings, &blockRing{})
	s.polls = append(s.polls, unix.PollFd{Fd: -1, Events: unix.POLLIN})
	s.plug(len(s.taps)-1, socket)
}

// plug has a tap read a socket.
func (s *liveSource) plug(i int, socket *socket) {
	cfg := &s.capture.cfg
	name := s.taps[i].port.name
	s.taps[i] = tap{port: s.taps[i].port, socket: socket}
	s.rings[i] = newBlockRing(socket.mem, cfg.BlockBytes, &Interface{Name: name, Device: name, LinkType: socket.device.link, Snaplen: cfg.Snaplen})
	s.polls[i].Fd = int32(socket.fd)
}

// lookEvery is after how many readings the interfaces are looked at even if there
// are always packets. The kernel's counters are read then, too, which have 32 bits.
const lookEvery = 1024

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
	if n == 0 && last {
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

// timeout is how long to wait for packets: after a stop until the last blocks are
// there.
func (s *liveSource) timeout() time.Duration {
	if !s.drained.IsZero() {
		return max(0, time.Until(s.drained))
	}
	if s.capture.stopping.Load() {
		s.drained = time.Now().Add(s.last())
		return s.last()
	}
	for i := range s.taps {
		if t := &s.taps[i]; t.down || t.socket == nil {
			return downLook
		}
	}
	return patience * time.Millisecond
}

// downLook is how often an interface is looked at that is down, or looked for.
const downLook = 20 * time.Millisecond

// wait waits for a block, and looks at interfaces with which something is wrong.
func (s *liveSource) wait(timeout time.Duration) error {
	n, err := unix.Poll(s.polls, int((timeout + time.Millisecond - 1).Milliseconds()))
	if err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("wait for packets: %w", err)
	}
	for i := range s.polls {
		t := &s.taps[i]
		if n > 0 && s.polls[i].Revents&(unix.POLLERR|unix.POLLHUP|unix.POLLNVAL) != 0 || t.down || t.socket == nil {
			if err := s.look(i); err != nil {
				return err
			}
		}
	}
	return nil
}

// look finds out what is wrong with an interface. One that is down and comes up
// again goes on by itself; one that was removed is read to the end, and its socket
// given back for one on the next interface of its name.
func (s *liveSource) look(i int) error {
	t := &s.taps[i]
	if t.socket == nil {
		socket, err := s.capture.takeNew(t.port, s.worker)
		if socket != nil {
			s.plug(i, socket)
		}
		return err
	}
	trouble := t.socket.trouble()
	if !t.drained.IsZero() {
		return s.unplug(i)
	}
	orphaned, err := t.socket.orphaned()
	if err != nil {
		return err
	}
	if orphaned {
		t.down, t.drained = true, time.Now().Add(s.last())
		s.tell(t, false, "was removed")
		return nil
	}
	up, err := t.socket.device.up(t.socket.fd)
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
	if up {
		s.tell(t, true, "is up again")
	} else {
		s.tell(t, false, "is down")
	}
	return nil
}

// unplug gives back the socket of an interface that was removed, as soon as all
// that it has received was read.
func (s *liveSource) unplug(i int) error {
	t := &s.taps[i]
	if time.Now().Before(t.drained) || s.rings[i].peek() {
		return nil
	}
	s.polls[i].Fd, s.rings[i], t.socket = -1, &blockRing{}, nil
	return s.capture.giveBack(t.port, s.worker)
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
	return Losses{DroppedKernel: c.lost[s.worker]}
}

// Stop implements Stopper. It stops all sources of the capture.
func (s *liveSource) Stop() { s.capture.stop() }

// Close implements Source. The sockets are the Capture's to close.
func (s *liveSource) Close() error {
	s.done = true
	return nil
}
