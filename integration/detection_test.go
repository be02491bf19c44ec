package integration

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"flowscope/flow"
)

// minDetected is the share of the flows of a protocol that we have which are
// recorded as that protocol.
const minDetected = 0.99

// pair is a flow of a capture without its direction.
type pair struct {
	transport flow.Transport
	a, b      netip.AddrPort
}

func pairOf(transport flow.Transport, a, b netip.AddrPort) pair {
	if a.Compare(b) > 0 {
		a, b = b, a
	}
	return pair{transport, a, b}
}

// detectionReasons says why tshark's opinion of a flow is not ours, by capture,
// our protocol and tshark's.
var detectionReasons = map[string]string{
	"arkime/http-tcp-seq-issue.pcap: http, tshark none":  "the gap after the first segment keeps tshark from the rest",
	"arkime/smtp-starttls.pcap: flow, tshark tls":        "TLS begins inside of SMTP, which is not among our protocols",
	"arkime/http2-nghttp2.pcap: flow, tshark http":       "HTTP/2 from its first byte; tshark calls the preface HTTP",
	"pcapplusplus/http-packets2.pcap: http, tshark none": "the response to a request that was not captured",
	"tcpdump/dns-badlabel.pcap: flow, tshark dns":        "no DNS header: unassigned opcode, thousands of records in a short datagram; tshark goes by the port",
	"zeek/tls__tls13-ech.pcap: flow, tshark tls":         "the middle of a connection, records of application data alone",
}

// TestLongDetection compares the protocol of every flow with the one that
// tshark dissects most of it as.
func TestLongDetection(t *testing.T) {
	if os.Getenv("FLOWSCOPE_LONG") != "1" {
		t.Skip("it takes minutes; FLOWSCOPE_LONG=1 runs it")
	}
	if _, err := exec.LookPath("tshark"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("tshark is missing: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Minute)
	defer cancel()
	known := map[string]bool{}
	for _, name := range conformanceRegistry.Names() {
		known[name] = true
	}
	type count struct{ theirs, both, missed, alone int }
	table := map[string]*count{}
	row := func(protocol string) *count {
		if table[protocol] == nil {
			table[protocol] = &count{}
		}
		return table[protocol]
	}
	for _, name := range conformanceCaptures(t) {
		path := capturePath(t, name)
		theirs := tsharkProtocols(ctx, t, path, known)
		for _, f := range record(t, path, 1).flows {
			key := pairOf(f.info.Transport, f.info.Src, f.info.Dst)
			his, seen := theirs[key]
			sides := &f.stats.Sides
			if !seen || sides[0].PayloadBytes+sides[1].PayloadBytes == 0 {
				continue // without payload, or not to be found by its innermost addresses
			}
			switch {
			case his == f.protocol && known[his]:
				row(his).theirs++
				row(his).both++
			case his == f.protocol:
			default:
				key := fmt.Sprintf("%s: %s, tshark %s", name, f.protocol, orNone(his))
				if _, ok := detectionReasons[key]; ok {
					continue
				}
				if his != "" {
					row(his).theirs++
					row(his).missed++
				}
				if known[f.protocol] {
					row(f.protocol).alone++
				}
				if his != "" || known[f.protocol] {
					t.Logf("%s (%v %v %v)", key, f.info.Transport, f.info.Src, f.info.Dst)
				}
			}
		}
	}
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "protocol\ttshark\tboth\tmissed\tours alone\t")
	theirs, both := 0, 0
	for _, protocol := range slices.Sorted(maps.Keys(table)) {
		c := table[protocol]
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t\n", protocol, c.theirs, c.both, c.missed, c.alone)
		theirs, both = theirs+c.theirs, both+c.both
		if c.alone > 0 {
			t.Errorf("%s: %d flows are not what tshark says", protocol, c.alone)
		}
	}
	w.Flush()
	t.Logf("flows by protocol:\n%s", out.String())
	if theirs == 0 || float64(both) < minDetected*float64(theirs) {
		t.Errorf("%d of %d flows recorded as their protocol, want %v", both, theirs, minDetected)
	}
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// tsharkProtocols returns for each flow with payload which of the known protocols
// tshark finds most packets of, "" if none.
func tsharkProtocols(ctx context.Context, tb testing.TB, path string, known map[string]bool) map[pair]string {
	tb.Helper()
	fields := []string{
		"frame.protocols", "ip.src", "ip.dst", "ipv6.src", "ipv6.dst",
		"tcp.srcport", "tcp.dstport", "udp.srcport", "udp.dstport", "tcp.len", "udp.length",
	}
	args := []string{"-n", "-r", path, "-T", "fields", "-E", "occurrence=l"}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	out, err := exec.CommandContext(ctx, "tshark", args...).Output()
	if err != nil && len(out) == 0 {
		tb.Logf("tshark %s: %v", path, err)
	}
	counts := map[pair]map[string]int{}
	for line := range strings.Lines(string(out)) {
		v := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(v) != len(fields) {
			continue
		}
		layers := strings.Split(v[0], ":")
		last := func(a, b string) int {
			for i := len(layers) - 1; i >= 0; i-- {
				if layers[i] == a || layers[i] == b {
					return i
				}
			}
			return -1
		}
		l4 := last("tcp", "udp")
		if l4 < 0 || last("icmp", "icmpv6") > 0 {
			continue
		}
		src, dst := v[1], v[2]
		if last("ipv6", "ipv6") > last("ip", "ip") {
			src, dst = v[3], v[4]
		}
		transport, sport, dport, empty := flow.TCP, v[5], v[6], v[9] == "0"
		if layers[l4] == "udp" {
			transport, sport, dport, empty = flow.UDP, v[7], v[8], v[10] == "8"
		}
		if empty {
			continue
		}
		a, err1 := sharkEndpoint(src, sport)
		b, err2 := sharkEndpoint(dst, dport)
		if err1 != nil || err2 != nil {
			continue
		}
		key := pairOf(transport, a, b)
		if counts[key] == nil {
			counts[key] = map[string]int{}
		}
		// What lies inside of another protocol is not the flow's own.
		if l4+1 < len(layers) && known[layers[l4+1]] {
			counts[key][layers[l4+1]]++
		}
	}
	best := map[pair]string{}
	for key, c := range counts {
		best[key] = ""
		for _, name := range slices.Sorted(maps.Keys(c)) {
			if best[key] == "" || c[name] > c[best[key]] {
				best[key] = name
			}
		}
	}
	return best
}

func sharkEndpoint(addr, port string) (netip.AddrPort, error) {
	a, err := netip.ParseAddr(addr)
	if err != nil {
		return netip.AddrPort{}, err
	}
	p, err := strconv.ParseUint(port, 10, 16)
	return netip.AddrPortFrom(a, uint16(p)), err
}
