package session_test

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"net"
	"net/http/httptest"
	"runtime"
	"sync"
	"testing"
	"time"

	"flowscope/flow"
	"flowscope/ingest"
	"flowscope/parsers"
	"flowscope/session"
)

// counting is a sink that counts what there is of each kind.
type counting struct{ started, messages, closed int }

func (c *counting) HandleEvent(e *session.SessionEvent) {
	switch e.Type {
	case session.Started:
		c.started++
	case session.Application:
		c.messages++
	case session.Closed:
		c.closed++
	}
}
func (*counting) Tick(time.Time) {}
func (*counting) Close()         {}

// packetsOf makes IPv4 packets of what n flows say, one flow after the other. Those
// of a flow are from the client's port to the server's and back by turns.
type packetsOf struct {
	transport byte
	port      uint16
	header    int // of the transport
	says      []says
}

// says is one packet: payload, and the flags of TCP.
type says struct {
	back    bool
	flags   byte
	seq     uint32
	ack     uint32
	payload string
}

const (
	finFlag = 1
	synFlag = 2
	rstFlag = 4
	ackFlag = 16
)

func (p *packetsOf) make(flows int) (packets []ingest.Packet) {
	for i := range flows {
		client := []byte{10, 1, byte(i >> 8), byte(i)}
		server := []byte{10, 2, 0, 1}
		sport, dport := uint16(20000+i%40000), p.port
		for _, s := range p.says {
			b := make([]byte, 20+p.header+len(s.payload))
			b[0], b[8], b[9] = 0x45, 64, p.transport
			binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
			copy(b[12:], client)
			copy(b[16:], server)
			from, to := sport, dport
			if s.back {
				copy(b[12:], server)
				copy(b[16:], client)
				from, to = to, from
			}
			binary.BigEndian.PutUint16(b[20:], from)
			binary.BigEndian.PutUint16(b[22:], to)
			if p.transport == 17 {
				binary.BigEndian.PutUint16(b[24:], uint16(8+len(s.payload)))
			} else {
				binary.BigEndian.PutUint32(b[24:], s.seq)
				binary.BigEndian.PutUint32(b[28:], s.ack)
				b[32], b[33] = 5<<4, s.flags
				binary.BigEndian.PutUint16(b[34:], 65535)
			}
			copy(b[20+p.header:], s.payload)
			packets = append(packets, ingest.Packet{Data: b, Length: len(b), Interface: raw})
		}
	}
	return packets
}

// conversation is a whole TCP connection in which the sides say something by
// turns, the client first.
func conversation(port uint16, turns ...string) *packetsOf {
	next := [2]uint32{1000, 5000}
	p := &packetsOf{transport: 6, port: port, header: 20}
	say := func(side int, flags byte, payload string) {
		s := says{back: side == 1, flags: flags, seq: next[side], ack: next[1-side], payload: payload}
		next[side] += uint32(len(payload))
		if flags&(synFlag|finFlag) != 0 {
			next[side]++
		}
		p.says = append(p.says, s)
	}
	say(0, synFlag, "")
	say(1, synFlag|ackFlag, "")
	for i, turn := range turns {
		say(i%2, ackFlag, turn)
	}
	say(0, ackFlag|finFlag, "")
	say(1, ackFlag|finFlag, "")
	say(0, ackFlag, "")
	return p
}

// rounds is how often the flows of a test come again, at most: the runtime
// allocates now and then for itself, and one round in which nothing does will do.
const rounds = 20

// fewestAllocations passes the flows through a table and a driver again and again,
// until they have ended each time, and returns how much the round allocated that
// allocated least. The first one fills the pools and does not count.
func fewestAllocations(t *testing.T, protocol string, flows, messages int, packets []ingest.Packet) uint64 {
	t.Helper()
	all := registryOf(t, parsers.All()...)
	events := &counting{}
	driver, err := session.NewDriver(session.DefaultConfig(), all, session.Identity{Sensor: "s", Run: "r"}, events)
	if err != nil {
		t.Fatal(err)
	}
	table, err := flow.NewTable(flow.DefaultConfig(), "s", driver)
	if err != nil {
		t.Fatal(err)
	}
	now, fewest := start, ^uint64(0)
	round := func() {
		for i := range packets {
			now = now.Add(time.Microsecond)
			packets[i].Time, packets[i].Clock = now, now
		}
		for batch := packets; len(batch) > 0; batch = batch[min(64, len(batch)):] {
			table.HandlePackets(batch[:min(64, len(batch))])
		}
		now = now.Add(2 * time.Minute)
		table.Tick(now)
	}
	round()
	var before, after runtime.MemStats
	for i := 1; i < rounds && fewest > 0; i++ {
		*events = counting{}
		runtime.ReadMemStats(&before)
		round()
		runtime.ReadMemStats(&after)
		fewest = min(fewest, after.Mallocs-before.Mallocs)
		if want := (counting{flows, messages, flows}); *events != want {
			t.Fatalf("events %+v, want %+v", *events, want)
		}
	}
	for _, c := range driver.Stats().Protocols {
		if (c.Name == protocol) != (c.Flows > 0) || c.Errors > 0 {
			t.Errorf("%d flows of %s, %d errors", c.Flows, c.Name, c.Errors)
		}
	}
	return fewest
}

// handshake returns what client and server say by turns in a TLS handshake.
func handshake(t *testing.T, version uint16) (turns []string) {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	server.StartTLS()
	defer server.Close()
	a, b := net.Pipe()
	var mu sync.Mutex
	say := func(side int, data []byte) {
		mu.Lock()
		defer mu.Unlock()
		if len(turns)%2 == side {
			turns = append(turns, "")
		}
		turns[len(turns)-1] += string(data)
	}
	client := &tls.Config{InsecureSkipVerify: true, ServerName: "example.com", MinVersion: version, MaxVersion: version}
	done := make(chan error, 1)
	go func() {
		done <- tls.Server(recorded{b, func(d []byte) { say(1, d) }}, &tls.Config{Certificates: server.TLS.Certificates}).Handshake()
	}()
	c := tls.Client(recorded{a, func(d []byte) { say(0, d) }}, client)
	if err := errors.Join(c.Handshake(), <-done); err != nil {
		t.Fatal(err)
	}
	return turns
}

// recorded is a connection whose writes are told of.
type recorded struct {
	net.Conn
	wrote func([]byte)
}

func (r recorded) Write(b []byte) (int, error) {
	r.wrote(b)
	return r.Conn.Write(b)
}

const (
	dnsHeader   = "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
	dnsQuestion = "\x07example\x03com\x00\x00\x01\x00\x01"
	dnsAnswer   = "\x12\x34\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00" + dnsQuestion + "\xc0\x0c\x00\x01\x00\x01\x00\x00\x0e\x10\x00\x04\xc0\x00\x02\x01"
	httpRequest = "GET / HTTP/1.1\r\nHost: example.com\r\nUser-Agent: curl/8\r\n\r\n"
	httpAnswer  = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
)

// TestNewFlowsOfProtocols wants new flows to take everything from pools: with the
// parsers that are built in, once as many flows have been there before.
func TestNewFlowsOfProtocols(t *testing.T) {
	if raceEnabled {
		t.Skip("allocations are not counted under the race detector")
	}
	dns := &packetsOf{17, 53, 8, []says{{payload: dnsHeader + dnsQuestion}, {back: true, payload: dnsAnswer}}}
	tests := []struct {
		name, protocol  string
		flows, messages int // messages of each flow
		packets         *packetsOf
	}{
		{"dns", "dns", 10000, 2, dns},
		{"http", "http", 1000, 2, conversation(80, httpRequest, httpAnswer)},
		{"tls 1.2", "tls", 1000, 4, conversation(443, handshake(t, tls.VersionTLS12)...)},
		{"tls 1.3", "tls", 1000, 3, conversation(443, handshake(t, tls.VersionTLS13)...)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if n := fewestAllocations(t, tt.protocol, tt.flows, tt.flows*tt.messages, tt.packets.make(tt.flows)); n != 0 {
				t.Errorf("%d new flows: %d allocations", tt.flows, n)
			}
		})
	}
}
