package flow

import (
	"context"
	"errors"
	"math/bits"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"flowscope/ingest"
)

// kernelNamespace moves the test into a network namespace with interfaces v0 and
// v1, of which one receives what the other sends.
func kernelNamespace(t *testing.T) {
	t.Helper()
	skip := t.Skipf
	if os.Getenv("CI") != "" {
		skip = t.Fatalf
	}
	if _, err := exec.LookPath("ip"); err != nil || os.Geteuid() != 0 {
		skip("network namespaces need root and ip (iproute2)")
	}
	runtime.LockOSThread() // for good: the thread ends with the test
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		skip("no network namespace: %v", err)
	}
	_ = os.WriteFile("/proc/sys/net/ipv6/conf/default/disable_ipv6", []byte("1"), 0o600) // else there is noise
	for _, c := range []string{"link add v0 type veth peer name v1", "link set v0 up mtu 9000", "link set v1 up mtu 9000"} {
		if out, err := exec.Command("ip", strings.Fields(c)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", c, err, out)
		}
	}
}

// tallyWorker counts the packets of a worker, and those that Spread would have
// given to another.
type tallyWorker struct {
	worker, workers uint64
	packets, wrong  int
	datagrams       map[fragmentKey]bool // of which a fragment came
	// fragments and whole are the conversations of which fragments and whole
	// datagrams came.
	fragments, whole map[conversation]bool
}

// conversation is two hosts and a protocol.
type conversation struct {
	hosts uint64
	proto uint8
}

func newTallyWorker(worker, workers uint64) *tallyWorker {
	return &tallyWorker{
		worker: worker, workers: workers, datagrams: map[fragmentKey]bool{},
		fragments: map[conversation]bool{}, whole: map[conversation]bool{},
	}
}

func (w *tallyWorker) HandlePackets(packets []ingest.Packet) {
	for i := range packets {
		w.packets++
		if to, _ := bits.Mul64(Spread(&packets[i]), w.workers); to != w.worker {
			w.wrong++
		}
		h := header{data: packets[i].Data, wire: packets[i].Length}
		var layers path
		if linkHeader(packets[i].Interface.LinkType, &h) == Handled && h.toIP(&layers) == Handled {
			if key, _, _, ok := spreadFragment(h.data); ok {
				w.datagrams[key] = true
				w.fragments[conversation{spreadAddresses(h.data), key.proto}] = true
			} else if len(h.data) >= 20 && h.data[0]>>4 == 4 {
				w.whole[conversation{spreadAddresses(h.data), h.data[9]}] = true
			}
		}
	}
}
func (w *tallyWorker) Tick(ingest.Timestamp) {}
func (w *tallyWorker) Close(error)           {}

// TestKernelSpreads sends the captures' Ethernet frames and has the kernel divide
// them: a packet is where Spread wants it, and no datagram is torn apart.
func TestKernelSpreads(t *testing.T) {
	captures := corpusFiles(t)
	if len(captures) == 0 {
		t.Skip("no captures (FLOWSCOPE_CORPUS)")
	}
	kernelNamespace(t)
	const workers = 4
	cfg := ingest.LiveConfig{Config: ingest.DefaultConfig(), Workers: workers, Spread: SpreadProgram}
	cfg.Interfaces = []string{"v0"}
	capture, err := ingest.OpenLive(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer capture.Close()
	var all []*tallyWorker
	var handlers []ingest.Handler
	for i := range uint64(workers) {
		w := newTallyWorker(i, workers)
		all, handlers = append(all, w), append(handlers, w)
	}
	group, err := ingest.NewGroup(capture.Sources(), handlers)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- group.Run(ctx) }()
	sent := sendCorpus(t, captures)
	stop()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	packets, wrong, torn := 0, 0, 0
	seen := map[fragmentKey]bool{}
	for _, w := range all {
		packets += w.packets
		wrong += w.wrong
		if w.packets == 0 {
			t.Errorf("worker %d has nothing to do", w.worker)
		}
		for key := range w.datagrams {
			if seen[key] {
				torn++
			}
			seen[key] = true
		}
	}
	t.Logf("%d packets, %d in the wrong worker, %d fragmented datagrams, %d torn", packets, wrong, len(seen), torn)
	if packets != sent {
		t.Errorf("%d sent, %d received", sent, packets)
	}
	if wrong > 0 {
		t.Errorf("%d packets in the wrong worker", wrong)
	}
	if torn > 0 || len(seen) == 0 {
		t.Errorf("%d of %d datagrams are torn", torn, len(seen))
	}
}

// sendCorpus sends the Ethernet frames of captures on v1.
func sendCorpus(t *testing.T, captures []string) (sent int) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	r, err := unix.NewIfreq("v1")
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, r); err != nil {
		t.Fatal(err)
	}
	to := unix.SockaddrLinklayer{Ifindex: int(r.Uint32()), Halen: 6}
	for _, path := range captures {
		if notFollowed[filepath.Base(path)] > 0 {
			continue
		}
		eachPacket(t, path, func(p ingest.Packet) {
			if p.Interface.LinkType != linkEthernet || len(p.Data) < 60 || len(p.Data) > 9000 || len(p.Data) != p.Length {
				return
			}
			if err := unix.Sendto(fd, p.Data, 0, &to); err != nil {
				t.Fatal(err)
			}
			sent++
		})
	}
	return sent
}

// TestKernelHashPartsFragments shows why the kernel is given a program: its own hash
// uses ports, which fragments have not, and sends them to other sockets than what
// came whole between the same hosts.
func TestKernelHashPartsFragments(t *testing.T) {
	captures := corpusFiles(t)
	if len(captures) == 0 {
		t.Skip("no captures (FLOWSCOPE_CORPUS)")
	}
	kernelNamespace(t)
	const group, sockets = 77, 4
	var fds []int
	for range sockets {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		fds = append(fds, fd)
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20); err != nil {
			t.Fatal(err)
		}
		r, err := unix.NewIfreq("v0")
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, r); err != nil {
			t.Fatal(err)
		}
		all := uint16(unix.ETH_P_ALL)
		if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all<<8 | all>>8, Ifindex: int(r.Uint32())}); err != nil {
			t.Fatal(err)
		}
		if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_FANOUT, group|unix.PACKET_FANOUT_HASH<<16); err != nil {
			t.Fatal(err)
		}
	}
	sendCorpus(t, captures)
	var workers []*tallyWorker
	buf := make([]byte, 10000)
	for _, fd := range fds {
		w := newTallyWorker(0, sockets)
		workers = append(workers, w)
		for {
			n, _, err := unix.Recvfrom(fd, buf, 0)
			if err != nil {
				break
			}
			w.HandlePackets([]ingest.Packet{{Data: buf[:n], Length: n, Interface: ethernetInterface}})
		}
	}
	parted := 0
	for i, w := range workers {
		for c := range w.fragments {
			for j, other := range workers {
				if j != i && other.whole[c] && !w.whole[c] {
					parted++
					break
				}
			}
		}
	}
	// How many depends on a key that the kernel has drawn; it may be none.
	t.Logf("%d conversations have their fragments apart from the rest", parted)
}
