package integration

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"flowscope/flow"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	forked "github.com/gopacket/gopacket"
	forkedlayers "github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// traffic makes a capture of raw IP packets, one millisecond apart.
type traffic struct {
	tb   testing.TB
	file *os.File
	w    *pcapgo.Writer
	now  time.Time
}

func newTraffic(tb testing.TB) *traffic {
	tb.Helper()
	f, err := os.Create(filepath.Join(tb.TempDir(), "made.pcap"))
	if err != nil {
		tb.Fatal(err)
	}
	t := &traffic{tb: tb, file: f, w: pcapgo.NewWriterNanos(f), now: time.Unix(1_700_000_000, 0)}
	if err := t.w.WriteFileHeader(1<<16, forkedlayers.LinkType(101)); err != nil {
		tb.Fatal(err)
	}
	return t
}

// done returns the path of the capture.
func (t *traffic) done() string {
	if err := t.file.Close(); err != nil {
		t.tb.Fatal(err)
	}
	return t.file.Name()
}

// ends are the two ends of a flow, the initiator first.
type ends [2]netip.AddrPort

// between returns ends from 10.0.0.1 to 10.0.0.2.
func between(sport, dport uint16) ends {
	return ends{
		netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), sport),
		netip.AddrPortFrom(netip.MustParseAddr("10.0.0.2"), dport),
	}
}

// packet writes one packet of a side.
func (t *traffic) packet(e ends, side flow.Side, transport gopacket.SerializableLayer, proto layers.IPProtocol, payload []byte) {
	t.tb.Helper()
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: proto, SrcIP: e[side].Addr().AsSlice(), DstIP: e[side.Opposite()].Addr().AsSlice()}
	if l, ok := transport.(interface {
		SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
	}); ok {
		if err := l.SetNetworkLayerForChecksum(ip); err != nil {
			t.tb.Fatal(err)
		}
	}
	b := gopacket.NewSerializeBuffer()
	options := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(b, options, ip, transport, gopacket.Payload(payload)); err != nil {
		t.tb.Fatal(err)
	}
	n := len(b.Bytes())
	if err := t.w.WritePacket(forked.CaptureInfo{Timestamp: t.now, CaptureLength: n, Length: n}, b.Bytes()); err != nil {
		t.tb.Fatal(err)
	}
	t.now = t.now.Add(time.Millisecond)
}

// udp writes one datagram.
func (t *traffic) udp(e ends, side flow.Side, payload string) {
	t.packet(e, side, &layers.UDP{SrcPort: layers.UDPPort(e[side].Port()), DstPort: layers.UDPPort(e[side.Opposite()].Port())}, layers.IPProtocolUDP, []byte(payload))
}

// tcp is one connection.
type tcp struct {
	*traffic
	ends ends
	next [2]uint32
}

// connect writes a handshake.
func (t *traffic) connect(e ends) *tcp {
	c := &tcp{t, e, [2]uint32{1000, 5000}}
	c.segment(flow.Initiator, "", func(l *layers.TCP) { l.SYN, l.ACK = true, false })
	c.segment(flow.Responder, "", func(l *layers.TCP) { l.SYN = true })
	c.segment(flow.Initiator, "", nil)
	return c
}

func (c *tcp) segment(side flow.Side, payload string, change func(*layers.TCP)) {
	l := &layers.TCP{
		SrcPort: layers.TCPPort(c.ends[side].Port()), DstPort: layers.TCPPort(c.ends[side.Opposite()].Port()),
		Seq: c.next[side], Ack: c.next[side.Opposite()], ACK: true, PSH: payload != "", Window: 65535,
	}
	if change != nil {
		change(l)
	}
	c.packet(c.ends, side, l, layers.IPProtocolTCP, []byte(payload))
	c.next[side] += uint32(len(payload))
	if l.SYN || l.FIN {
		c.next[side]++
	}
}

// send writes data of a side in segments of at most n bytes.
func (c *tcp) send(side flow.Side, data string, n int) {
	for len(data) > n {
		c.segment(side, data[:n], nil)
		data = data[n:]
	}
	c.segment(side, data, nil)
}

// close ends both sides.
func (c *tcp) close() {
	fin := func(l *layers.TCP) { l.FIN = true }
	c.segment(flow.Initiator, "", fin)
	c.segment(flow.Responder, "", fin)
	c.segment(flow.Initiator, "", nil)
}
