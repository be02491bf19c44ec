package flow

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"flowscope/ingest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// A script is a connection in text: options, a section of packets, one of events,
// and one of counts. See testdata/stream/README.md.
type script struct {
	options map[string]string
	packets []ingest.Packet
	events  []string
	counts  []string
}

func readScript(t *testing.T, path string) *script {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s := &script{options: map[string]string{}}
	section := "options"
	for i, line := range strings.Split(string(text), "\n") {
		if at := strings.Index(line, "#"); at >= 0 {
			line = line[:at]
		}
		line = strings.TrimSpace(line)
		switch {
		case line == "":
		case strings.HasPrefix(line, "-- "):
			section = strings.Trim(line, "- ")
		case section == "options":
			key, value, _ := strings.Cut(line, " ")
			s.options[key] = strings.TrimSpace(value)
		case section == "packets":
			p, err := s.packet(t, line)
			if err != nil {
				t.Fatalf("%s:%d: %v", path, i+1, err)
			}
			s.packets = append(s.packets, p)
		case section == "events":
			s.events = append(s.events, strings.Join(strings.Fields(line), " "))
		case section == "counts":
			s.counts = append(s.counts, strings.Join(strings.Fields(line), " "))
		default:
			t.Fatalf("%s:%d: what is %q?", path, i+1, section)
		}
	}
	return s
}

// packet reads a line of the packets section.
func (s *script) packet(t testing.TB, line string) (p ingest.Packet, err error) {
	fields := strings.Fields(line)
	if len(fields) < 4 {
		return p, fmt.Errorf("want time, direction, flags, number …")
	}
	at, err := strconv.ParseFloat(fields[0], 64)
	if err != nil {
		return p, err
	}
	seg := tcpSegment{fromB: fields[1] == "<", flags: fields[2]}
	own, other := s.isn(">"), s.isn("<")
	if seg.fromB {
		own, other = other, own
	}
	cut := -1
	for i, f := range fields[3:] {
		n, err := strconv.ParseInt(f, 10, 64)
		switch {
		case i == 0:
			if err != nil {
				return p, err
			}
			seg.seq = own + uint32(n)
		case i == 1 && strings.Contains(seg.flags, "A") && err == nil:
			seg.ack = other + uint32(n)
		case strings.HasPrefix(f, "captured="):
			if cut, err = strconv.Atoi(f[len("captured="):]); err != nil {
				return p, err
			}
		default:
			if seg.payload, err = readData(f); err != nil {
				return p, err
			}
		}
	}
	p = seg.packet(t, second(at))
	if cut >= 0 {
		p.Data = p.Data[:54+cut]
	}
	return p, nil
}

func (s *script) isn(side string) uint32 {
	n, _ := strconv.ParseUint(s.options["isn"+side], 10, 32)
	return uint32(n)
}

// readData reads abc or, for many of the same, a*3.
func readData(f string) (string, error) {
	text, count, many := strings.Cut(f, "*")
	if !many {
		return f, nil
	}
	n, err := strconv.Atoi(count)
	return strings.Repeat(text, n), err
}

// showData is the reverse: long runs stand as a*1000, by themselves.
func showData(b []byte) string {
	var out strings.Builder
	for len(b) > 0 {
		run := len(b) - len(bytes.TrimLeft(b, string(b[:1])))
		if run > 8 {
			fmt.Fprintf(&out, " %s*%d ", b[:1], run)
		} else {
			out.Write(b[:run])
		}
		b = b[run:]
	}
	return strings.Join(strings.Fields(out.String()), " ")
}

// tcpSegment is one between 10.0.0.1:1 and 10.0.0.2:2.
type tcpSegment struct {
	fromB    bool
	flags    string
	seq, ack uint32
	payload  string
}

func (s *tcpSegment) packet(t testing.TB, at ingest.Timestamp) ingest.Packet {
	src, dst, sport, dport := "10.0.0.1", "10.0.0.2", uint16(1), uint16(2)
	if s.fromB {
		src, dst, sport, dport = dst, src, dport, sport
	}
	ip := ip4(src, dst, layers.IPProtocolTCP)
	tcp := &layers.TCP{
		SrcPort: layers.TCPPort(sport), DstPort: layers.TCPPort(dport), Seq: s.seq, Ack: s.ack, Window: 1000,
		SYN: strings.Contains(s.flags, "S"), ACK: strings.Contains(s.flags, "A"),
		FIN: strings.Contains(s.flags, "F"), RST: strings.Contains(s.flags, "R"),
		PSH: strings.Contains(s.flags, "P"), URG: strings.Contains(s.flags, "U"),
	}
	if err := tcp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	data := serialize(t, etherHeader(layers.EthernetTypeIPv4), ip, tcp, gopacket.Payload(s.payload))
	return ingest.Packet{Data: data, Length: len(data), Time: at, Interface: ethernetInterface}
}

// teller writes events as scripts do.
type teller struct {
	lines   []string
	options map[string]string
	sides   TCPStats
	stats   Stats

	head string // of a line of data that may go on
	data []byte
}

// end ends a line of data.
func (l *teller) end() {
	if l.head != "" {
		l.lines = append(l.lines, l.head+showData(l.data))
		l.head = ""
	}
}

func (l *teller) HandleEvent(e *Event) {
	line := fmt.Sprintf("%v %v", strconv.FormatFloat(e.Time.Sub(second(0)).Seconds(), 'f', -1, 64), e.Kind)
	side := " " + string("><"[e.Side])
	switch e.Kind {
	case Opened:
		if l.options["ignore"] == "both" {
			e.Flow.Ignore()
		}
		for s := range Side(2) {
			if l.options["ignore"] == string("><"[s]) {
				e.Flow.IgnoreSide(s)
			}
		}
	case Data: // what comes at once is one line, in whatever pieces it comes
		if line += side + " "; line != l.head {
			l.end()
			l.head, l.data = line, nil
		}
		l.data = append(l.data, e.Data...)
		if string(e.Data) == l.options["ignore_after"] {
			e.Flow.IgnoreSide(e.Side)
		}
		return
	case Gap:
		line += fmt.Sprintf("%s %d %v", side, e.Length, e.Gap)
	case Finished, Aborted:
		line += side
	case Anomalous:
		line += side + " " + e.Anomaly.Name
	case Closed:
		line += " " + e.Reason.String()
		l.sides, l.stats = *e.TCP(), *e.Flow.Stats()
	}
	l.end()
	l.lines = append(l.lines, line)
}
func (*teller) Tick(ingest.Timestamp) {}
func (*teller) Close()                {}

// counts writes all counters that are not zero.
func (l *teller) counts(c *Counters) []string {
	var lines []string
	for side, k := range l.sides.Sides {
		line := string("><"[side])
		for _, v := range []struct {
			name string
			n    uint64
		}{
			{"retransmitted", uint64(k.Retransmitted)},
			{"out_of_order", uint64(k.OutOfOrder)},
			{"overlap_conflicts", uint64(k.OverlapConflicts)},
			{"gaps", uint64(k.Gaps)},
			{"gap_bytes", k.GapBytes},
			{"acked_unseen_bytes", k.AckedUnseenBytes},
		} {
			if v.n > 0 {
				line += fmt.Sprintf(" %s=%d", v.name, v.n)
			}
		}
		if len(line) > 1 {
			lines = append(lines, line)
		}
	}
	line := fmt.Sprintf("bytes seen=%d", c.PayloadSeen)
	add := func(name string, n uint64) {
		if n > 0 {
			line += fmt.Sprintf(" %s=%d", name, n)
		}
	}
	add("up", c.PayloadUp)
	add("no_parser", c.PayloadNoParser)
	add("duplicate", c.PayloadDuplicate)
	add("truncated", c.PayloadTruncated)
	for d, n := range c.PayloadDiscarded {
		add(Discard(d).String(), n)
	}
	add("gaps", c.GapBytes)
	return append(lines, line)
}

func (s *script) config(t *testing.T) Config {
	cfg := DefaultConfig()
	r := &cfg.Reassembly
	for key, value := range s.options {
		n, _ := strconv.Atoi(value)
		switch key {
		case "policy":
			r.Policy = value
		case "history":
			r.History = n
		case "side_bytes":
			r.SideBytes = n
		case "total_bytes":
			r.TotalBytes = n
		case "isn>", "isn<", "ignore", "ignore_after":
		default:
			t.Fatalf("unknown option %q", key)
		}
	}
	return cfg
}

// run plays a script in batches of so many packets, with or without a tick
// between them for each millisecond that passes (up to ten).
func (s *script) run(t *testing.T, batch int, ticks bool) *teller {
	l := &teller{options: s.options}
	table, err := NewTable(s.config(t), "sensor", l)
	if err != nil {
		t.Fatal(err)
	}
	clock := ingest.Timestamp(0)
	packets := make([]ingest.Packet, len(s.packets))
	for i, p := range s.packets {
		clock = max(clock, p.Time)
		p.Data, p.Clock, p.Number = bytes.Clone(p.Data), clock, uint64(i+1)
		packets[i] = p
	}
	for i := 0; i < len(packets); i += batch {
		part := packets[i:min(i+batch, len(packets))]
		for n := 1; ticks && i > 0 && n < 10; n++ {
			if at := packets[i-1].Clock.Add(time.Duration(n) * time.Millisecond); at < part[0].Clock {
				table.Tick(at)
			}
		}
		table.HandlePackets(part)
		for _, p := range part {
			for j := range p.Data {
				p.Data[j] = 0xee
			}
		}
	}
	table.Close(nil)
	c := table.Stats()
	balance(t, c, uint64(len(packets)))
	if c.PayloadBuffered != 0 {
		t.Errorf("%d bytes are left", c.PayloadBuffered)
	}
	leftovers(t, table)
	l.lines = append(l.lines, l.counts(&c)...)
	return l
}

// leftovers checks that nothing is kept of flows that have ended.
func leftovers(t testing.TB, table *Table) {
	t.Helper()
	h := &table.holds
	if n := h.records.inUse() + h.chunks.inUse() + table.pages.inUse() + table.histories.records.inUse() + table.store.conns.inUse(); n != 0 || h.cost != 0 || table.histories.cost != 0 {
		t.Errorf("%d records and pages are left, counted as %d and %d bytes", n, h.cost, table.histories.cost)
	}
}

func TestStreamScripts(t *testing.T) {
	paths, err := filepath.Glob("testdata/stream/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			s := readScript(t, path)
			want := append(s.events, s.counts...)
			for _, how := range []struct {
				batch int
				ticks bool
			}{{1, false}, {1, true}, {3, false}, {1000, false}} {
				got := s.run(t, how.batch, how.ticks).lines
				if diff := cmp.Diff(want, got); diff != "" {
					t.Fatalf("batches of %d, ticks %v: -want +got:\n%s", how.batch, how.ticks, diff)
				}
			}
		})
	}
}
