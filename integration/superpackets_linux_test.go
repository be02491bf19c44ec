package integration

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// TestSuperPackets captures what a sender leaves to its card to cut into segments
// (TSO; BIG TCP above 64 KiB): each packet whole if the snaplen has room for it, and
// else marked as cut, with its bytes counted.
func TestSuperPackets(t *testing.T) {
	const size = 8 << 20
	for _, test := range []struct {
		name, address string
		big           bool // above 64 KiB
		blocks        string
		cut           bool
	}{
		{"IPv4", nearAddress, false, "", false},
		{"IPv6", nearAddress6, false, "", false},
		{"IPv6 above 64 KiB", nearAddress6, true, "", false},
		{"small snaplen, tiny blocks", nearAddress, false, ", snaplen: 15872, block_bytes: 16384", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSite(t)
			if test.big {
				for ns, end := range map[string]string{s.near: "n0", s.far: "f0"} {
					s.run("ip", "-n", ns, "link", "set", "dev", end, "gso_max_size", "180000", "gro_max_size", "180000")
				}
			}
			run, store := s.sensor("workers: 2\ncapture: {filter: \"host "+test.address+" and not icmp6\""+test.blocks+"}\n", "--iface", "n0")
			received := s.sink()
			s.within(s.far, func() error {
				conn, err := net.DialTimeout("tcp", net.JoinHostPort(test.address, "9000"), 10*time.Second)
				if err != nil {
					return err
				}
				_, err = io.Copy(conn, bytes.NewReader(make([]byte, size)))
				return errors.Join(err, conn.Close())
			})
			if n := <-received; n != size {
				t.Fatalf("%d bytes came", n)
			}
			if code := run.stop(); code != 130 {
				t.Errorf("status %d:\n%s", code, run.log)
			}
			l := lastLedger(t, store)
			if l.Packets.DroppedKernel != 0 || len(l.Packets.Undecodable) != 0 {
				t.Errorf("%+v", l.Packets)
			}
			// What was sent again by the sender is seen again.
			cut, once := l.Payload.Discarded["truncated"], l.Payload.Seen-l.Payload.Duplicate
			if once < size || !test.cut && once != size || l.GapBytes != 0 || cut > 0 != test.cut {
				t.Errorf("%+v, gaps of %d bytes", l.Payload, l.GapBytes)
			}
			least := 3000.0 // bytes per packet of the sender, twice of what goes over a cable
			if test.big {
				least = 45000
			}
			if mean := meanFrame(t, store); mean < least {
				t.Errorf("%.0f bytes per packet: nothing was left to the card", mean)
			}
			t.Logf("%d packets, %d bytes cut, %d sent again, checksums %v", l.Packets.Received, cut, l.Payload.Duplicate, l.Packets.Checksums)
		})
	}
}

// meanFrame is the mean length of the initiator's frames of the only flow.
func meanFrame(t *testing.T, store string) float64 {
	t.Helper()
	for _, e := range events(t, store) {
		if stats, ok := e["stats"].(map[string]any); ok && e["event"] == "closed" {
			return stats["bytes_initiator"].(float64) / stats["packets_initiator"].(float64)
		}
	}
	t.Fatal("no flow was closed")
	return 0
}

// sink takes one connection to port 9000 of near, and says how much has come.
func (s *site) sink() <-chan int64 {
	s.t.Helper()
	received := make(chan int64, 1)
	s.within(s.near, func() error {
		l, err := net.Listen("tcp", ":9000")
		if err != nil {
			return err
		}
		go func() {
			defer l.Close()
			n := int64(-1)
			if conn, err := l.Accept(); err == nil {
				n, _ = io.Copy(io.Discard, conn) // the number tells
				conn.Close()
			}
			received <- n
		}()
		return nil
	})
	return received
}
