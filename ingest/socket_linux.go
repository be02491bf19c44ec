package ingest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// socket is a packet socket with its ring.
type socket struct {
	fd     int
	worker int
	device *device
	mem    []byte
	// held counts the packets that were put into the ring, as far as counted.
	held uint64
}

var (
	// dropAll passes nothing. A new socket has it until all are ready.
	dropAll = []bpf.RawInstruction{{Op: unix.BPF_RET}}
	// passAll passes everything.
	passAll = []bpf.RawInstruction{{Op: unix.BPF_RET, K: 1<<32 - 1}}
)

// newSocket opens a socket for a worker. It receives nothing: it has no protocol, and
// a filter that drops everything.
func newSocket(worker int) (*socket, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return nil, fmt.Errorf("open a packet socket: %w: this needs CAP_NET_RAW: run as root, or setcap cap_net_raw+ep", err)
	}
	if err != nil {
		return nil, fmt.Errorf("open a packet socket: %w", err)
	}
	s := &socket{fd: fd, worker: worker}
	if err := s.filter(dropAll); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// filter replaces the filter. The kernel keeps a copy.
func (s *socket) filter(program []bpf.RawInstruction) error {
	if err := s.attach(unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, program); err != nil {
		return fmt.Errorf("set a filter of %d instructions: %w", len(program), err)
	}
	return nil
}

func (s *socket) attach(level, option int, program []bpf.RawInstruction) error {
	p := unix.SockFprog{Len: uint16(len(program)), Filter: (*unix.SockFilter)(unsafe.Pointer(&program[0]))}
	return unix.SetsockoptSockFprog(s.fd, level, option, &p)
}

// prepare gives the socket its ring, unless it has it.
func (s *socket) prepare(cfg *Config) error {
	if s.mem != nil {
		return nil
	}
	for _, o := range []struct{ option, value int }{
		{unix.PACKET_VERSION, unix.TPACKET_V3},
		{unix.PACKET_RESERVE, 4}, // room for a VLAN tag
	} {
		if err := unix.SetsockoptInt(s.fd, unix.SOL_PACKET, o.option, o.value); err != nil {
			return fmt.Errorf("packet socket option %d: %w", o.option, err)
		}
	}
	return s.makeRing(cfg)
}

// bind makes the socket receive from an interface, as soon as that is up.
func (s *socket) bind(d *device, cfg *Config) error {
	s.device = d
	if d.loopback { // which shows each frame coming and going
		if err := unix.SetsockoptInt(s.fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1); err != nil {
			return fmt.Errorf("leave out frames that are sent: %w", err)
		}
	}
	if cfg.Timestamps == TimestampsHardware {
		if err := s.stampByCard(); err != nil {
			return err
		}
	}
	if cfg.Promiscuous {
		m := unix.PacketMreq{Ifindex: int32(d.index), Type: unix.PACKET_MR_PROMISC}
		if err := unix.SetsockoptPacketMreq(s.fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &m); err != nil {
			return fmt.Errorf("make the interface promiscuous: %w", err)
		}
	}
	to := unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_ALL), Ifindex: d.index}
	if err := unix.Bind(s.fd, &to); err != nil {
		return fmt.Errorf("bind to the interface: %w", err)
	}
	return nil
}

func (s *socket) makeRing(cfg *Config) error {
	const frame = 2048 // of no consequence for TPACKET_V3, but checked
	blocks := cfg.RingBytes / cfg.BlockBytes
	r := unix.TpacketReq3{
		Block_size: uint32(cfg.BlockBytes), Block_nr: uint32(blocks),
		Frame_size: frame, Frame_nr: uint32(cfg.BlockBytes / frame * blocks),
		Retire_blk_tov: uint32(cfg.BlockTimeout.Milliseconds()),
	}
	if err := unix.SetsockoptTpacketReq3(s.fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &r); err != nil {
		return fmt.Errorf("make a ring of %d blocks of %d bytes: %w", blocks, cfg.BlockBytes, err)
	}
	var err error
	s.mem, err = unix.Mmap(s.fd, 0, blocks*cfg.BlockBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("map the ring: %w", err)
	}
	return nil
}

func networkOrder(n uint16) uint16 {
	return binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, n))
}

// join joins a group that the kernel divides packets over, or makes one for -1. It
// returns the group. The sockets are numbered in the order in which they join.
func (s *socket) join(group int) (int, error) {
	flags := unix.PACKET_FANOUT_CBPF
	if s.device.loopback {
		flags |= unix.PACKET_FANOUT_FLAG_IGNORE_OUTGOING
	}
	if group < 0 {
		group = 0
		flags |= unix.PACKET_FANOUT_FLAG_UNIQUEID
	}
	if err := unix.SetsockoptInt(s.fd, unix.SOL_PACKET, unix.PACKET_FANOUT, group|flags<<16); err != nil {
		return 0, fmt.Errorf("join a fanout group: %w", err)
	}
	n, err := unix.GetsockoptInt(s.fd, unix.SOL_PACKET, unix.PACKET_FANOUT)
	if err != nil {
		return 0, fmt.Errorf("ask for the fanout group: %w", err)
	}
	return n & 0xffff, nil
}

// spread gives the group its program.
func (s *socket) spread(program []bpf.RawInstruction) error {
	if err := s.attach(unix.SOL_PACKET, unix.PACKET_FANOUT_DATA, program); err != nil {
		return fmt.Errorf("set the fanout program: %w", err)
	}
	return nil
}

// statistics returns what was received since the last call, drops among it.
func (s *socket) statistics() (received, dropped uint64, err error) {
	st, err := unix.GetsockoptTpacketStatsV3(s.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return 0, 0, fmt.Errorf("read the socket's statistics: %w", err)
	}
	return uint64(st.Packets), uint64(st.Drops), nil
}

// orphaned says that the interface to which the socket was bound was removed. The
// index alone would not tell: the next interface may have been given the same.
func (s *socket) orphaned() (bool, error) {
	a, err := unix.Getsockname(s.fd)
	if err != nil {
		return false, fmt.Errorf("ask for the socket's interface: %w", err)
	}
	l, ok := a.(*unix.SockaddrLinklayer)
	return !ok || l.Ifindex != s.device.index, nil
}

// trouble returns and forgets the socket's pending error.
func (s *socket) trouble() error {
	n, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil || n == 0 {
		return err
	}
	return unix.Errno(n)
}

func (s *socket) close() error {
	var errs []error
	if s.mem != nil {
		errs = append(errs, unix.Munmap(s.mem))
		s.mem = nil
	}
	if s.fd >= 0 {
		errs = append(errs, unix.Close(s.fd))
		s.fd = -1
	}
	return errors.Join(errs...)
}
