package ingest

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"
)

// fromOthers sends a message to a netlink socket, from another that is not the kernel's.
func fromOthers(t *testing.T, to int, message []byte) {
	t.Helper()
	a, err := unix.Getsockname(to)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.Sendto(fd, message, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Pid: a.(*unix.SockaddrNetlink).Pid}); err != nil {
		t.Fatal(err)
	}
}

// linkNews is a message that tells of an interface, with attributes as they are.
func linkNews(kind uint16, seq, index uint32, attributes ...byte) []byte {
	b := make([]byte, unix.SizeofNlMsghdr+unix.SizeofIfInfomsg, 100)
	b = append(b, attributes...)
	binary.NativeEndian.PutUint32(b, uint32(len(b)))
	binary.NativeEndian.PutUint16(b[4:], kind)
	binary.NativeEndian.PutUint32(b[8:], seq)
	binary.NativeEndian.PutUint32(b[unix.SizeofNlMsghdr+4:], index)
	return b
}

// What others than the kernel tell of interfaces is not heard, whatever it is.
func TestLinksFromOthers(t *testing.T) {
	namespace(t)
	l, err := openLinks()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.close() }()
	for _, message := range [][]byte{
		linkNews(unix.RTM_DELLINK, 1, 1),
		linkNews(unix.RTM_NEWLINK, 1, 1, 5, 0, unix.IFLA_IFNAME, 0, 'x'), // not padded
		linkNews(unix.RTM_NEWLINK, 1, 1, 1, 0, unix.IFLA_IFNAME, 0),
		{17, 0, 0, 0, 16, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7}, // not padded
		{255, 255, 255, 255, 16, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0},
		{7},
	} {
		fromOthers(t, l.told, message)
		if complete := l.changes(func(c *linkChange) { t.Errorf("%v tells %+v", message, c) }); !complete {
			t.Errorf("%v is told to be lost", message)
		}
		fromOthers(t, l.asked, message)
		l.seq = 0
		if _, err := l.passed(1); err != nil {
			t.Errorf("after %v: %v", message, err)
		}
	}
}
