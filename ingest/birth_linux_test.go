package ingest

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// sendNumbered sends n frames from v1, beginning with a number.
func sendNumbered(t *testing.T, first, n int) {
	t.Helper()
	from := directly(t, "v1")
	for i := range n {
		from.send(numbered(first + i))
	}
}

// TestLiveUnseen makes the interface anew while nobody looks, and has packets pass it:
// they are counted once somebody does.
func TestLiveUnseen(t *testing.T) {
	for _, test := range []struct {
		name   string
		anew   func(t *testing.T)
		unseen uint64
	}{
		{"new", func(t *testing.T) {
			ip(t, "link del v0")
			ip(t, "link add v0 type veth peer name v1")
			ip(t, "link set v0 up")
			ip(t, "link set v1 up")
			sendNumbered(t, 0, 300)
			from := directly(t, "v0") // what it sends passes it, too
			for range 50 {
				from.send(numbered(0))
			}
		}, 350},
		{"of the same index", func(t *testing.T) {
			ip(t, "link del v0")
			ip(t, "link add v0 index 1000 type veth peer name v1")
			ip(t, "link set v0 up")
			ip(t, "link set v1 up")
			sendNumbered(t, 0, 200)
			ip(t, "link del v0") // and what it has counted is gone with it
			ip(t, "link add v0 index 1000 type veth peer name v1")
			ip(t, "link set v0 up")
			ip(t, "link set v1 up")
			sendNumbered(t, 0, 100)
		}, 100},
		{"with a past", func(t *testing.T) {
			ip(t, "link del v0")
			ip(t, "link add other0 type veth peer name v1")
			ip(t, "link set other0 up")
			ip(t, "link set v1 up")
			sendNumbered(t, 0, 200)
			ip(t, "link set other0 down")
			ip(t, "link set other0 name v0")
			ip(t, "link set v0 up")
			sendNumbered(t, 0, 100)
		}, 100},
	} {
		for _, workers := range []int{1, 2} {
			t.Run(fmt.Sprintf("%s, %d workers", test.name, workers), func(t *testing.T) {
				c, said := openTold(t, workers, 1)
				test.anew(t)
				all := capturing(t, c, func() {
					if got := said.await(t, true, "is back"); got.Unseen != test.unseen {
						t.Errorf("%+v, want %d", got, test.unseen)
					}
					sendNumbered(t, 0, 100)
				})
				packets := 0
				for _, r := range all {
					packets += len(r.packets)
				}
				s, lost := c.Interfaces()[0], c.Sources()[0].(Lossy).Losses()
				if packets != 100 || s.Received != 100 || s.Unseen != test.unseen || lost.Unseen != test.unseen {
					t.Errorf("%d packets, %+v, %+v, want %d unseen", packets, s, lost, test.unseen)
				}
			})
		}
	}
}

// TestLiveUnseenOfAnother captures on an interface that has got another name, until it
// is removed, and then on the one that has had its name meanwhile: what passed that
// one before was not to be captured.
func TestLiveUnseenOfAnother(t *testing.T) {
	c, said := openTold(t, 1, 1)
	capturing(t, c, func() {
		ip(t, "link set v0 down")
		ip(t, "link set v0 name old0")
		ip(t, "link set v1 name old1")
		ip(t, "link add v0 type veth peer name v1")
		ip(t, "link set v0 up")
		ip(t, "link set v1 up")
		sendNumbered(t, 0, 100)
		ip(t, "link del old0")
		if got := said.await(t, true, "is back"); got.Unseen != 0 {
			t.Errorf("%+v", got)
		}
	})
}

// TestLiveFirstPacket captures on an interface from its first packet if there is a
// moment between its making and its being up.
func TestLiveFirstPacket(t *testing.T) {
	for _, workers := range []int{1, 2} {
		t.Run(fmt.Sprint(workers, " workers"), func(t *testing.T) {
			c, said := openTold(t, workers, 2)
			all := capturing(t, c, func() {
				for i := range 2 {
					ip(t, "link del v0")
					said.await(t, false, "was removed")
					ip(t, "link add v0 type veth peer name v1")
					awaitSpares(t, c, 1-i)
					ip(t, "link set v0 up")
					ip(t, "link set v1 up")
					sendNumbered(t, 100*i, 100)
					said.await(t, true, "is back")
				}
			})
			packets := 0
			for _, r := range all {
				packets += len(r.packets)
			}
			if s := c.Interfaces()[0]; packets != 200 || s.Received != 200 || s.Unseen != 0 {
				t.Errorf("%d packets, %+v", packets, s)
			}
		})
	}
}

// awaitSpares waits until there are spare sockets for so many times.
func awaitSpares(t *testing.T, c *Capture, times int) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); c.spares(c.ports[0]) != times; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("spare sockets for %d times, want %d", c.spares(c.ports[0]), times)
		}
	}
}

// TestLiveNameInPassing does not stay on an interface that has the name for a moment
// only and never was up under it.
func TestLiveNameInPassing(t *testing.T) {
	c, said := openTold(t, 1, 2)
	got := capturing(t, c, func() {
		ip(t, "link del v0")
		said.await(t, false, "was removed")
		ip(t, "link add v0 type veth peer name w1")
		awaitSpares(t, c, 1)
		ip(t, "link set v0 name w0")
		ip(t, "link add v0 type veth peer name v1")
		awaitSpares(t, c, 0)
		ip(t, "link set v0 up")
		ip(t, "link set v1 up")
		said.await(t, true, "is back")
		sendNumbered(t, 0, 100)
	})[0]
	if len(got.packets) != 100 {
		t.Errorf("%d packets", len(got.packets))
	}
}

// TestLiveBoundBefore uses sockets that were bound to an interface already and could
// make no group on it, as kernels before 6.13 refuse that while it is down.
func TestLiveBoundBefore(t *testing.T) {
	c, said := openTold(t, 2, 1)
	cfg := liveConfig(2).Config
	ip(t, "link add w0 type veth peer name w1")
	d, err := findDevice(c.probe, "w0")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range c.ports[0].spares {
		if err := s.prepare(&cfg); err != nil {
			t.Fatal(err)
		}
		if err := s.bind(d, &cfg); err != nil {
			t.Fatal(err)
		}
	}
	all := capturing(t, c, func() {
		remake(t, said, 1000)
		sendNumbered(t, 0, 100)
	})
	for w, r := range all {
		if len(r.packets) != 50 {
			t.Errorf("worker %d: %d packets", w, len(r.packets))
		}
	}
}

// TestLiveUntold finds an interface that has come back although nobody tells of it.
func TestLiveUntold(t *testing.T) {
	c, said := openTold(t, 1, 1)
	if err := c.links.close(); err != nil {
		t.Fatal(err)
	}
	c.links, c.workers[0].polls[0] = nil, pollFor(-1)
	got := capturing(t, c, func() {
		remake(t, said, 1000)
		sendNumbered(t, 0, 100)
		ip(t, "link set v0 down")
		said.await(t, false, "is down")
		ip(t, "link set v0 up")
		said.await(t, true, "is up again")
	})[0]
	if len(got.packets) != 100 || c.Interfaces()[0].Unseen != 0 {
		t.Errorf("%d packets, %+v", len(got.packets), c.Interfaces()[0])
	}
}

// TestLinks hears of an interface and asks for its counters.
func TestLinks(t *testing.T) {
	namespace(t)
	l, err := openLinks()
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	said := func() (all []linkChange, complete bool) {
		complete = l.changes(func(c *linkChange) { all = append(all, *c) })
		return all, complete
	}
	ip(t, "link add w0 index 1000 type veth peer name w1 index 1001")
	ip(t, "link del w0")
	made, removed := false, false
	all, complete := said()
	for _, c := range all {
		if c.name == "w0" && c.index == 1000 {
			made = made || !c.removed
			removed = c.removed
		}
	}
	if !made || !removed || !complete {
		t.Errorf("%+v, %v", all, complete)
	}
	index, err := interfaceIndex(l.asked, "v0")
	if err != nil {
		t.Fatal(err)
	}
	sendNumbered(t, 0, 100)
	if n, err := l.passed(index); n != 100 || err != nil {
		t.Errorf("%d packets, %v", n, err)
	}
	if n, err := l.passed(1000); err == nil || err.Error() != "the counters of interface 1000: there are none" {
		t.Errorf("%d packets, %v", n, err)
	}
	if err := unix.SetsockoptInt(l.told, unix.SOL_SOCKET, unix.SO_RCVBUF, 1); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		ip(t, "link set v0 down")
		ip(t, "link set v0 up")
	}
	if all, complete := said(); complete {
		t.Errorf("nothing is missing: %d", len(all))
	}
	if all, complete := said(); len(all) != 0 || !complete {
		t.Errorf("%+v, %v", all, complete)
	}
}

// TestLiveAlternativeName captures on an interface by one of its other names, which the
// next one is given, too.
func TestLiveAlternativeName(t *testing.T) {
	namespace(t)
	ip(t, "link property add dev v0 altname other0")
	said := make(changes, 100)
	cfg := liveConfig(1)
	cfg.Interfaces, cfg.SpareSockets = []string{"other0"}, 2
	cfg.Changed = func(c InterfaceChange) { said <- c }
	c := openLive(t, cfg)
	all := capturing(t, c, func() {
		ip(t, "link del v0")
		said.await(t, false, "was removed")
		ip(t, "link add v0 type veth peer name v1")
		ip(t, "link property add dev v0 altname other0")
		awaitSpares(t, c, 1)
		ip(t, "link set v0 up")
		ip(t, "link set v1 up")
		said.await(t, true, "is back")
		sendNumbered(t, 0, 100)
	})
	if n := len(all[0].packets); n != 100 {
		t.Errorf("%d packets, want 100", n)
	}
	awaitSpares(t, c, 1)
}
