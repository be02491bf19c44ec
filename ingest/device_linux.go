package ingest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Link types of what packet sockets deliver (LINKTYPE_ registry).
const (
	linkTypeEthernet LinkType = 1
	linkTypeRaw      LinkType = 101
)

// device is a network interface.
type device struct {
	name     string
	index    int
	link     LinkType
	loopback bool
	// up says that it was up when it was found.
	up bool
	// card is what its counters were when the capture began.
	card cardCounters
	// unseen counts what had passed before it was captured on.
	unseen uint64
	// kept says that it was up under its name, left that it got another before.
	kept, left bool
}

// findDevice looks an interface up that is to be captured on. The socket is any.
func findDevice(fd int, name string) (*device, error) {
	d := &device{name: name}
	var err error
	if d.index, err = interfaceIndex(fd, name); err != nil {
		return nil, fmt.Errorf("capture on %s: no such network interface: %w", name, err)
	}
	if d.up, err = interfaceUp(fd, name); err != nil {
		return nil, fmt.Errorf("capture on %s: %w", name, err)
	}
	hardware, err := hardwareType(fd, name)
	if err != nil {
		return nil, fmt.Errorf("capture on %s: %w", name, err)
	}
	switch hardware {
	case unix.ARPHRD_ETHER:
		d.link = linkTypeEthernet
	case unix.ARPHRD_LOOPBACK:
		d.link, d.loopback = linkTypeEthernet, true
	case unix.ARPHRD_NONE, unix.ARPHRD_RAWIP, unix.ARPHRD_PPP, unix.ARPHRD_TUNNEL, unix.ARPHRD_TUNNEL6, unix.ARPHRD_SIT:
		d.link = linkTypeRaw
	default:
		return nil, fmt.Errorf("capture on %s: hardware type %d is not supported", name, hardware)
	}
	d.card, _ = readCard(name) // 0 without
	return d, nil
}

func interfaceIndex(fd int, name string) (int, error) {
	r, err := unix.NewIfreq(name)
	if err != nil {
		return 0, err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, r); err != nil {
		return 0, err
	}
	return int(r.Uint32()), nil
}

func interfaceUp(fd int, name string) (bool, error) {
	r, err := unix.NewIfreq(name)
	if err != nil {
		return false, err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, r); err != nil {
		return false, fmt.Errorf("read its flags: %w", err)
	}
	return r.Uint16()&unix.IFF_UP != 0, nil
}

func hardwareType(fd int, name string) (uint16, error) {
	r, err := unix.NewIfreq(name)
	if err != nil {
		return 0, err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFHWADDR, r); err != nil {
		return 0, fmt.Errorf("read its hardware type: %w", err)
	}
	return r.Uint16(), nil
}

// isUp says whether the interface is up, whatever its name is by now.
func (d *device) isUp(fd int) (bool, error) {
	name, err := interfaceName(fd, d.index)
	if err != nil {
		return false, err
	}
	return interfaceUp(fd, name)
}

func interfaceName(fd, index int) (string, error) {
	r, err := unix.NewIfreq("")
	if err != nil {
		return "", err
	}
	r.SetUint32(uint32(index))
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFNAME, r); err != nil {
		return "", fmt.Errorf("read its name: %w", err)
	}
	return r.Name(), nil
}

// cardCounters count packets that never reached a socket: rx_dropped and
// rx_missed_errors of an interface.
type cardCounters struct{ dropped, missed uint64 }

func (c *cardCounters) add(o cardCounters) {
	c.dropped += o.dropped
	c.missed += o.missed
}

// readCard reads the counters of an interface. It reports false if it has none.
func readCard(name string) (cardCounters, bool) {
	dropped, ok := cardCounter(name, "rx_dropped")
	missed, too := cardCounter(name, "rx_missed_errors")
	return cardCounters{dropped, missed}, ok && too
}

func cardCounter(name, counter string) (uint64, bool) {
	b, err := os.ReadFile(filepath.Join("/sys/class/net", name, "statistics", counter))
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
	return n, err == nil
}
