package sessiontest

import (
	"os"
	"slices"
	"testing"

	"flowscope/flow"
	"flowscope/ingest"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// TCP returns the TCP connections of a capture file, innermost layer, in the
// order of their first packets; the initiator is the sender of the SYN, the
// receiver of a SYN+ACK, or else the sender of the first packet. Segments are put
// in order; bytes that never came are gaps. Fragments, and frames that gopacket
// cannot decode, are left out. A file that is damaged gives what precedes the
// damage.
func TCP(tb testing.TB, file string) []Stream {
	tb.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	src, link, err := openCapture(raw)
	if err != nil {
		return nil
	}
	open := map[[2]gopacket.Flow]*connection{}
	var all []*connection
	for {
		frame, ci, err := src.ReadPacketData()
		if err != nil {
			break
		}
		key, tcp, payload := decodeTCP(frame, link)
		if tcp == nil {
			continue
		}
		c, side := open[key], flow.Initiator
		if c == nil {
			if c = open[[2]gopacket.Flow{key[0].Reverse(), key[1].Reverse()}]; c != nil {
				side = flow.Responder
			}
		}
		if c == nil || tcp.SYN && !tcp.ACK && c.over {
			c, side = &connection{}, flow.Initiator
			c.stream.Name = key[0].String() + " " + key[1].String()
			c.stream.SrcPort, c.stream.DstPort = uint16(tcp.SrcPort), uint16(tcp.DstPort)
			c.stream.Midstream = !tcp.SYN
			c.swapped = tcp.SYN && tcp.ACK
			if c.swapped {
				c.stream.SrcPort, c.stream.DstPort = c.stream.DstPort, c.stream.SrcPort
			}
			delete(open, [2]gopacket.Flow{key[0].Reverse(), key[1].Reverse()})
			open[key] = c
			all = append(all, c)
		}
		if c.swapped {
			side = side.Opposite()
		}
		c.add(side, tcp, payload, ingest.TimestampOf(ci.Timestamp))
	}
	var list []Stream
	for _, c := range all {
		if c.flush(); len(c.stream.Segments) > 0 {
			list = append(list, c.stream)
		}
	}
	return list
}

// connection puts the segments of one connection in order.
type connection struct {
	stream  Stream
	swapped bool // the first packet was the responder's
	over    bool // a FIN or RST has come
	next    [2]uint32
	begun   [2]bool
	early   [2][]earlySegment
}

type earlySegment struct {
	seq uint32
	Segment
}

func (c *connection) add(side flow.Side, tcp *layers.TCP, payload []byte, at ingest.Timestamp) {
	seq := tcp.Seq
	if tcp.SYN {
		seq++
	}
	if !c.begun[side] {
		c.begun[side], c.next[side] = true, seq
	}
	c.over = c.over || tcp.FIN || tcp.RST
	if len(payload) == 0 && !tcp.FIN && !tcp.RST {
		return
	}
	e := earlySegment{seq, Segment{Time: at, Side: side, Data: slices.Clone(payload), Fin: tcp.FIN, Rst: tcp.RST}}
	if tcp.RST {
		e.seq, e.Data = c.next[side], nil
	}
	c.early[side] = append(c.early[side], e)
	for c.take(side, at) {
	}
}

// take moves one segment that is next to the stream.
func (c *connection) take(side flow.Side, at ingest.Timestamp) bool {
	for i, e := range c.early[side] {
		behind := int32(c.next[side] - e.seq)
		if behind < 0 {
			continue
		}
		c.early[side] = slices.Delete(c.early[side], i, i+1)
		if e.Fin && int(behind) > len(e.Data) {
			return true // the FIN again
		}
		e.Data = e.Data[min(int(behind), len(e.Data)):]
		c.next[side] += uint32(len(e.Data))
		if e.Fin {
			c.next[side]++
		}
		e.Time = at
		if len(e.Data) > 0 || e.Fin || e.Rst {
			c.stream.Segments = append(c.stream.Segments, e.Segment)
		}
		return true
	}
	return false
}

// flush gives up what is missing.
func (c *connection) flush() {
	for _, side := range []flow.Side{flow.Initiator, flow.Responder} {
		for len(c.early[side]) > 0 {
			first := slices.MinFunc(c.early[side], func(a, b earlySegment) int { return int(int32(a.seq - b.seq)) })
			gap := int(first.seq - c.next[side])
			c.next[side] = first.seq
			at := first.Time
			if n := len(c.stream.Segments); n > 0 {
				at = max(at, c.stream.Segments[n-1].Time)
			}
			n := len(c.stream.Segments)
			for c.take(side, at) {
			}
			if n < len(c.stream.Segments) {
				c.stream.Segments[n].Gap = gap
			}
		}
	}
}

// decodeTCP returns addresses and ports, header and payload of a TCP segment.
func decodeTCP(frame []byte, link layers.LinkType) (key [2]gopacket.Flow, tcp *layers.TCP, payload []byte) {
	p := gopacket.NewPacket(frame, link, gopacket.DecodeOptions{NoCopy: true})
	for _, l := range p.Layers() {
		switch l := l.(type) {
		case *layers.IPv4:
			key[0] = l.NetworkFlow()
		case *layers.IPv6:
			key[0] = l.NetworkFlow()
		case *layers.TCP:
			key[1], tcp, payload = l.TransportFlow(), l, l.Payload
		}
	}
	return key, tcp, payload
}
