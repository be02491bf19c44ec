//go:build unix

package ingest

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// poller asks the kernel whether a file can be read without waiting.
type poller struct{ fds [1]unix.PollFd }

// readable waits a while for bytes or the end of file. It reports true if it
// cannot tell: the read will.
func (p *poller) readable(file *os.File) bool {
	raw, err := file.SyscallConn()
	if err != nil {
		return true
	}
	ready := true
	err = raw.Control(func(fd uintptr) {
		p.fds[0] = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN}
		n, err := unix.Poll(p.fds[:], patience)
		ready = n > 0 || err != nil && !errors.Is(err, unix.EINTR)
	})
	return ready || err != nil
}
