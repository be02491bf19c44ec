package ingest

import "time"

// Timestamp is a point in time in nanoseconds since the Unix epoch, UTC. The
// zero value means "no time known" in a Packet that a Source has just filled;
// after stamping it is an ordinary value.
type Timestamp int64

// TimestampOf converts t. Times outside the years 1678 to 2262 wrap.
func TimestampOf(t time.Time) Timestamp { return Timestamp(t.UnixNano()) }

// Time converts to a time.Time in UTC.
func (t Timestamp) Time() time.Time { return time.Unix(0, int64(t)).UTC() }

// Add returns the timestamp d later.
func (t Timestamp) Add(d time.Duration) Timestamp { return t + Timestamp(d) }

// Sub returns the duration since u.
func (t Timestamp) Sub(u Timestamp) time.Duration { return time.Duration(t - u) }

// LinkType is the number of a link-layer header type, as in the pcap and
// pcapng formats (the LINKTYPE_ registry of the tcpdump group).
type LinkType uint32

// Interface says where packets were captured. One Interface is shared by all
// of its packets and never changes after the first of them was delivered.
type Interface struct {
	// Name is what users call the source: the capture file's path, or the
	// name of a network interface.
	Name string
	// LinkType is the link-layer header that each packet begins with.
	LinkType LinkType
	// Snaplen is the capture limit in bytes, 0 when there is none.
	Snaplen int
	// Device is the network interface that the capture file names, "" where it
	// names none. It is text from the file: valid UTF-8 of at most 765 bytes.
	Device string
	// Input counts the inputs of the run from 0: all interfaces of one capture
	// file have the same number.
	Input int
}

// Packet is one captured frame.
type Packet struct {
	// Data is what was captured of the frame, borrowed: valid until the call
	// that handed it over returns.
	Data []byte
	// Length is the frame's length on the wire in bytes, without frame check
	// sequence; it exceeds len(Data) where the capture was cut.
	Length int
	// Time is the packet's own capture time. It may run backwards.
	Time Timestamp
	// Clock is the highest Time of the whole input up to this packet. All
	// time-outs are decided against it.
	Clock Timestamp
	// Number counts the packets of the whole input: 1, 2, 3 …
	Number uint64
	// Interface is shared and never nil.
	Interface *Interface
}
