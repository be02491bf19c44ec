package integration

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// freePorts returns different ports at which nobody on this machine listens, over TCP
// or UDP. They lie below those that systems give to whoever asks for any (from 32768
// on under Linux, from 49152 on elsewhere): a server that binds one later, or again
// after its restart, never finds it taken by the near end of somebody's connection,
// and who captures it sees nobody else's.
func freePorts(t *testing.T, n int) (ports []int) {
	t.Helper()
	const first, end = 20_000, 32_000
	for range 10_000 {
		if len(ports) == n {
			return ports
		}
		port := first + rand.IntN(end-first)
		stream, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
		if err != nil {
			continue
		}
		defer stream.Close() // until all are found
		packets, err := net.ListenPacket("udp", fmt.Sprintf(":%d", port))
		if err != nil {
			continue
		}
		defer packets.Close()
		ports = append(ports, port)
	}
	t.Fatalf("no %d free ports from %d to %d", n, first, end-1)
	return nil
}

func freePort(t *testing.T) int {
	t.Helper()
	return freePorts(t, 1)[0]
}

// freeAddress is an address on loopback with a free port.
func freeAddress(t *testing.T) string {
	t.Helper()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(freePort(t)))
}
