package flow

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"flowscope/ingest"
)

// diary notes the events of each flow, by its id, and the flow's weight.
type diary struct {
	flows   map[ID][]string
	weights map[ID]int
}

func (d *diary) HandleEvent(e *Event) {
	if e.Flow == nil {
		return
	}
	if d.flows == nil {
		d.flows, d.weights = map[ID][]string{}, map[ID]int{}
	}
	id := e.Flow.ID()
	line := fmt.Sprintf("%v %v %v %v %d %x", e.Kind, e.Side, e.Time, e.Reason, e.Length, e.Data)
	if e.Kind == Gap {
		line += e.Gap.String()
	}
	d.flows[id] = append(d.flows[id], line)
	d.weights[id] = e.Flow.Weight()
}
func (d *diary) Tick(ingest.Timestamp) {}
func (d *diary) Close()                {}

// followed runs a capture at a level of shedding.
func followed(t *testing.T, path string, level uint32) (*diary, Counters) {
	t.Helper()
	d := &diary{}
	table, err := NewTable(DefaultConfig(), "sensor", d)
	if err != nil {
		t.Fatal(err)
	}
	table.Shed(level)
	packets := uint64(0)
	var clock ingest.Timestamp
	eachPacket(t, path, func(p ingest.Packet) {
		packets++
		clock = max(clock, p.Time)
		p.Clock = clock
		table.HandlePackets([]ingest.Packet{p})
	})
	table.Close(nil)
	balance(t, table.Stats(), packets)
	return d, table.Stats()
}

// TestShedCorpus reads real captures at each level. What is followed has the same
// ids and the same events as without shedding, in another table whose own hash has
// another seed; and what is followed at one level is followed at those below.
func TestShedCorpus(t *testing.T) {
	for _, path := range corpusFiles(t) {
		whole, counts := followed(t, path, 0)
		below := whole
		if counts.Packets[ShedPacket]+counts.FlowsShed > 0 {
			t.Errorf("%s: shed without being asked", filepath.Base(path))
		}
		for level := uint32(1); level <= MaxShedding; level++ {
			d, counts := followed(t, path, level)
			for id, events := range d.flows {
				if diff := cmp.Diff(whole.flows[id], events); diff != "" {
					t.Fatalf("%s: level %d: flow %v (-whole +followed):\n%s", filepath.Base(path), level, id, diff)
				}
				if _, ok := below.flows[id]; !ok {
					t.Errorf("%s: level %d: flow %v is not followed at the level below", filepath.Base(path), level, id)
				}
				if d.weights[id] != 1<<level {
					t.Errorf("%s: level %d: weight %d", filepath.Base(path), level, d.weights[id])
				}
			}
			if len(d.flows) < len(whole.flows) && counts.Packets[ShedPacket] == 0 {
				t.Errorf("%s: level %d: %d of %d flows and no packet shed", filepath.Base(path), level, len(d.flows), len(whole.flows))
			}
			below = d
		}
	}
}

// census adds up the weights of different five-tuples.
type census map[Key]int

func (c census) HandleEvent(e *Event) {
	if e.Kind == Opened {
		k := e.Flow.key
		k.Scope = 0
		c[k] = e.Flow.Weight()
	}
}
func (c census) Tick(ingest.Timestamp) {}
func (c census) Close()                {}

// TestShedEstimate says of real captures that at each level the weights add up to
// about as many flows as there are: within four standard deviations of a choice by
// lot.
func TestShedEstimate(t *testing.T) {
	files := corpusFiles(t)
	if len(files) == 0 {
		t.Skip("no captures (FLOWSCOPE_CORPUS)")
	}
	load, err := filepath.Glob(filepath.Join(filepath.Dir(files[0]), "..", "..", "load", "*cap"))
	if err != nil || len(load) == 0 {
		t.Fatalf("no captures to load with: %v", err)
	}
	var flows [MaxShedding + 1]census
	var tables [MaxShedding + 1]*Table
	for level := range tables {
		flows[level] = census{}
		if tables[level], err = NewTable(DefaultConfig(), "sensor", flows[level]); err != nil {
			t.Fatal(err)
		}
		tables[level].Shed(uint32(level))
	}
	for _, path := range append(files, load...) {
		eachPacket(t, path, func(p ingest.Packet) {
			p.Clock = p.Time
			for _, table := range tables {
				table.HandlePackets([]ingest.Packet{p})
			}
		})
	}
	n := float64(len(flows[0]))
	for level, followed := range flows {
		sum := 0
		for _, weight := range followed {
			sum += weight
		}
		bound := 4 * math.Sqrt(n*float64(int(1)<<level-1))
		t.Logf("level %d: %d followed, weights add up to %d of %v, bound %.0f", level, len(followed), sum, n, bound)
		if math.Abs(float64(sum)-n) > bound {
			t.Errorf("level %d: weights add up to %d, want %v give or take %.0f", level, sum, n, bound)
		}
	}
}

// TestSampleIsPublished computes what chooses flows once more, with numbers of any
// size, from the key's parts.
func TestSampleIsPublished(t *testing.T) {
	seeds := [4]uint64{0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9, 0x94d049bb133111eb, 0xbb67ae8584caa73b}
	mix := func(a, b uint64) uint64 {
		product := new(big.Int).Mul(new(big.Int).SetUint64(a), new(big.Int).SetUint64(b))
		low := new(big.Int).And(product, new(big.Int).SetUint64(math.MaxUint64))
		return low.Uint64() ^ product.Rsh(product, 64).Uint64()
	}
	for _, frame := range [][]byte{
		udpFrame(t, "192.0.2.7", 40000, "198.51.100.9", 53, ""),
		tcpFrame(t, "198.51.100.9", 443, "192.0.2.7", 1024, "S", 1, ""),
	} {
		d := decodeFrame(ethernetInterface, frame)
		src, dst := binary.LittleEndian.Uint32(frame[26:]), binary.LittleEndian.Uint32(frame[30:])
		sport, dport := uint64(d.srcPort), uint64(d.dstPort)
		if binary.BigEndian.Uint32(frame[26:]) > binary.BigEndian.Uint32(frame[30:]) {
			src, dst, sport, dport = dst, src, dport, sport
		}
		addresses := mix(uint64(src)^seeds[0], uint64(dst)^seeds[1])
		rest := mix((sport<<48|dport<<32|uint64(frame[23])<<8)^seeds[2], seeds[3])
		if got, want := d.key.sample(), mix(addresses^seeds[3], rest^seeds[0]); got != want {
			t.Errorf("%x, want %x", got, want)
		}
	}
}

// TestSampleIsOfTheTuple says that direction, VLANs and tunnels change nothing.
func TestSampleIsOfTheTuple(t *testing.T) {
	there, back := innerPacket(t, false), innerPacket(t, true)
	outer := ip4("192.0.2.1", "192.0.2.2", layers.IPProtocolGRE)
	tagged := func(vlan uint16, inner []byte) []byte {
		return serialize(t, etherHeader(layers.EthernetTypeDot1Q), &layers.Dot1Q{VLANIdentifier: vlan, Type: layers.EthernetTypeIPv4}, gopacket.Payload(inner))
	}
	plain := func(inner []byte) []byte {
		return serialize(t, etherHeader(layers.EthernetTypeIPv4), gopacket.Payload(inner))
	}
	gre := func(inner []byte) []byte {
		return serialize(t, etherHeader(layers.EthernetTypeIPv4), outer, &layers.GRE{Protocol: layers.EthernetTypeIPv4}, gopacket.Payload(inner))
	}
	first := decodeFrame(ethernetInterface, plain(there))
	for name, frame := range map[string][]byte{
		"back": plain(back), "VLAN": tagged(7, there), "other VLAN back": tagged(8, back), "tunnel": gre(there), "tunnel back": gre(back),
	} {
		d := decodeFrame(ethernetInterface, frame)
		if d.outcome != Handled || d.key.sample() != first.key.sample() {
			t.Errorf("%s: %v, another sample", name, d.outcome)
		}
	}
	other := decodeFrame(ethernetInterface, udpFrame(t, "10.0.0.1", 1112, "10.0.0.2", 2222, ""))
	if other.key.sample() == first.key.sample() {
		t.Error("another port, the same sample")
	}
}

// shedPort is a port from which a flow is followed at every level, or at none.
func shedPort(t *testing.T, frame func(port uint16) []byte, kept bool) uint16 {
	t.Helper()
	for port := uint16(1000); port < 60000; port++ {
		d := decodeFrame(ethernetInterface, frame(port))
		if top := d.key.sample() >> (64 - MaxShedding); kept && top == 0 || !kept && top>>(MaxShedding-1) == 1 {
			return port
		}
	}
	t.Fatal("no such port")
	return 0
}

// TestShedLevels changes the level between packets: flows that have begun go on
// with the weight that they began with.
func TestShedLevels(t *testing.T) {
	udp := func(port uint16) []byte { return udpFrame(t, "10.0.0.1", port, "10.0.0.2", 2, "x") }
	tcp := func(port uint16) []byte { return tcpFrame(t, "10.0.0.1", port, "10.0.0.2", 2, "S", 5, "") }
	syn, data := tcp(shedPort(t, tcp, false)), tcpFrame(t, "10.0.0.2", 2, "10.0.0.1", shedPort(t, tcp, false), "A", 6, "y")
	never, always := udp(shedPort(t, udp, false)), udp(shedPort(t, udp, true))
	d := &diary{}
	table, err := NewTable(DefaultConfig(), "sensor", d)
	if err != nil {
		t.Fatal(err)
	}
	f := &feed{t: t, table: table}
	f.packet(second(0), never)
	table.Shed(3)
	f.packet(second(1), never) // has begun
	f.packet(second(2), syn)
	f.packet(second(3), syn) // sent again
	f.packet(second(4), data)
	f.packet(second(5), always)
	f.packet(second(100), never) // silent for too long: another flow, which is shed
	f.packet(second(101), never)
	table.Shed(1 << 20)
	f.packet(second(102), always) // likewise, and followed
	if c := table.Stats(); c.Packets[ShedPacket] != 5 || c.FlowsShed != 2 || c.FlowsStarted != 3 || c.PayloadSeen != 4 {
		t.Errorf("%+v", c)
	}
	table.Shed(0)
	f.packet(second(103), data) // picked up in its middle
	f.close()
	var weights []int
	for _, w := range d.weights {
		weights = append(weights, w)
	}
	slices.Sort(weights)
	if diff := cmp.Diff([]int{1, 1, 8, 256}, weights); diff != "" {
		t.Error(diff)
	}
}

// TestShedFragments counts all the frames of a datagram that is shed.
func TestShedFragments(t *testing.T) {
	whole := udpDatagram(100)
	f := newFeed(t, DefaultConfig())
	f.table.Shed(MaxShedding)
	raw := linkInterface(linkRaw)
	f.packetOf(raw, second(0), ipFragment(0, 0, true, whole[:64]))
	f.packetOf(raw, second(1), ipFragment(0, 64, false, whole[64:]))
	f.close()
	if c := f.table.Stats(); c.Packets[ShedPacket] != 2 || c.FlowsShed != 1 || len(f.log.events) > 0 {
		t.Errorf("%+v", c)
	}
}

func TestSheddingAllocatesNothing(t *testing.T) {
	table, err := NewTable(DefaultConfig(), "test", silent{})
	if err != nil {
		t.Fatal(err)
	}
	table.Shed(MaxShedding)
	packets := udpFlows(t, 4096)
	table.HandlePackets(packets)
	if n := testing.AllocsPerRun(10, func() { table.HandlePackets(packets) }); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func BenchmarkShed(b *testing.B) {
	const n = 1 << 16
	table, err := NewTable(DefaultConfig(), "bench", silent{})
	if err != nil {
		b.Fatal(err)
	}
	table.Shed(MaxShedding)
	packets := udpFlows(b, n)
	table.HandlePackets(packets)
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; {
		from := i % n
		batch := packets[from:min(from+64, n, from+b.N-i)]
		table.HandlePackets(batch)
		i += len(batch)
	}
}
