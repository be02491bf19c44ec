package ingest

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"syscall"
	"time"

	"github.com/google/gopacket"
)

const (
	// liveAge is how old a packet may be and still count as captured just now.
	liveAge = 5 * time.Second
	// arenaBytes is how much one batch of a data source holds.
	arenaBytes = 256 << 10
)

// dataSource adapts a gopacket handle.
type dataSource struct {
	handle     gopacket.ZeroCopyPacketDataSource
	first      Interface
	interfaces map[int]*Interface
	arena      []byte
	live       bool
	err        error
}

var (
	_ Source = (*dataSource)(nil)
	_ Live   = (*dataSource)(nil)
)

// FromDataSource returns a Source that reads a handle of gopacket, whatever is
// behind it: libpcap, AF_PACKET, PF_RING, a file. iface says where packets come
// from; a handle that tells several interfaces apart (CaptureInfo's
// InterfaceIndex) gives each a copy of it, all but the first seen with "#" and
// the index after the name.
//
// Packets are copied into a buffer of the source, since a handle's bytes live
// only until its next call. A handle does not say whether its next call waits,
// so a batch ends after a packet that is younger than five seconds: packets of
// live capture are not held back, those of files come in full batches. A
// handle's time-out is an empty batch; io.EOF is the end; any other error ends
// the source. The handle stays the caller's to close.
func FromDataSource(handle gopacket.ZeroCopyPacketDataSource, iface Interface) Source {
	return &dataSource{
		handle:     handle,
		first:      iface,
		interfaces: make(map[int]*Interface),
		arena:      make([]byte, 0, arenaBytes),
	}
}

// ReadBatch implements Source.
func (d *dataSource) ReadBatch(packets []Packet) (int, error) {
	d.arena = d.arena[:0]
	d.live = false
	// The clock is read once: a packet that the handle had to wait for is
	// younger still.
	recent := TimestampOf(time.Now().Add(-liveAge))
	n := 0
	for d.err == nil && n < len(packets) && len(d.arena) < arenaBytes && !d.live {
		data, info, err := d.handle.ZeroCopyReadPacketData()
		if isTimeout(err) {
			break
		}
		if err != nil {
			d.err = d.ended(err)
			break
		}
		d.take(&packets[n], data, &info)
		d.live = packets[n].Time > recent
		n++
	}
	if n > 0 {
		return n, nil
	}
	return 0, d.err
}

// take copies a packet. Where the buffer has to grow, the packets before keep
// the old one.
func (d *dataSource) take(p *Packet, data []byte, info *gopacket.CaptureInfo) {
	if len(d.arena)+len(data) > cap(d.arena) {
		d.arena = make([]byte, 0, max(arenaBytes, len(data)))
	}
	start := len(d.arena)
	d.arena = append(d.arena, data...)
	*p = Packet{
		Data:      d.arena[start:len(d.arena):len(d.arena)],
		Length:    max(info.Length, len(data)),
		Interface: d.of(info.InterfaceIndex),
	}
	if !info.Timestamp.IsZero() {
		p.Time = TimestampOf(info.Timestamp)
	}
}

// of returns the interface with an index.
func (d *dataSource) of(index int) *Interface {
	if known := d.interfaces[index]; known != nil {
		return known
	}
	added := d.first
	if len(d.interfaces) > 0 {
		added.Name += "#" + strconv.Itoa(index)
	}
	if len(d.interfaces) < maxInterfaces {
		d.interfaces[index] = &added
	}
	return &added
}

// ended names the input in what ended it.
func (d *dataSource) ended(err error) error {
	if errors.Is(err, io.EOF) {
		return io.EOF
	}
	return fmt.Errorf("read %s: %w", d.first.Name, err)
}

// isTimeout reports whether a handle only says that no packet came in time.
// gopacket's pcap and afpacket have errors of their own for it, which cannot be
// compared without linking libpcap, so they are told by their text.
func isTimeout(err error) bool {
	if err == nil {
		return false
	}
	var timeout interface{ Timeout() bool }
	if errors.As(err, &timeout) && timeout.Timeout() || errors.Is(err, syscall.EAGAIN) {
		return true
	}
	text := err.Error()
	return text == "Timeout Expired" || text == "packet poll timeout expired"
}

// Live reports whether the last packet was captured just now.
func (d *dataSource) Live() bool { return d.live }

// Close implements Source.
func (d *dataSource) Close() error {
	d.err = io.EOF
	return nil
}
