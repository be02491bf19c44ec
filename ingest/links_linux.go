package ingest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// links hears from the kernel what becomes of network interfaces, and asks it for
// their counters: routing netlink (rtnetlink(7)). It takes no privileges, only
// sockets. They belong to the network namespace in which they were opened.
type links struct {
	told  int // is told of every change
	asked int // for questions and their answers
	seq   uint32
	// heard and answer hold one message each.
	heard, answer []byte
}

// linkChange is what the kernel tells of an interface.
type linkChange struct {
	index   int
	name    string
	removed bool
	passed  uint64 // packets that it has received and sent since it was made
}

// linkMessage is more than the kernel says of an interface at once.
const linkMessage = 64 << 10

func openLinks() (*links, error) {
	l := &links{told: -1, asked: -1, heard: make([]byte, linkMessage), answer: make([]byte, linkMessage)}
	for _, s := range []struct {
		fd     *int
		groups uint32
	}{
		{&l.told, 1 << (unix.RTNLGRP_LINK - 1)},
		{&l.asked, 0},
	} {
		var err error
		*s.fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
		if err == nil {
			err = unix.Bind(*s.fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: s.groups})
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open a socket to hear of interfaces: %w", err), l.close())
		}
	}
	return l, nil
}

// changes hands over what was told since the last call, without waiting. It reports
// false if the kernel had no room for some of it.
func (l *links) changes(f func(*linkChange)) bool {
	complete := true
	for {
		n, from, err := unix.Recvfrom(l.told, l.heard, 0)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ENOBUFS):
			complete = false
		case err != nil: // EAGAIN: that was all
			return complete
		case byKernel(from):
			messages, err := syscall.ParseNetlinkMessage(l.heard[:n])
			complete = complete && err == nil
			for i := range messages {
				if c, ok := readLink(&messages[i]); ok {
					f(&c)
				}
			}
		}
	}
}

// passed asks how many packets an interface has received and sent since it was made.
func (l *links) passed(index int) (uint64, error) {
	l.seq++
	b := make([]byte, 0, unix.SizeofNlMsghdr+unix.SizeofIfInfomsg)
	b = binary.NativeEndian.AppendUint32(b, uint32(cap(b)))
	b = binary.NativeEndian.AppendUint16(b, unix.RTM_GETLINK)
	b = binary.NativeEndian.AppendUint16(b, unix.NLM_F_REQUEST)
	b = binary.NativeEndian.AppendUint32(b, l.seq)
	b = b[:cap(b)]
	binary.NativeEndian.PutUint32(b[unix.SizeofNlMsghdr+4:], uint32(index))
	if err := unix.Sendto(l.asked, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return 0, fmt.Errorf("ask for the counters of interface %d: %w", index, err)
	}
	for { // the kernel has answered by now
		n, from, err := unix.Recvfrom(l.asked, l.answer, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("read the counters of interface %d: %w", index, err)
		}
		messages, err := syscall.ParseNetlinkMessage(l.answer[:n])
		if err != nil || !byKernel(from) || len(messages) == 0 || messages[0].Header.Seq != l.seq {
			continue
		}
		if c, ok := readLink(&messages[0]); ok {
			return c.passed, nil
		}
		return 0, fmt.Errorf("the counters of interface %d: there are none", index)
	}
}

func byKernel(from unix.Sockaddr) bool {
	a, ok := from.(*unix.SockaddrNetlink)
	return ok && a.Pid == 0
}

// readLink reads a message about an interface itself; there are others, about its
// place in a bridge. It reports false for those.
func readLink(m *syscall.NetlinkMessage) (c linkChange, ok bool) {
	c.removed = m.Header.Type == unix.RTM_DELLINK
	if !c.removed && m.Header.Type != unix.RTM_NEWLINK || len(m.Data) < unix.SizeofIfInfomsg || m.Data[0] != unix.AF_UNSPEC {
		return c, false
	}
	c.index = int(int32(binary.NativeEndian.Uint32(m.Data[4:])))
	attributes, err := syscall.ParseNetlinkRouteAttr(m)
	if err != nil {
		return c, false
	}
	for _, a := range attributes {
		switch {
		case a.Attr.Type == unix.IFLA_IFNAME && len(a.Value) > 0:
			c.name = string(a.Value[:len(a.Value)-1]) // without the final 0
		case a.Attr.Type == unix.IFLA_STATS64 && len(a.Value) >= 16: // rx_packets, tx_packets, …
			c.passed = binary.NativeEndian.Uint64(a.Value) + binary.NativeEndian.Uint64(a.Value[8:])
		}
	}
	return c, true
}

func (l *links) close() error {
	var errs []error
	for _, fd := range []*int{&l.told, &l.asked} {
		if *fd >= 0 {
			errs = append(errs, unix.Close(*fd))
			*fd = -1
		}
	}
	return errors.Join(errs...)
}
