package integration

import (
	"fmt"
	"maps"
	"net/netip"
	"strings"

	"flowscope/parsers/dns"
)

// judgeSuricataDNS judges a check of one of Suricata's tests on its DNS log.
func judgeSuricataDNS(e *evidence, f *fact) verdict {
	want := map[string]string{}
	for key, value := range f.match() {
		if uncomparedFields["suricata eve:dns "+key] == "" {
			want[key] = asText(value)
		}
	}
	n := int64(0)
	var candidates []differences
	for _, m := range e.dns {
		// Before version 8 lines name the flow's ends, and call a request query
		// and a response answer; since then they name the packet's.
		got := suricataDNSValues(m, want["dns.type"] == "query" || want["dns.type"] == "answer")
		d := differ(got, want)
		if len(d) == 0 {
			n++
		}
		candidates = append(candidates, d)
	}
	switch {
	case n == f.num("count"):
		return found
	case n == 0:
		return fewest(candidates, "no DNS message at all")
	default:
		return missing("%d messages have these values, want %d", n, f.num("count"))
	}
}

// suricataDNSValues is a message as Suricata's log has it.
func suricataDNSValues(m *dnsMessage, old bool) map[string]string {
	src, dst := m.sender(), m.receiver()
	if old {
		src, dst = m.flow.info.Src, m.flow.info.Dst
	}
	kind := map[bool]string{false: "request", true: "response"}[m.response]
	if old {
		kind = map[bool]string{false: "query", true: "answer"}[m.response]
	}
	v := texts(map[string]any{
		"proto": "UDP", "src_ip": src.Addr(), "src_port": src.Port(), "dest_ip": dst.Addr(), "dest_port": dst.Port(),
		"dns.type": kind, "dns.id": m.ID, "dns.rcode": m.rcode(), "dns.qr": m.response,
		"dns.aa": m.AA, "dns.tc": m.TC, "dns.rd": m.RD, "dns.ra": m.RA,
		"dns.flags":  fmt.Sprintf("%x", headerFlags(m)),
		"dns.rrname": m.question().Name, "dns.rrtype": m.question().Type,
	})
	for i, q := range m.Questions {
		v[fmt.Sprintf("dns.queries[%d].rrname", i)] = q.Name
		v[fmt.Sprintf("dns.queries[%d].rrtype", i)] = q.Type
	}
	grouped := map[string]int{}
	for i, r := range m.Answers {
		maps.Copy(v, suricataRecord(fmt.Sprintf("dns.answers[%d].", i), r))
		v[fmt.Sprintf("dns.grouped.%s[%d]", r.Type, grouped[r.Type])] = longAddr(r.Data)
		grouped[r.Type]++
	}
	for i, r := range m.Authorities {
		maps.Copy(v, suricataRecord(fmt.Sprintf("dns.authorities[%d].", i), r))
	}
	return v
}

// headerFlags puts the second 16 bits of the header together again.
func headerFlags(m *dnsMessage) uint16 {
	bits := uint16(0)
	for i, set := range []bool{m.CD, m.AD, m.Z, m.RA, m.RD, m.TC, m.AA} {
		if set {
			bits |= 1 << (4 + i)
		}
	}
	if m.response {
		bits |= 1 << 15
	}
	return bits | uint16(dnsRcodes[m.rcode()])
}

var dnsRcodes = map[string]int{"NOERROR": 0, "FORMERR": 1, "SERVFAIL": 2, "NXDOMAIN": 3, "NOTIMP": 4, "REFUSED": 5}

func suricataRecord(prefix string, r dns.Record) map[string]string {
	v := map[string]string{
		prefix + "rrname": r.Name, prefix + "rrtype": r.Type,
		prefix + "ttl": fmt.Sprint(r.TTL), prefix + "rdata": longAddr(r.Data),
	}
	if fields := strings.Fields(r.Data); r.Type == "SOA" && len(fields) == 7 {
		for i, name := range []string{"mname", "rname", "serial", "refresh", "retry", "expire", "minimum"} {
			v[prefix+"soa."+name] = fields[i]
		}
	}
	return v
}

// longAddr writes an IPv6 address with all its digits, as Suricata does.
func longAddr(s string) string {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.StringExpanded()
	}
	return s
}
