package flow

import (
	"net"
	"testing"

	"flowscope/ingest"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

var ethernetInterface = &ingest.Interface{Name: "test0", LinkType: linkEthernet}

// second is the start of test time plus n seconds.
func second(n float64) ingest.Timestamp {
	return ingest.Timestamp(1_700_000_000_000_000_000 + int64(n*1e9))
}

func serialize(t testing.TB, list ...gopacket.SerializableLayer) []byte {
	t.Helper()
	buf := gopacket.NewSerializeBuffer()
	opts := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(buf, opts, list...); err != nil {
		t.Fatal(err)
	}
	return append([]byte(nil), buf.Bytes()...)
}

func etherHeader(typ layers.EthernetType) *layers.Ethernet {
	return &layers.Ethernet{SrcMAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, DstMAC: net.HardwareAddr{2, 0, 0, 0, 0, 2}, EthernetType: typ}
}

func ip4(src, dst string, proto layers.IPProtocol) *layers.IPv4 {
	return &layers.IPv4{Version: 4, TTL: 64, Protocol: proto, SrcIP: net.ParseIP(src).To4(), DstIP: net.ParseIP(dst).To4()}
}

func ip6(src, dst string, next layers.IPProtocol) *layers.IPv6 {
	return &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: next, SrcIP: net.ParseIP(src), DstIP: net.ParseIP(dst)}
}

func udpHeader(ip gopacket.NetworkLayer, src, dst uint16) *layers.UDP {
	u := &layers.UDP{SrcPort: layers.UDPPort(src), DstPort: layers.UDPPort(dst)}
	if err := u.SetNetworkLayerForChecksum(ip); err != nil {
		panic(err)
	}
	return u
}

// udpFrame is an Ethernet frame with a UDP datagram.
func udpFrame(t testing.TB, src string, sport uint16, dst string, dport uint16, payload string) []byte {
	ip := ip4(src, dst, layers.IPProtocolUDP)
	return serialize(t, etherHeader(layers.EthernetTypeIPv4), ip, udpHeader(ip, sport, dport), gopacket.Payload(payload))
}

// tcpFrame is an Ethernet frame with a TCP segment; flags are letters of SAFRP.
func tcpFrame(t testing.TB, src string, sport uint16, dst string, dport uint16, flags string, seq uint32, payload string) []byte {
	ip := ip4(src, dst, layers.IPProtocolTCP)
	tcp := &layers.TCP{SrcPort: layers.TCPPort(sport), DstPort: layers.TCPPort(dport), Seq: seq, Window: 1000}
	for _, f := range flags {
		switch f {
		case 'S':
			tcp.SYN = true
		case 'A':
			tcp.ACK = true
		case 'F':
			tcp.FIN = true
		case 'R':
			tcp.RST = true
		case 'P':
			tcp.PSH = true
		}
	}
	if err := tcp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	return serialize(t, etherHeader(layers.EthernetTypeIPv4), ip, tcp, gopacket.Payload(payload))
}

// feed stamps frames as the runner does and hands them to a table.
type feed struct {
	t      testing.TB
	table  *Table
	log    *recorder
	number uint64
	clock  ingest.Timestamp
}

// recorder notes events in readable form.
type recorder struct {
	events []recorded
	closed bool
	onData func(*Event)
}

type recorded struct {
	kind   EventKind
	side   Side
	reason Reason
	time   ingest.Timestamp
	data   string
	info   Info
	stats  Stats

	anomaly *AnomalyType
	tcp     TCPStats
}

func (r *recorder) HandleEvent(e *Event) {
	if e.Flow == nil {
		r.events = append(r.events, recorded{kind: e.Kind, time: e.Time, anomaly: e.Anomaly})
		return
	}
	rec := recorded{kind: e.Kind, side: e.Side, reason: e.Reason, time: e.Time, data: string(e.Data), stats: *e.Flow.Stats(), anomaly: e.Anomaly}
	e.Info(&rec.info)
	if tcp := e.TCP(); tcp != nil {
		rec.tcp = *tcp
	}
	r.events = append(r.events, rec)
	if e.Kind == Data && r.onData != nil {
		r.onData(e)
	}
}
func (r *recorder) Tick(ingest.Timestamp) {}
func (r *recorder) Close()                { r.closed = true }

func (r *recorder) of(kind EventKind) []recorded {
	var out []recorded
	for _, e := range r.events {
		if e.kind == kind {
			out = append(out, e)
		}
	}
	return out
}

func newFeed(t testing.TB, cfg Config) *feed {
	t.Helper()
	log := &recorder{}
	table, err := NewTable(cfg, "sensor", log)
	if err != nil {
		t.Fatal(err)
	}
	return &feed{t: t, table: table, log: log}
}

func (f *feed) packet(at ingest.Timestamp, frame []byte) {
	f.packetOf(ethernetInterface, at, frame)
}

func (f *feed) packetOf(i *ingest.Interface, at ingest.Timestamp, frame []byte) {
	f.number++
	f.clock = max(f.clock, at)
	data := append([]byte(nil), frame...)
	f.table.HandlePackets([]ingest.Packet{{Data: data, Length: len(data), Time: at, Clock: f.clock, Number: f.number, Interface: i}})
	for i := range data { // borrowed bytes are the caller's again
		data[i] = 0xee
	}
}

func (f *feed) close() {
	f.table.Close(nil)
	balance(f.t, f.table.Stats(), f.number)
}

// balance checks the equations of the counters.
func balance(t testing.TB, c Counters, packets uint64) {
	t.Helper()
	sum := uint64(0)
	for _, n := range c.Packets {
		sum += n
	}
	if sum != packets {
		t.Errorf("outcomes add up to %d, want %d packets", sum, packets)
	}
	ended := c.FlowsActive
	for _, n := range c.FlowsEnded {
		ended += n
	}
	if ended != c.FlowsStarted {
		t.Errorf("%d flows started, %d ended or active", c.FlowsStarted, ended)
	}
	if got := c.PayloadAccounted(); got != c.PayloadSeen {
		t.Errorf("payload seen %d, accounted for %d", c.PayloadSeen, got)
	}
}

func decodeFrame(i *ingest.Interface, frame []byte) decoded {
	c := decoder{seed: newSeed()}
	var d decoded
	c.decode(&ingest.Packet{Data: frame, Length: len(frame), Time: second(0), Interface: i}, &d)
	return d
}

func linkInterface(t ingest.LinkType) *ingest.Interface {
	return &ingest.Interface{Name: "test", LinkType: t}
}
