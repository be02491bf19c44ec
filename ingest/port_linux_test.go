package ingest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// byParity spreads numbered frames over two workers.
func byParity(LinkType, int) ([]bpf.RawInstruction, error) {
	return []bpf.RawInstruction{
		{Op: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0},
		{Op: unix.BPF_ALU | unix.BPF_AND, K: 1},
		{Op: unix.BPF_RET | unix.BPF_A},
	}, nil
}

// changes are what a capture says of its interfaces.
type changes chan InterfaceChange

func (c changes) await(t *testing.T, up bool, detail string) InterfaceChange {
	t.Helper()
	for {
		select {
		case got := <-c:
			if got.Up == up && strings.HasPrefix(got.Detail, detail) {
				return got
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("nobody says that the interface %s", detail)
			return InterfaceChange{}
		}
	}
}

// openTold captures on v0, in a namespace of the test's own, and says what becomes of the
// interface.
func openTold(t *testing.T, workers, spares int) (*Capture, changes) {
	t.Helper()
	namespace(t)
	said := make(changes, 100)
	cfg := liveConfig(workers)
	cfg.SpareSockets = spares
	if workers > 1 {
		cfg.Spread = byParity
	}
	cfg.Changed = func(c InterfaceChange) { said <- c }
	return openLive(t, cfg), said
}

// remake removes v0 and makes another one, under a new index or under the same.
func remake(t *testing.T, said changes, index int) {
	t.Helper()
	ip(t, "link del v0")
	said.await(t, false, "was removed")
	ip(t, fmt.Sprintf("link add v0 index %d type veth peer name v1", index))
	ip(t, "link set v0 up")
	ip(t, "link set v1 up")
	said.await(t, true, "is back")
}

// directly is a sender without a queue: one would still be closed a moment after the
// carrier has come.
func directly(t *testing.T, name string) *sender {
	t.Helper()
	s := newSender(t, name)
	if err := unix.SetsockoptInt(s.fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestLiveInterfaceMadeAnew removes the interface and makes it again, several times:
// what was sent is what came, in the worker to which it belongs, and is counted,
// and the filter that has come meanwhile holds.
func TestLiveInterfaceMadeAnew(t *testing.T) {
	for _, workers := range []int{1, 2} {
		t.Run(fmt.Sprint(workers, " workers"), func(t *testing.T) {
			c, said := openTold(t, workers, 3)
			const each = 1000
			all := capturing(t, c, func() {
				for i, index := range []int{0, 1000, 1000, 2000} { // 1000 twice: the same index
					if i > 0 {
						remake(t, said, index)
						if s := c.Interfaces()[0]; !s.Up {
							t.Errorf("time %d: %+v", i, s)
						}
					}
					from := directly(t, "v1")
					for n := range each {
						from.send(numbered(i*each + n))
					}
					if i == 2 {
						ip(t, "link set v0 down")
						said.await(t, false, "is down")
						if s := c.Interfaces()[0]; s.Up {
							t.Errorf("down: %+v", s)
						}
						if err := c.Refilter(lastByte(7)); err != nil {
							t.Error(err)
						}
					}
				}
			})
			seen := map[int]bool{}
			for w, r := range all {
				for _, b := range r.packets {
					n := int(b[14])<<24 | int(b[15])<<16 | int(b[16])<<8 | int(b[17])
					if seen[n] || n%workers != w || n >= 3*each && b[11] != 7 {
						t.Errorf("worker %d: packet %d, seen: %v", w, n, seen[n])
					}
					seen[n] = true
				}
			}
			want := 3 * each
			for n := 3 * each; n < 4*each; n++ {
				if byte(n) == 7 {
					want++
				}
			}
			s := c.Interfaces()[0]
			if len(seen) != want || s.Received != uint64(want) || s.Dropped != 0 {
				t.Errorf("%d packets of %d, %+v", len(seen), want, s)
			}
		})
	}
}

// TestLiveInterfaceGone ends when there are no spare sockets left, after all that
// was received.
func TestLiveInterfaceGone(t *testing.T) {
	for spares, want := range []string{
		"capture on v0: the interface was removed, and capture.spare_sockets is 0: start again to capture on one of that name",
		"capture on v0: the interface was removed, and the spare sockets for 1 times are used up (capture.spare_sockets): start again to capture on one of that name",
	} {
		t.Run(fmt.Sprint(spares, " spares"), func(t *testing.T) {
			c, said := openTold(t, 1, spares)
			r := &liveRecorder{}
			g, err := NewGroup(c.Sources(), []Handler{r})
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan error)
			go func() { done <- g.Run(t.Context()) }()
			for range spares {
				remake(t, said, 1000)
			}
			from := directly(t, "v1")
			for n := range 100 {
				from.send(numbered(n))
			}
			ip(t, "link del v0")
			ip(t, "link add v0 type veth peer name v2") // another one of that name
			var gone *InterfaceGoneError
			if err := <-done; !errors.As(err, &gone) || err.Error() != want {
				t.Errorf("%v, want %s", err, want)
			}
			if len(r.packets) != 100 || c.Interfaces()[0].Received != 100 {
				t.Errorf("%d packets, %+v", len(r.packets), c.Interfaces()[0])
			}
		})
	}
}

// TestLiveSparesThatFail says why the last ones could not be used.
func TestLiveSparesThatFail(t *testing.T) {
	namespace(t)
	cfg := liveConfig(1)
	cfg.SpareSockets = 2
	c := openLive(t, cfg)
	c.filter = func(LinkType) ([]bpf.RawInstruction, error) { return nil, errors.New("no filter") }
	ip(t, "link del v0")
	ip(t, "link add v0 type veth peer name v1")
	ip(t, "link set v0 up")
	var err error
	for range 1000 {
		if _, err = c.Sources()[0].ReadBatch(make([]Packet, 1)); err != nil {
			break
		}
	}
	if err == nil || !strings.Contains(err.Error(), "for 2 times are used up") || !strings.HasSuffix(err.Error(), ": no filter") {
		t.Errorf("%v", err)
	}
}

// TestLiveStopsWhileGone ends although there is nothing to stop.
func TestLiveStopsWhileGone(t *testing.T) {
	c, said := openTold(t, 2, 1)
	capturing(t, c, func() {
		ip(t, "link del v0")
		said.await(t, false, "was removed")
		if s := c.Interfaces()[0]; s.Up {
			t.Errorf("%+v", s)
		}
	})
}

// TestLiveRenamed goes on with an interface that gets another name.
func TestLiveRenamed(t *testing.T) {
	c, said := openTold(t, 1, 4)
	from := directly(t, "v1")
	got := capturing(t, c, func() {
		from.send(numbered(0))
		ip(t, "link set v0 down")
		said.await(t, false, "is down")
		ip(t, "link set v0 name other0")
		ip(t, "link set other0 up")
		said.await(t, true, "is up again")
		from.send(numbered(1))
		if s := c.Interfaces()[0]; !s.Up || s.Name != "v0" {
			t.Errorf("%+v", s)
		}
	})[0]
	if len(got.packets) != 2 {
		t.Errorf("%d packets", len(got.packets))
	}
}
