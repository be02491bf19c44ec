package ingest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// namespace moves the test, on a thread of its own, into a new network namespace
// with a pair of interfaces: what is sent on v1 is received on v0.
func namespace(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		missing(t, "network namespaces need root")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		missing(t, "no ip (iproute2)")
	}
	runtime.LockOSThread() // for good: the thread ends with the test
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		missing(t, fmt.Sprintf("no network namespace: %v", err))
	}
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/default/disable_ipv6", []byte("1"), 0o600); err != nil {
		t.Log(err) // then there is noise
	}
	ip(t, "link add v0 type veth peer name v1")
	ip(t, "link set v0 up")
	ip(t, "link set v1 up")
}

// missing skips the test, but not where everything has to be there.
func missing(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}

func ip(t *testing.T, command string) {
	t.Helper()
	if out, err := exec.Command("ip", strings.Fields(command)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", command, err, out)
	}
}

func liveConfig(workers int) LiveConfig {
	c := LiveConfig{Config: DefaultConfig(), Workers: workers}
	c.Interfaces = []string{"v0"}
	c.RingBytes, c.BlockBytes, c.Snaplen = 1<<20, 64<<10, 48<<10
	return c
}

func openLive(t *testing.T, cfg LiveConfig) *Capture {
	t.Helper()
	c, err := OpenLive(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// sender sends frames on an interface.
type sender struct {
	t  *testing.T
	fd int
	to unix.SockaddrLinklayer
}

func newSender(t *testing.T, name string) *sender {
	t.Helper()
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	index, err := interfaceIndex(fd, name)
	if err != nil {
		t.Fatal(err)
	}
	return &sender{t, fd, unix.SockaddrLinklayer{Ifindex: index, Halen: 6}}
}

func (s *sender) send(frame []byte) {
	s.t.Helper()
	if err := unix.Sendto(s.fd, frame, 0, &s.to); err != nil {
		s.t.Fatal(err)
	}
}

// numbered is a frame with a number in it, at the last byte of its source too.
func numbered(n int) []byte {
	b := append([]byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, byte(n)}, 0x88, 0xb5)
	b = binary.BigEndian.AppendUint32(b, uint32(n))
	return append(b, make([]byte, 42)...)
}

// liveRecorder keeps packets.
type liveRecorder struct {
	packets [][]byte
	times   []Timestamp
	ticks   int
	cause   error
	closed  int
	more    chan int // the number of packets so far, nil for nobody
}

func (r *liveRecorder) HandlePackets(packets []Packet) {
	for i := range packets {
		r.packets = append(r.packets, bytes.Clone(packets[i].Data))
		r.times = append(r.times, packets[i].Time)
	}
	if r.more != nil {
		r.more <- len(r.packets)
	}
}
func (r *liveRecorder) Tick(Timestamp)  { r.ticks++ }
func (r *liveRecorder) Close(err error) { r.cause = err; r.closed++ }

// capturing runs a capture while f does something, and stops it then.
func capturing(t *testing.T, c *Capture, f func()) []*liveRecorder {
	t.Helper()
	var (
		handlers []Handler
		all      []*liveRecorder
	)
	for range c.Sources() {
		r := &liveRecorder{}
		all, handlers = append(all, r), append(handlers, r)
	}
	g, err := NewGroup(c.Sources(), handlers)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- g.Run(ctx) }()
	f()
	stop()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("ends with %v", err)
	}
	sum := uint64(0)
	for _, r := range all {
		sum += uint64(len(r.packets))
		if r.closed != 1 {
			t.Errorf("closed %d times", r.closed)
		}
	}
	if s := g.Stats(); s.Packets != sum {
		t.Errorf("%d packets counted, %d came", s.Packets, sum)
	}
	for _, s := range c.Interfaces() {
		t.Logf("%+v", s)
	}
	return all
}

// TestLiveTakesAll sends frames up to the moment of the stop: every one is there,
// in order, with the kernel's time.
func TestLiveTakesAll(t *testing.T) {
	namespace(t)
	const n = 5000
	c := openLive(t, liveConfig(1))
	from := newSender(t, "v1")
	before := TimestampOf(time.Now())
	got := capturing(t, c, func() {
		for i := range n {
			from.send(numbered(i))
		}
	})[0]
	if len(got.packets) != n {
		t.Fatalf("%d of %d packets", len(got.packets), n)
	}
	after := TimestampOf(time.Now())
	for i, b := range got.packets {
		if !bytes.Equal(b, numbered(i)) || got.times[i] < before || got.times[i] > after {
			t.Fatalf("packet %d at %d: % x", i, got.times[i], b)
		}
	}
	if s := c.Interfaces()[0]; s.Received != n || s.Dropped != 0 || !s.Up {
		t.Errorf("%+v", s)
	}
}

// TestLiveCountsDrops lets a ring overflow: what was sent is what came and what was
// dropped.
func TestLiveCountsDrops(t *testing.T) {
	namespace(t)
	const n = 20000
	cfg := liveConfig(1)
	cfg.RingBytes, cfg.BlockBytes, cfg.Snaplen = 16<<10, 8<<10, 4<<10
	c := openLive(t, cfg)
	from := newSender(t, "v1")
	for i := range n { // nobody reads
		from.send(numbered(i))
	}
	got := capturing(t, c, func() {})[0]
	s, lost := c.Interfaces()[0], c.Sources()[0].(Lossy).Losses()
	if s.Received != n || s.Dropped == 0 || uint64(len(got.packets))+s.Dropped != n || lost.DroppedKernel != s.Dropped {
		t.Errorf("%d packets, %+v, %+v", len(got.packets), s, lost)
	}
}

// TestLiveLargestFrame captures frames of the snaplen whole, with a block as small as a
// configuration may have beside it, and cuts off larger ones there.
func TestLiveLargestFrame(t *testing.T) {
	namespace(t)
	ip(t, "link set v0 mtu 65535")
	ip(t, "link set v1 mtu 65535")
	cfg := liveConfig(1)
	cfg.Snaplen = cfg.BlockBytes - blockHeadroom
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	c := openLive(t, cfg)
	from := newSender(t, "v1")
	frame := append(numbered(1), make([]byte, cfg.Snaplen)...)
	from.send(frame[:cfg.Snaplen])
	from.send(frame[:cfg.Snaplen+100])
	got := capturing(t, c, func() {})[0]
	if len(got.packets) != 2 || len(got.packets[0]) != cfg.Snaplen || len(got.packets[1]) != cfg.Snaplen {
		t.Errorf("%d packets, want 2 of %d bytes", len(got.packets), cfg.Snaplen)
		for _, p := range got.packets {
			t.Log(len(p))
		}
	}
	cfg.Snaplen++
	if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), "would be cut off") {
		t.Error(err)
	}
}

// tagFrame puts a VLAN tag into a frame.
func tagFrame(b []byte, tpid, tci uint16) []byte {
	tagged := append([]byte{}, b[:12]...)
	tagged = binary.BigEndian.AppendUint16(tagged, tpid)
	tagged = binary.BigEndian.AppendUint16(tagged, tci)
	return append(tagged, b[12:]...)
}

// TestLiveRestoresTags sends frames with tags in them; the kernel takes the outer
// one away.
func TestLiveRestoresTags(t *testing.T) {
	namespace(t)
	c := openLive(t, liveConfig(1))
	from := newSender(t, "v1")
	sent := [][]byte{
		numbered(1), tagFrame(numbered(2), 0x8100, 0x6005), tagFrame(numbered(3), 0x88a8, 7),
		tagFrame(tagFrame(numbered(4), 0x8100, 5), 0x88a8, 7),
	}
	got := capturing(t, c, func() {
		for _, b := range sent {
			from.send(b)
		}
	})[0]
	if len(got.packets) != len(sent) {
		t.Fatalf("%d packets", len(got.packets))
	}
	for i := range sent {
		if !bytes.Equal(got.packets[i], sent[i]) {
			t.Errorf("packet %d: % x, sent % x", i, got.packets[i], sent[i])
		}
	}
}

// lastByte passes frames whose source ends in a number.
func lastByte(n uint32) func(LinkType) ([]bpf.RawInstruction, error) {
	return func(LinkType) ([]bpf.RawInstruction, error) {
		return []bpf.RawInstruction{
			{Op: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 11},
			{Op: unix.BPF_JMP | unix.BPF_JEQ, K: n, Jf: 1},
			{Op: unix.BPF_RET, K: 1000},
			{Op: unix.BPF_RET},
		}, nil
	}
}

func TestLiveFilterAndSnaplen(t *testing.T) {
	namespace(t)
	cfg := liveConfig(1)
	cfg.Filter, cfg.Snaplen = lastByte(3), 64
	c := openLive(t, cfg)
	from := newSender(t, "v1")
	got := capturing(t, c, func() {
		for i := range 10 {
			from.send(append(numbered(i), make([]byte, 500)...))
		}
		if err := c.Refilter(lastByte(5)); err != nil {
			t.Error(err)
		}
		for i := range 10 {
			from.send(numbered(i))
		}
	})[0]
	if len(got.packets) != 2 || got.packets[0][11] != 3 || got.packets[1][11] != 5 || len(got.packets[0]) != 64 {
		t.Errorf("% x", got.packets)
	}
}

// TestLiveSpreads has the workers chosen by a program.
func TestLiveSpreads(t *testing.T) {
	namespace(t)
	cfg := liveConfig(4)
	cfg.Spread = func(_ LinkType, workers int) ([]bpf.RawInstruction, error) {
		return []bpf.RawInstruction{ // from the network header on
			{Op: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0},
			{Op: unix.BPF_ALU | unix.BPF_MOD, K: uint32(workers)},
			{Op: unix.BPF_RET | unix.BPF_A},
		}, nil
	}
	c := openLive(t, cfg)
	from := newSender(t, "v1")
	const n = 1000
	all := capturing(t, c, func() {
		for i := range n {
			from.send(numbered(i))
		}
	})
	for w, r := range all {
		if len(r.packets) != n/4 {
			t.Errorf("worker %d: %d packets", w, len(r.packets))
		}
		for i, b := range r.packets {
			if !bytes.Equal(b, numbered(4*i+w)) {
				t.Fatalf("worker %d, packet %d: % x", w, i, b)
			}
		}
	}
}

// TestLiveTicks has nothing to read but time.
func TestLiveTicks(t *testing.T) {
	namespace(t)
	c := openLive(t, liveConfig(1))
	src := c.Sources()[0]
	before := time.Now()
	if n, err := src.ReadBatch(make([]Packet, 1)); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	now, ok := src.(Clocked).Clock()
	if late := time.Since(now.Time()); !ok || late < c.cfg.BlockTimeout || before.Sub(now.Time()) > time.Second {
		t.Errorf("%v late", late)
	}
}

// TestLiveDownAndUp goes on with the same interface.
func TestLiveDownAndUp(t *testing.T) {
	namespace(t)
	cfg := liveConfig(2)
	cfg.Spread = func(LinkType, int) ([]bpf.RawInstruction, error) {
		return []bpf.RawInstruction{
			{Op: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0},
			{Op: unix.BPF_ALU | unix.BPF_AND, K: 1},
			{Op: unix.BPF_RET | unix.BPF_A},
		}, nil
	}
	c := openLive(t, cfg)
	from := newSender(t, "v1")
	// A queue would still be closed a moment after the carrier has come back.
	if err := unix.SetsockoptInt(from.fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1); err != nil {
		t.Fatal(err)
	}
	all := capturing(t, c, func() {
		from.send(numbered(0))
		ip(t, "link set v0 down")
		time.Sleep(3 * patience * time.Millisecond) // the sources are to see it
		ip(t, "link set v0 up")
		for i := 1; i < 20; i++ {
			from.send(numbered(i))
		}
	})
	for w, r := range all {
		if len(r.packets) != 10 {
			t.Errorf("worker %d: %d packets", w, len(r.packets))
		}
		for _, b := range r.packets {
			if int(b[11])%2 != w {
				t.Errorf("worker %d: packet %d", w, b[11])
			}
		}
	}
}

func TestLiveRefuses(t *testing.T) {
	namespace(t)
	for _, test := range []struct {
		change func(*LiveConfig)
		want   string
	}{
		{func(c *LiveConfig) { c.Interfaces = nil }, "capture: no interface given"},
		{func(c *LiveConfig) { c.Interfaces = []string{"nosuch0"} }, "capture on nosuch0: no such network interface: no such device"},
		{func(c *LiveConfig) { c.Interfaces = []string{"lo"} }, "capture on lo: the interface is down: ip link set lo up"},
		{func(c *LiveConfig) { c.Workers = 2 }, "capture: several workers and no way to divide packets over them"},
		{func(c *LiveConfig) { c.Workers = 257 }, "capture: 257 workers: want 1 to 256"},
		{func(c *LiveConfig) { c.SpareSockets = -1 }, "capture: spare_sockets: -1: want 0 to 100"},
		{func(c *LiveConfig) { c.Snaplen = 3 }, "capture: snaplen: 3: want 64 to 1048576"},
		{func(c *LiveConfig) {
			c.Filter = func(LinkType) ([]bpf.RawInstruction, error) { return nil, io.ErrUnexpectedEOF }
		}, "capture on v0: unexpected EOF"},
	} {
		cfg := liveConfig(1)
		test.change(&cfg)
		if c, err := OpenLive(cfg); err == nil || err.Error() != test.want {
			t.Errorf("%v, want %s", err, test.want)
			if err == nil {
				c.Close()
			}
		}
	}
}

// TestLiveSeveralInterfaces takes frames of both ends, those that are sent and those
// that are received.
func TestLiveSeveralInterfaces(t *testing.T) {
	namespace(t)
	cfg := liveConfig(1)
	cfg.Interfaces = []string{"v0", "v1"}
	c := openLive(t, cfg)
	from := newSender(t, "v1")
	got := capturing(t, c, func() {
		for i := range 100 {
			from.send(numbered(i))
		}
	})[0]
	if len(got.packets) != 200 {
		t.Errorf("%d packets", len(got.packets))
	}
}

// TestLiveLoopback sees each frame once.
func TestLiveLoopback(t *testing.T) {
	namespace(t)
	ip(t, "link set lo up")
	for _, workers := range []int{1, 2} {
		cfg := liveConfig(workers)
		cfg.Interfaces = []string{"lo"}
		cfg.Spread = func(LinkType, int) ([]bpf.RawInstruction, error) { return dropAll, nil }
		c := openLive(t, cfg)
		from := newSender(t, "lo")
		all := capturing(t, c, func() {
			for i := range 10 {
				from.send(numbered(i))
			}
		})
		if len(all[0].packets) != 10 {
			t.Errorf("%d workers: %d packets", workers, len(all[0].packets))
		}
	}
}
