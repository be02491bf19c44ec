package dns

import (
	"path/filepath"
	"strings"
	"testing"

	"flowscope/session"
	"flowscope/session/sessiontest"

	mdns "github.com/miekg/dns"
)

const corpusFolder = "../../../shared/captures"

func corpusFiles(tb testing.TB) (folder string, files []string) {
	folder = sessiontest.Corpus(tb, corpusFolder)
	return folder, sessiontest.Captures(tb, folder)
}

func isDNSPort(p uint16) bool { return p == 53 || p == mdnsPort || p == llmnrPort }

// TestCorpus compares every message of the captures with what miekg/dns reads.
func TestCorpus(t *testing.T) {
	folder, files := corpusFiles(t)
	var messages, refused int
	for _, file := range files {
		name, _ := filepath.Rel(folder, file)
		for i, d := range sessiontest.UDP(t, file) {
			if !isDNSPort(d.SrcPort) && !isDNSPort(d.DstPort) {
				continue
			}
			multicast := d.SrcPort == mdnsPort || d.DstPort == mdnsPort
			got, problem, ok := decodeOwned(t, d.Payload, multicast)
			var o mdns.Msg
			if err := o.Unpack(d.Payload); err != nil {
				refused++
				if problem == "" {
					t.Errorf("%s datagram %d: the oracle says %v, we find nothing wrong", name, i, err)
				}
				continue
			}
			messages++
			if !ok {
				t.Errorf("%s datagram %d: not readable: %s", name, i, problem)
				continue
			}
			if problem != "" && problem != problemTrailing { // which the oracle ignores
				t.Errorf("%s datagram %d: the oracle finds nothing wrong, we %s", name, i, problem)
			}
			if diff := diffOracle(got, oracleMessage(&o, len(d.Payload), multicast)); diff != "" {
				t.Errorf("%s datagram %d (-oracle +ours):\n%s", name, i, diff)
			}
			compareEDNS(t, &got, &o)
		}
	}
	t.Logf("%d messages compared, %d refused by both", messages, refused)
	if messages < 10000 {
		t.Errorf("only %d messages", messages)
	}
}

// compareEDNS compares what both readings say in the same terms.
func compareEDNS(t *testing.T, m *Message, o *mdns.Msg) {
	opt := o.IsEdns0()
	if (opt == nil) != (m.EDNS == nil) {
		t.Errorf("EDNS is %v, the oracle's %v", m.EDNS, opt)
		return
	}
	if opt == nil {
		return
	}
	e := m.EDNS
	if e.Version != opt.Version() || e.UDPSize != opt.UDPSize() || e.DO != opt.Do() {
		t.Errorf("EDNS is %+v, the oracle's %v", e, opt)
	}
	for _, x := range opt.Option {
		switch x := x.(type) {
		case *mdns.EDNS0_COOKIE:
			if e.Cookie != x.Cookie {
				t.Errorf("cookie %s, the oracle's %s", e.Cookie, x.Cookie)
			}
		case *mdns.EDNS0_SUBNET:
			if s := strings.NewReplacer("[", "", "]", "").Replace(x.String()); !strings.HasPrefix(s, e.ClientSubnet+"/") {
				t.Errorf("client subnet %s, the oracle's %s", e.ClientSubnet, s)
			}
		case *mdns.EDNS0_EDE:
			if len(e.EDE) == 0 || e.EDE[0].Code != x.InfoCode || e.EDE[0].Text != x.ExtraText {
				t.Errorf("extended error %v, the oracle's %v", e.EDE, x)
			}
		case *mdns.EDNS0_PADDING:
			if e.Padding != len(x.Padding) {
				t.Errorf("padding %d, the oracle's %d", e.Padding, len(x.Padding))
			}
		}
	}
}

// TestCorpusDetection runs all datagrams of the captures past the probes: those
// on DNS ports that the oracle can read match their own protocol and no other;
// those on others match nothing but what is DNS indeed.
func TestCorpusDetection(t *testing.T) {
	folder, files := corpusFiles(t)
	factories := map[string]session.Factory{"dns": New(), "mdns": NewMDNS(), "llmnr": NewLLMNR()}
	counts := map[string]int{}
	for _, file := range files {
		name, _ := filepath.Rel(folder, file)
		for i, d := range sessiontest.UDP(t, file) {
			s := session.Sample{Data: d.Payload, SrcPort: d.SrcPort, DstPort: d.DstPort, Transport: session.UDP}
			var matches []string
			for proto, f := range factories {
				if f.Probe(&s) == session.Match {
					matches = append(matches, proto)
				}
			}
			var o mdns.Msg
			readable := o.Unpack(d.Payload) == nil
			want := protocolByPort(d.SrcPort, d.DstPort)
			switch {
			case want != "" && readable:
				if len(matches) != 1 || matches[0] != want {
					t.Errorf("%s datagram %d, ports %d and %d: matches %v, want %s", name, i, d.SrcPort, d.DstPort, matches, want)
				}
				counts[want]++
			case want == "" && len(matches) > 0:
				counts["elsewhere"]++
				if !readable {
					t.Errorf("%s datagram %d, ports %d and %d: matches %v", name, i, d.SrcPort, d.DstPort, matches)
				} else {
					t.Logf("%s datagram %d, ports %d and %d: matches %v: %v", name, i, d.SrcPort, d.DstPort, matches, o.Question)
				}
			}
		}
	}
	t.Log(counts)
}

func protocolByPort(a, b uint16) string {
	for _, p := range []struct {
		port uint16
		name string
	}{{53, "dns"}, {mdnsPort, "mdns"}, {llmnrPort, "llmnr"}} {
		if a == p.port || b == p.port {
			return p.name
		}
	}
	return ""
}
