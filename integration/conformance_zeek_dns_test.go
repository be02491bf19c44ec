package integration

import (
	"fmt"
	"strconv"
	"strings"

	mdns "github.com/miekg/dns"

	"flowscope/flow"
	"flowscope/parsers/dns"
)

// judgeZeekDNS judges a line of Zeek's dns.log: a transaction.
func judgeZeekDNS(e *evidence, f *fact) verdict {
	transport := map[string]flow.Transport{"udp": flow.UDP, "tcp": flow.TCP}[f.str("proto")]
	a, ok1 := endpoint(f.str("id.orig_h"), f.str("id.orig_p"))
	b, ok2 := endpoint(f.str("id.resp_h"), f.str("id.resp_p"))
	if !ok1 || !ok2 {
		return missing("endpoints that cannot be read")
	}
	answered := f.F["rcode"] != nil
	var candidates []differences
	for _, m := range e.dns {
		if !samePair(m.flow, transport, a, b) || m.response != answered || asText(m.ID) != f.str("trans_id") {
			continue
		}
		d := zeekDNSDifferences(e, m, f)
		if len(d) == 0 && e.claim(f, m) {
			return found
		}
		candidates = append(candidates, d)
	}
	return fewest(candidates, "no such message")
}

func zeekDNSDifferences(e *evidence, m *dnsMessage, f *fact) differences {
	var d differences
	// Zeek takes RD, TC and Z from the query, AA and RA from a response's first
	// answer; where there was none they are unset, which it writes as F and 0.
	if q := zeekQuery(e, m, f); q != nil {
		d.check("RD", zeekBool(q.RD), f.str("RD"))
		d.check("TC", zeekBool(q.TC), f.str("TC"))
		d.check("Z", zeekZ(q), f.str("Z"))
	}
	if f.F["answers"] != nil {
		d.check("AA", zeekBool(m.AA), f.str("AA"))
		d.check("RA", zeekBool(m.RA), f.str("RA"))
	}
	d.check("opcode", m.Opcode, strings.ToUpper(f.str("opcode_name")))
	d.check("query", strings.ToLower(m.question().Name), f.str("query"))
	if f.F["qtype"] != nil {
		d.check("qtype", m.question().Type, mnemonicOf(mdns.TypeToString, f.str("qtype")))
		d.check("qclass", m.question().Class, mnemonicOf(mdns.ClassToString, f.str("qclass")))
	}
	if f.F["rcode"] != nil {
		d.check("rcode", m.rcode(), f.str("rcode_name"))
	}
	if f.F["rtt"] != nil {
		got := int64(-1)
		if m.rtt != nil {
			got = *m.rtt / 1000
		}
		d.check("rtt", got, microseconds(f.str("rtt")))
	}
	if m.response {
		var answers, ttls []string
		for _, r := range m.Answers {
			answers = append(answers, zeekAnswer(r))
			ttls = append(ttls, fmt.Sprintf("%d.000000", r.TTL))
		}
		// Zeek writes names in lower case, also those in answers.
		d.check("answers", strings.ToLower(strings.Join(answers, ",")), strings.ToLower(f.str("answers")))
		d.check("TTLs", strings.Join(ttls, ","), f.str("TTLs"))
	}
	return d
}

// zeekQuery returns the query of the transaction that a line is about: Zeek knew
// one if it gives the time between them.
func zeekQuery(e *evidence, m *dnsMessage, f *fact) *dnsMessage {
	if !m.response {
		return m
	}
	for _, q := range e.dns {
		if f.F["rtt"] != nil && q.flow == m.flow && !q.response && q.ID == m.ID {
			return q
		}
	}
	return nil
}

func zeekBool(b bool) string {
	if b {
		return "T"
	}
	return "F"
}

// zeekZ is the field of three bits that RFC 1035 section 4.1.1 reserved, two of
// which are AD and CD today.
func zeekZ(m *dnsMessage) string {
	z := 0
	for i, set := range []bool{m.CD, m.AD, m.Z} {
		if set {
			z |= 1 << i
		}
	}
	return strconv.Itoa(z)
}

func mnemonicOf(names map[uint16]string, number string) string {
	n, _ := strconv.ParseUint(number, 10, 16)
	return names[uint16(n)]
}

// zeekAnswer writes an answer as Zeek does.
func zeekAnswer(r dns.Record) string {
	switch r.Type {
	case "TXT":
		var b strings.Builder
		for i, s := range strings.Split(strings.Trim(r.Data, `"`), `" "`) {
			if i > 0 {
				b.WriteByte(' ')
			}
			fmt.Fprintf(&b, "TXT %d %s", len(s), s)
		}
		return b.String()
	case "RRSIG": // type covered … signer, signature (RFC 4034 section 3.2)
		if fields := strings.Fields(r.Data); len(fields) > 7 {
			return fmt.Sprintf("RRSIG %d %s", mdns.StringToType[fields[0]], fields[7])
		}
	}
	return r.Data
}
