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
		w := &tallyWorker{worker: i, workers: workers, datagrams: map[fragmentKey]bool{}}
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
