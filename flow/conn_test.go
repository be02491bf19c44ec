package flow

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// exchange feeds segments, one per line: seconds, > from the client or < from the
// server, flags, and optionally seq=, ack=, win=, len=, ws=. A client's numbers
// count from 1000, a server's from 5000.
func exchange(t *testing.T, f *feed, script string) {
	t.Helper()
	for line := range strings.Lines(script) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		at, err := strconv.ParseFloat(words[0], 64)
		if err != nil || len(words) < 3 {
			t.Fatalf("line %q", line)
		}
		src, dst, sport, dport, base, peer := "10.0.0.1", "10.0.0.2", layers.TCPPort(40000), layers.TCPPort(80), uint32(1000), uint32(5000)
		if words[1] == "<" {
			src, dst, sport, dport, base, peer = dst, src, dport, sport, peer, base
		}
		tcp := &layers.TCP{SrcPort: sport, DstPort: dport, Seq: base, Window: 1000}
		tcp.SYN, tcp.ACK = strings.Contains(words[2], "S"), strings.Contains(words[2], "A")
		tcp.FIN, tcp.RST = strings.Contains(words[2], "F"), strings.Contains(words[2], "R")
		length, bad := 0, false
		for _, w := range words[3:] {
			key, value, _ := strings.Cut(w, "=")
			n, _ := strconv.Atoi(value)
			switch key {
			case "seq":
				tcp.Seq = base + uint32(n)
			case "ack":
				tcp.Ack = peer + uint32(n)
			case "win":
				tcp.Window = uint16(n)
			case "len":
				length = n
			case "ws":
				tcp.Options = append(tcp.Options, layers.TCPOption{OptionType: 3, OptionLength: 3, OptionData: []byte{byte(n)}})
			case "bad":
				bad = true
			default:
				t.Fatalf("word %q", w)
			}
		}
		ip := ip4(src, dst, layers.IPProtocolTCP)
		if err := tcp.SetNetworkLayerForChecksum(ip); err != nil {
			t.Fatal(err)
		}
		frame := serialize(t, etherHeader(layers.EthernetTypeIPv4), ip, tcp, gopacket.Payload(strings.Repeat("x", length)))
		if bad {
			frame[14+20+16]++
		}
		f.packet(second(at), frame)
	}
}

// The letters and states are those that Zeek documents for its connection log
// (scripts/base/protocols/conn/main.zeek), the rules on RST those of RFC 9293.
func TestConnections(t *testing.T) {
	const handshake = `
		0.00 > S ws=7
		0.02 < SA ack=1 ws=7
		0.03 > A seq=1 ack=1 win=10
`
	for _, test := range []struct {
		name, script string
		want         string // per flow: history state reason anomalies
	}{
		{"a whole connection", handshake + `
			1 > A seq=1 ack=1 len=100
			2 < A seq=1 ack=101 len=50
			3 > FA seq=101 ack=51
			4 < FA seq=51 ack=102
			5 > A seq=102 ack=52`, "ShADdFf SF fin"},
		{"data before an acknowledgement", handshake + `
			1 < A seq=1 ack=1 len=5
			2 > A seq=1 ack=6
			3 > A seq=1 ack=6 len=5
			4 < A seq=6 ack=6`, "ShAdDa S1 end_of_input"},
		{"no answer", "0 > S\n1 > S", "S S0 end_of_input"},
		{"SYNs with other numbers", "0 > S\n1 > S seq=7\n2 > S seq=7", "SS S0 end_of_input"},
		{"rejected", "0 > S\n1 < RA ack=1 win=0", "Sr REJ rst"},
		{"a RST that acknowledges nothing", "0 > S\n1 < R", "Sr S0 end_of_input tcp_reset_of_syn"},
		{"a RST that acknowledges another SYN", "0 > S\n1 < RA ack=2\n2 < SA ack=1\n3 > A seq=1 ack=1", "SrhA S1 end_of_input tcp_reset_of_syn"},
		{"taken back", "0 > S\n1 > R seq=1", "SR RSTOS0 rst"},
		{"reset by the initiator", handshake + "1 > R seq=1", "ShAR RSTO rst"},
		{"reset by the responder", handshake + "1 > A seq=1 ack=1 len=9\n2 < R seq=1", "ShADr RSTR rst"},
		{"a RST at the end of the window", handshake + "1 < R seq=1280", "ShAr RSTR rst"},
		{"a RST beyond the window", handshake + "1 < R seq=1282", "ShAr S1 end_of_input tcp_reset_outside_window"},
		{"a RST before the window", handshake + "1 < A seq=1 ack=1 len=99\n2 > A seq=1 ack=100\n3 < R seq=1", "ShAdr S1 end_of_input tcp_reset_outside_window"},
		{
			"a RST beyond an unscaled window", "0 > S\n1 < SA ack=1 ws=7\n2 > A seq=1 ack=1 win=10\n3 < R seq=12",
			"ShAr S1 end_of_input tcp_reset_outside_window",
		},
		{"a RST after data in flight", handshake + "1 < A seq=1 ack=1 len=1400\n2 < R seq=1401", "ShAdr RSTR rst"},
		{"a RST in mid-stream", "0 > A seq=1 ack=1 len=9\n1 < R seq=1", "Dr RSTRH rst"},
		{"a RST alone", "0 > R", "R OTH rst"},
		{"SYN+ACK first", "0 < SA ack=1\n1 > A seq=1 ack=1", "^hA S1 end_of_input"},
		{"SYN+ACK, then RST", "0 < SA ack=1\n1 > R seq=1", "^hR RSTO rst"},
		{"SYN and FIN", "0 > S\n1 > F seq=1", "SF SH end_of_input"},
		{"SYN+ACK and FIN", "0 < SA ack=1\n1 < FA seq=1 ack=1", "^hf SHR end_of_input"},
		{"half closed by the initiator", handshake + "1 > FA seq=1 ack=1\n2 < A seq=1 ack=2", "ShAFa S2 end_of_input"},
		{"half closed by the responder", handshake + "1 < FA seq=1 ack=1\n2 > A seq=1 ack=2", "ShAf S3 end_of_input"},
		{"mid-stream", "0 > A seq=1 ack=1 len=9\n1 < A seq=1 ack=10", "Da OTH end_of_input"},
		{"mid-stream, closed by two FINs", "0 > A seq=1 ack=1 len=9\n1 < FA seq=1 ack=10\n2 > FA seq=10 ack=2", "DfF SF fin"},
		{"sent again", handshake + "1 > A seq=1 ack=1 len=9\n2 > A seq=1 ack=1 len=9", "ShADT S1 end_of_input"},
		{"sent again ten times", handshake + strings.Repeat("1 > A seq=1 ack=1 len=9\n", 11), "ShADTT S1 end_of_input"},
		{"zero windows", handshake + strings.Repeat("1 < A seq=1 ack=1 win=0\n", 9), "ShAaw S1 end_of_input"},
		{"zero windows, ten", handshake + strings.Repeat("1 < A seq=1 ack=1 win=0\n", 10), "ShAaww S1 end_of_input"},
		{"bad checksum", handshake + "1 < A seq=1 ack=1 len=5 bad", "ShAcd S1 end_of_input"},
		{"a gap", handshake + "1 > A seq=1 ack=1 len=9\n2 < A seq=1 ack=30\n3 > A seq=30 ack=1 len=9", "ShADaG S1 end_of_input"},
		{"out of order is no gap", handshake + "1 > A seq=10 ack=1 len=9\n2 > A seq=1 ack=1 len=9\n3 < A seq=1 ack=19", "ShADTa S1 end_of_input"},
		{"SYN and FIN at once", "0 > SF", "Q SH end_of_input tcp_flags"},
		{"FIN and RST at once", handshake + "1 > FR seq=1", "ShAI RSTO rst tcp_flags"},
		{"a SYN with another number", handshake + "1 > S seq=900", "ShAS S1 end_of_input tcp_syn_in_session"},
		{
			"used again", "0 > S\n1 < RA ack=1 win=0\n2 > S seq=77777\n3 < SA ack=77778 seq=9",
			"Sr REJ reused|Sh S1 end_of_input",
		},
		{"the same SYN again after a RST", "0 > S\n1 < RA ack=1 win=0\n2 > S", "Sr REJ rst"},
		{"used again after the tail", "0 > S\n1 < RA ack=1 win=0\n7 > S", "Sr REJ rst|S S0 end_of_input"},
		{"late segments in the tail", handshake + "1 > FA seq=1 ack=1\n1.1 < FA seq=1 ack=2\n1.2 > A seq=2 ack=2\n5 < A seq=2 ack=2", "ShAFfa SF fin"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFeed(t, DefaultConfig())
			exchange(t, f, test.script)
			f.close()
			var got []string
			anomalies := map[ID]string{}
			for _, e := range f.log.of(Anomalous) {
				anomalies[e.info.ID] += " " + e.anomaly.Name
			}
			for _, e := range f.log.of(Closed) {
				got = append(got, fmt.Sprintf("%v %v %v%s", &e.tcp.History, e.tcp.State, e.reason, anomalies[e.info.ID]))
			}
			if diff := cmp.Diff(test.want, strings.Join(got, "|")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestHandshakeRTT(t *testing.T) {
	for _, test := range []struct {
		name, script string
		want         [2]time.Duration // initiator, responder
	}{
		{"both", "0 > S\n0.020 < SA ack=1\n0.023 > A seq=1 ack=1\n1 > A seq=1 ack=1 len=1", [2]time.Duration{3 * time.Millisecond, 20 * time.Millisecond}},
		{"with data on the ACK", "0 > S\n0.020 < SA ack=1\n0.023 > A seq=1 ack=1 len=5", [2]time.Duration{3 * time.Millisecond, 20 * time.Millisecond}},
		{"the SYN twice", "0 > S\n1 > S\n1.020 < SA ack=1\n1.023 > A seq=1 ack=1", [2]time.Duration{}},
		{"the SYN+ACK twice", "0 > S\n0.020 < SA ack=1\n1 < SA ack=1\n1.023 > A seq=1 ack=1", [2]time.Duration{0, 20 * time.Millisecond}},
		{"rejected", "0 > S\n0.020 < RA ack=1", [2]time.Duration{}},
		{"mid-stream", "0 > A seq=1 ack=1\n0.020 < A seq=1 ack=1", [2]time.Duration{}},
		{"time runs backwards", "1 > S\n0.5 < SA ack=1\n0.7 > A seq=1 ack=1", [2]time.Duration{200 * time.Millisecond, 0}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFeed(t, DefaultConfig())
			exchange(t, f, test.script)
			f.close()
			got := f.log.of(Closed)[0].tcp.HandshakeRTT
			for i := range got {
				if d := got[i] - test.want[i]; d < -time.Microsecond || d > time.Microsecond {
					t.Errorf("%v: %v, want %v", Side(i), got[i], test.want[i])
				}
			}
		})
	}
}

// Histories that never end are cut off, and cost nothing more.
func TestHistoryIsBounded(t *testing.T) {
	f := newFeed(t, DefaultConfig())
	for i := range 1000 {
		f.packet(second(0), tcpFrame(t, "10.0.0.1", 1, "10.0.0.2", 2, "S", uint32(i), ""))
	}
	f.close()
	if h := f.log.of(Closed)[0].tcp.History.String(); h != strings.Repeat("S", maxHistory) {
		t.Errorf("history %q", h)
	}
}

func TestDatagramHistory(t *testing.T) {
	for _, test := range []struct {
		script, want string // < and > are datagrams, ! one with a bad checksum
	}{
		{">", "D S0"},
		{"><", "Dd SF"},
		{">>><<", "Dd SF"},
		{"!", "CD S0"},
		{">!!!!!!!!!!<", "DCCd SF"},
	} {
		f := newFeed(t, DefaultConfig())
		for i, c := range test.script {
			frame := udpFrame(t, "10.0.0.1", 1, "10.0.0.2", 2, "x")
			switch c {
			case '<':
				frame = udpFrame(t, "10.0.0.2", 2, "10.0.0.1", 1, "x")
			case '!':
				frame[14+20+6]++
			}
			f.packet(second(float64(i)), frame)
		}
		f.close()
		s := f.log.of(Closed)[0].stats
		if got := fmt.Sprintf("%s %v", s.History.Append(nil), s.ConnState(UDP)); got != test.want {
			t.Errorf("%s: %s, want %s", test.script, got, test.want)
		}
	}
}

// TestFollowAllocatesNothing holds the cost of the state machine's memory.
func TestFollowAllocatesNothing(t *testing.T) {
	var c conn
	c.begin(false)
	d := decoded{tcpFlags: tcpACK, window: 100}
	if n := testing.AllocsPerRun(100, func() { c.follow(&d, Initiator, true, second(0)) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkFollow(b *testing.B) {
	var c conn
	c.begin(false)
	syn := decoded{tcpFlags: tcpSYN, window: 100}
	c.follow(&syn, Initiator, true, second(0))
	syn.tcpFlags |= tcpACK
	c.follow(&syn, Responder, true, second(0))
	d := decoded{tcpFlags: tcpACK, window: 100, seq: 1, ack: 1, payloadLength: 1000}
	b.ReportAllocs()
	for b.Loop() {
		c.follow(&d, Initiator, true, second(0))
		d.seq += 1000
	}
}
