package dns

import (
	"testing"
	"time"

	"flowscope/session"
	"flowscope/session/sessiontest"

	mdns "github.com/miekg/dns"
)

// contractConversations are flows that reach every part of the code.
func contractConversations(tb testing.TB) []sessiontest.Conversation {
	rich := newPacked(tb, func(m *mdns.Msg) {
		m.SetQuestion("host.example.com.", mdns.TypeANY)
		m.Id, m.Response, m.Rcode = 9, true, mdns.RcodeBadCookie
		for _, s := range []string{
			"host.example.com. 60 IN LOC 42 21 54 N 71 06 18 W -24m 30m",
			"host.example.com. 60 IN NSEC3 1 0 10 AABB 2T7B4G4VSA5SMI47K61MV5BV1A22BOJR A RRSIG",
			"host.example.com. 60 IN HIP 2 200100107B1A74DF365639CC39F1D578 AwEAAbdxyhNuSutc5EMzxTs9LBPCIkOFH8cI rvs.example.com.",
			"host.example.com. 60 IN NAPTR 100 10 \"u\" \"E2U+sip\" \"!^.*$!sip:i@example.com!\" .",
			"host.example.com. 60 IN TXT \"a \\\"quoted\\\" one\" \"\\000\\255\"",
			"host.example.com. 60 IN HTTPS 1 . alpn=h2,h3 port=8443 ipv6hint=2001:db8::1 ech=AEX+DQ==",
			"host.example.com. 60 IN APL 1:192.168.32.0/21 !2:2001:db8::/32",
			"host.example.com. 60 CH TYPE65280 \\# 3 010203",
		} {
			m.Answer = append(m.Answer, mustRR(tb, s))
		}
		m.Ns = append(m.Ns, mustRR(tb, "example.com. 60 IN SOA ns1.example.com. a\\.b.example.com. 1 2 3 4 5"))
		m.SetEdns0(4096, true)
		m.IsEdns0().Option = []mdns.EDNS0{
			&mdns.EDNS0_EDE{InfoCode: 22, ExtraText: "no reachable authority"},
			&mdns.EDNS0_COOKIE{Code: mdns.EDNS0COOKIE, Cookie: "0102030405060708"},
			&mdns.EDNS0_NSID{Code: mdns.EDNS0NSID, Nsid: "ff00aa"},
			&mdns.EDNS0_PADDING{Padding: make([]byte, 11)},
			&mdns.EDNS0_LOCAL{Code: 65001, Data: []byte{1, 2}},
		}
	})
	transfer := newPacked(tb, func(m *mdns.Msg) { m.SetAxfr("example.com."); m.Id = 5 })
	part := newPacked(tb, func(m *mdns.Msg) { m.SetAxfr("example.com."); m.Id, m.Response = 5, true })
	minute := session.Timestamp(1_700_000_000_000_000_000)
	at := func(d time.Duration) session.Timestamp { return minute.Add(d) }
	query, response := benchQuery(tb), benchResponse(tb)
	return []sessiontest.Conversation{
		{Name: "answered", Datagrams: []sessiontest.Datagram{
			{Side: session.Initiator, Payload: query}, {Side: session.Responder, Payload: response},
		}},
		{Name: "retransmitted and timed out", Datagrams: []sessiontest.Datagram{
			{Time: at(0), Payload: query},
			{Time: at(5 * time.Second), Payload: query},
			{Time: at(12 * time.Second), Payload: query},
			{Time: at(13 * time.Second), Side: session.Responder, Payload: response},
		}},
		{Name: "everything", Datagrams: []sessiontest.Datagram{{Side: session.Responder, Payload: rich}}},
		{Name: "large", Datagrams: []sessiontest.Datagram{{Side: session.Responder, Payload: benchLarge(tb)}}},
		{Name: "transfer", Datagrams: []sessiontest.Datagram{
			{Payload: transfer}, {Side: session.Responder, Payload: part}, {Side: session.Responder, Payload: part},
		}},
		{Name: "damaged", Datagrams: []sessiontest.Datagram{
			{Payload: query[:7]}, {Payload: query[:20]}, {Payload: append(query[:len(query):len(query)], 0)}, {Payload: response[:40]},
		}},
	}
}

func TestContract(t *testing.T) {
	for _, f := range []session.DatagramParserFactory{New(), NewMDNS(), NewLLMNR()} {
		t.Run(f.Protocol().Name, func(t *testing.T) {
			sessiontest.TestDatagramParser(t, f, 0, contractConversations(t)...)
		})
	}
}

// TestContractOnCorpus holds the contract against captured flows.
func TestContractOnCorpus(t *testing.T) {
	folder := sessiontest.Corpus(t, corpusFolder)
	for _, name := range []string{
		"arkime/dns-https.pcap", "tcpdump/dnssec.pcap", "tcpdump/dns-badlabel.pcap", "zeek/dns-edns-ecs.pcap",
		"zeek/dns-two-responses.pcap", "zeek/wikipedia.pcap",
	} {
		t.Run(name, func(t *testing.T) {
			byFlow := map[string]*sessiontest.Conversation{}
			var order []string
			for _, d := range sessiontest.UDP(t, folder+"/conformance/"+name) {
				if !isDNSPort(d.SrcPort) && !isDNSPort(d.DstPort) || len(d.Payload) > 5000 {
					continue
				}
				c := byFlow[d.Flow]
				if c == nil && len(byFlow) < 5 {
					c = &sessiontest.Conversation{Name: d.Flow}
					byFlow[d.Flow] = c
					order = append(order, d.Flow)
				}
				if c != nil && len(c.Datagrams) < 10 {
					c.Datagrams = append(c.Datagrams, d.Datagram)
				}
			}
			for _, f := range order {
				sessiontest.TestDatagramParser(t, New(), 0, *byFlow[f])
			}
		})
	}
}
