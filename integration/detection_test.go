package integration

import (
	"context"
	"errors"
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

	"github.com/google/go-cmp/cmp"

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
	"arkime/http-tcp-seq-issue.pcap: http, tshark none":                 "the gap after the first segment keeps tshark from the rest",
	"arkime/http2-nghttp2.pcap: flow, tshark http":                      "HTTP/2 from its first byte; tshark calls the preface HTTP",
	"arkime/smtp-starttls.pcap: flow, tshark tls":                       "TLS begins inside of SMTP, which is not among our protocols",
	"arkime/snmpv3_synthetic.pcap: flow, tshark snmp":                   "the version is 2, that of RFC 1910, which is historic and formed otherwise; tshark goes by the port",
	"arkime/socks5-http-302-frag.pcap: flow, tshark http":               "HTTP begins inside of SOCKS, which is not among our protocols; tshark sees it in one packet",
	"pcapplusplus/http-packets2.pcap: http, tshark none":                "the response to a request that was not captured",
	"suricata-verify/bug-3286-02-linux-evasion.pcap: flow, tshark http": "what follows a reset that acknowledges the SYN is of no connection (RFC 9293 section 3.10.7.3)",
	"tcpdump/dns-badlabel.pcap: flow, tshark dns":                       "no DNS header: unassigned opcode, thousands of records in a short datagram; tshark goes by the port",
	"zeek/tcp-syslog.pcap: syslog, tshark none":                         "framed by octet counts and by line ends (RFC 6587); tshark looks for syslog in UDP alone",
	"zeek/tls__tls13-ech.pcap: flow, tshark tls":                        "the middle of a connection, records of application data alone",
}

// detectionFile holds what tshark calls the flows of the conformance captures,
// recorded so that it need not run for minutes each time.
const detectionFile = "testdata/detection.tsv"

// TestDetection compares the protocol of every flow of the conformance captures
// with the one that tshark has dissected most of it as.
func TestDetection(t *testing.T) {
	captures := conformanceCaptures(t)
	compareDetection(t, captures, recordedOpinions(t))
}

// TestLongDetection asks tshark anew, and wants it to be of the recorded opinion.
// With -update it records that.
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
	captures := conformanceCaptures(t)
	theirs := map[string]opinions{}
	for _, name := range captures {
		if o := tsharkProtocols(ctx, t, capturePath(t, name), knownProtocols()); len(o) > 0 {
			theirs[name] = o
		}
	}
	if *updateDocs {
		if err := os.WriteFile(detectionFile, formatOpinions(theirs), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(string(formatOpinions(recordedOpinions(t))), string(formatOpinions(theirs))); diff != "" {
		t.Errorf("tshark says otherwise than %s:\n%s", detectionFile, diff)
	}
	compareDetection(t, captures, theirs)
}

// opinions are what tshark calls the flows of a capture: one of our protocols, or
// "" for anything else.
type opinions map[pair]string

func knownProtocols() map[string]bool {
	known := map[string]bool{}
	for _, name := range conformanceRegistry.Names() {
		known[name] = true
	}
	return known
}

// formatOpinions makes a line of each: capture, transport, both ends, protocol.
func formatOpinions(all map[string]opinions) []byte {
	var lines []string
	for name, o := range all {
		for key, protocol := range o {
			lines = append(lines, fmt.Sprintf("%s\t%v\t%v\t%v\t%s\n", name, key.transport, key.a, key.b, orNone(protocol)))
		}
	}
	slices.Sort(lines)
	return []byte(strings.Join(lines, ""))
}

// recordedOpinions reads what formatOpinions has written.
func recordedOpinions(tb testing.TB) map[string]opinions {
	tb.Helper()
	text, err := os.ReadFile(detectionFile)
	if err != nil {
		tb.Fatal(err)
	}
	all := map[string]opinions{}
	for line := range strings.Lines(string(text)) {
		v := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(v) != 5 {
			tb.Fatalf("%s: %q", detectionFile, line)
		}
		a, err1 := netip.ParseAddrPort(v[2])
		b, err2 := netip.ParseAddrPort(v[3])
		if err := errors.Join(err1, err2); err != nil {
			tb.Fatalf("%s: %v", detectionFile, err)
		}
		transport := flow.TCP
		if v[1] == flow.UDP.String() {
			transport = flow.UDP
		}
		if all[v[0]] == nil {
			all[v[0]] = opinions{}
		}
		all[v[0]][pairOf(transport, a, b)] = strings.TrimPrefix(v[4], "none")
	}
	return all
}

// detected counts the flows of one protocol: those that are it to tshark, of these
// those that we say so of and those that we do not; and those that are it to us
// alone.
type detected struct{ theirs, both, missed, alone int }

// compareDetection prints a table of all flows, and wants those of tshark to be
// ours and no others.
func compareDetection(t *testing.T, captures []string, theirs map[string]opinions) {
	t.Helper()
	known := knownProtocols()
	table := map[string]*detected{}
	row := func(protocol string) *detected {
		if table[protocol] == nil {
			table[protocol] = &detected{}
		}
		return table[protocol]
	}
	explained := map[string]bool{}
	for _, name := range captures {
		for _, f := range record(t, capturePath(t, name), 1).flows {
			his, seen := theirs[name][pairOf(f.info.Transport, f.info.Src, f.info.Dst)]
			sides := &f.stats.Sides
			if !seen || sides[0].PayloadBytes+sides[1].PayloadBytes == 0 {
				continue // without payload, or not to be found by its innermost addresses
			}
			if his == f.protocol {
				row(his).theirs++
				row(his).both++
				continue
			}
			if his == "" && !known[f.protocol] {
				continue
			}
			key := fmt.Sprintf("%s: %s, tshark %s", name, f.protocol, orNone(his))
			if _, ok := detectionReasons[key]; ok {
				explained[key] = true
				continue
			}
			if his != "" {
				row(his).theirs++
				row(his).missed++
			}
			if known[f.protocol] {
				row(f.protocol).alone++
			}
			t.Logf("%s (%v %v %v)", key, f.info.Transport, f.info.Src, f.info.Dst)
		}
	}
	for key := range detectionReasons {
		if !explained[key] {
			t.Errorf("an explanation that explains nothing: %s", key)
		}
	}
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "protocol\ttshark\tboth\tmissed\tours alone\t")
	all, both := 0, 0
	for _, protocol := range slices.Sorted(maps.Keys(table)) {
		c := table[protocol]
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t\n", protocol, c.theirs, c.both, c.missed, c.alone)
		all, both = all+c.theirs, both+c.both
		if c.alone > 0 {
			t.Errorf("%s: %d flows are not what tshark says", protocol, c.alone)
		}
	}
	w.Flush()
	t.Logf("flows by protocol:\n%s", out.String())
	if all == 0 || float64(both) < minDetected*float64(all) {
		t.Errorf("%d of %d flows recorded as their protocol, want %v", both, all, minDetected)
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
func tsharkProtocols(ctx context.Context, tb testing.TB, path string, known map[string]bool) opinions {
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
	best := opinions{}
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
