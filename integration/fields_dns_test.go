package integration

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	mdns "github.com/miekg/dns"
)

// dnsFields compares DNS, mDNS and LLMNR, record by record. tshark shows fewer
// flags of queries than of responses, and OPT among the additional records.
func dnsFields() protocolFields {
	return protocolFields{
		protocols: []string{"dns", "mdns", "llmnr"}, layers: []string{"dns", "mdns", "llmnr"},
		kinds: []string{"query", "response"}, identity: "id", transports: []string{"udp"},
		rules: []fieldRule{
			{
				key:  "kind",
				ours: func(m *ourMessage) []string { return []string{m.event.Kind} },
				theirs: func(l *tsharkNode) []string {
					return tidied(l.all("dns.flags.response"), func(s string) string { return map[string]string{"0": "query", "1": "response"}[s] })
				},
			},
			rule("id", "dns.id", number),
			rule("opcode", "dns.flags.opcode", func(s string) string {
				n, _ := strconv.Atoi(s)
				if name := mdns.OpcodeToString[n]; name != "" {
					return name
				}
				return "OPCODE" + s
			}),
			{key: "rcode", ours: rule("rcode", "", nil).ours, theirs: tsharkRcode},
			notLLMNR(responses(rule("aa", "dns.flags.authoritative", nil))),
			rule("tc", "dns.flags.truncated", nil),
			notLLMNR(rule("rd", "dns.flags.recdesired", nil)),
			notLLMNR(responses(rule("ra", "dns.flags.recavail", nil))),
			notLLMNR(rule("z", "dns.flags.z", nil)),
			notLLMNR(responses(rule("ad", "dns.flags.authenticated", nil))),
			notLLMNR(rule("cd", "dns.flags.checkdisable", nil)),
			unescaped(rule("questions[].name", "dns.qry.name", tsharkName)),
			rule("questions[].type", "dns.qry.type", dnsTypeName),
			rule("questions[].class", "dns.qry.class", dnsClassName),
			unescaped(fieldRule{key: "records[].name", ours: ownerNames, theirs: func(l *tsharkNode) []string {
				return tidied(perRecord(l, tsharkOwner), nil)
			}}),
			records("type", func(rr *tsharkNode) string { return dnsTypeName(rr.first("dns.resp.type")) }),
			records("class", func(rr *tsharkNode) string { return dnsClassName(rr.first("dns.resp.class")) }),
			records("ttl", func(rr *tsharkNode) string { return rr.first("dns.resp.ttl") }),
			unescaped(fieldRule{key: "records[].data", ours: ourData, theirs: func(l *tsharkNode) []string {
				return tidied(perRecord(l, tsharkData), nil)
			}}),
			opt("version", "dns.resp.edns0_version", number),
			opt("udp_size", "dns.rr.udp_payload_size", number),
			opt("do", "dns.resp.z.do", nil),
			{
				key:  "edns.cookie",
				ours: rule("edns.cookie", "", nil).ours,
				theirs: func(l *tsharkNode) []string {
					if c := l.first("dns.opt.cookie.client"); c != "" {
						return []string{octets(c) + octets(l.first("dns.opt.cookie.server"))}
					}
					return nil
				},
			},
			{
				key:  "edns.client_subnet",
				ours: rule("edns.client_subnet", "", nil).ours,
				theirs: func(l *tsharkNode) []string {
					a := l.first("dns.opt.client.addr4") + l.first("dns.opt.client.addr6")
					if a == "" {
						return nil
					}
					return []string{mustAddr(a) + "/" + l.first("dns.opt.client.netmask")}
				},
			},
			unicast(rule("rtt_ns", "dns.time", interval)),
		},
	}
}

// responses keeps a rule to responses: of queries tshark does not show the field.
func responses(r fieldRule) fieldRule {
	ours := r.ours
	r.ours = func(m *ourMessage) []string {
		if m.event.Kind == "response" {
			return ours(m)
		}
		return nil
	}
	theirs := r.theirs
	r.theirs = func(l *tsharkNode) []string {
		if l.first("dns.flags.response") == "1" {
			return theirs(l)
		}
		return nil
	}
	return r
}

// notLLMNR leaves LLMNR out, of whose flags tshark has other fields.
func notLLMNR(r fieldRule) fieldRule {
	ours := r.ours
	r.ours = func(m *ourMessage) []string {
		if m.event.Protocol == "llmnr" {
			return nil
		}
		return ours(m)
	}
	return r
}

// unicast leaves mDNS and LLMNR out, whose messages are not paired here.
func unicast(r fieldRule) fieldRule {
	theirs := r.theirs
	r.theirs = func(l *tsharkNode) []string {
		if l.key == "dns" {
			return theirs(l)
		}
		return nil
	}
	return r
}

// unescaped undoes the escapes of presentation format, which tshark does not
// write, and puts U+FFFD in the place of what is no text, as tshark does.
func unescaped(r fieldRule) fieldRule {
	ours := r.ours
	r.ours = func(m *ourMessage) (values []string) {
		for _, v := range ours(m) {
			values = append(values, strings.ToValidUTF8(plainText(v), "\uFFFD"))
		}
		return values
	}
	return r
}

// opt compares a value of the first OPT record.
func opt(key, field string, tidy func(string) string) fieldRule {
	r := rule("edns."+key, field, tidy)
	theirs := r.theirs
	r.theirs = func(l *tsharkNode) []string {
		values := theirs(l)
		return values[:min(1, len(values))]
	}
	return r
}

// recordSections are those that hold records, in their order.
var recordSections = []string{"answers", "authorities", "additionals"}

// records compares a value of all records of all sections.
func records(key string, theirs func(rr *tsharkNode) string) fieldRule {
	return fieldRule{
		key: "records[]." + key,
		ours: func(m *ourMessage) (values []string) {
			for _, section := range recordSections {
				values = append(values, valuesAt(m.message, section+"[]."+key)...)
			}
			return values
		},
		theirs: func(l *tsharkNode) []string { return perRecord(l, theirs) },
	}
}

// perRecord returns a value of each record but OPT.
func perRecord(n *tsharkNode, value func(rr *tsharkNode) string) (values []string) {
	for _, c := range n.children {
		switch {
		case !slices.ContainsFunc(c.children, func(f *tsharkNode) bool { return f.key == "dns.resp.type" }):
			values = append(values, perRecord(c, value)...)
		case c.first("dns.resp.type") != "41":
			values = append(values, value(c))
		}
	}
	return values
}

func tsharkRcode(l *tsharkNode) []string {
	base := l.first("dns.flags.rcode")
	if base == "" {
		return nil
	}
	n, _ := strconv.ParseUint(base, 0, 16)
	high, _ := strconv.ParseUint(l.first("dns.resp.ext_rcode"), 0, 8)
	n |= high << 4
	if n == mdns.RcodeBadVers {
		return []string{"BADVERS"}
	}
	if name := mdns.RcodeToString[int(n)]; name != "" {
		return []string{name}
	}
	return []string{fmt.Sprintf("RCODE%d", n)}
}

func tsharkName(s string) string {
	if s == "<Root>" {
		return "."
	}
	return s
}

// tsharkOwner returns the name of a record; of SRV records tshark shows it in
// pieces of its own.
func tsharkOwner(rr *tsharkNode) string {
	if rr.first("dns.resp.type") == "33" {
		return absent
	}
	return tsharkName(rr.first("dns.resp.name"))
}

// ownerNames is the same of our message.
func ownerNames(m *ourMessage) (names []string) {
	for _, section := range recordSections {
		list, _ := m.message[section].([]any)
		for _, e := range list {
			if rr, _ := e.(map[string]any); rr["type"] != "SRV" {
				names = append(names, fmt.Sprint(rr["name"]))
			}
		}
	}
	return names
}

func dnsTypeName(s string) string {
	n, _ := strconv.ParseUint(s, 0, 16)
	if name := mdns.TypeToString[uint16(n)]; name != "" {
		return name
	}
	return fmt.Sprintf("TYPE%d", n)
}

func dnsClassName(s string) string {
	n, _ := strconv.ParseUint(s, 0, 16)
	if name := mdns.ClassToString[uint16(n)]; name != "" {
		return name
	}
	return fmt.Sprintf("CLASS%d", n)
}

// tsharkData writes the resource data of the types of RFC 1035 and some more in
// presentation format; of others nothing.
func tsharkData(rr *tsharkNode) string {
	joined := func(fields ...string) string {
		var values []string
		for _, f := range fields {
			values = append(values, tsharkName(rr.first(f)))
		}
		return strings.Join(values, " ")
	}
	switch dnsTypeName(rr.first("dns.resp.type")) {
	case "A":
		return joined("dns.a")
	case "AAAA":
		return mustAddr(joined("dns.aaaa"))
	case "NS":
		return joined("dns.ns")
	case "CNAME":
		return joined("dns.cname")
	case "DNAME":
		return joined("dns.dname")
	case "PTR":
		return joined("dns.ptr.domain_name")
	case "MX":
		return joined("dns.mx.preference", "dns.mx.mail_exchange")
	case "SRV":
		return joined("dns.srv.priority", "dns.srv.weight", "dns.srv.port", "dns.srv.target")
	case "SOA":
		return joined("dns.soa.mname", "dns.soa.rname", "dns.soa.serial_number", "dns.soa.refresh_interval", "dns.soa.retry_interval", "dns.soa.expire_limit", "dns.soa.minimum_ttl")
	case "TXT":
		return strings.Join(rr.all("dns.txt"), " ")
	}
	return absent
}

// ourData is the same of our message.
func ourData(m *ourMessage) (values []string) {
	for _, section := range recordSections {
		list, _ := m.message[section].([]any)
		for _, e := range list {
			rr, _ := e.(map[string]any)
			data, _ := rr["data"].(string)
			switch rr["type"] {
			case "A", "AAAA", "NS", "CNAME", "DNAME", "PTR", "MX", "SRV", "SOA", "TXT":
				values = append(values, data)
			}
		}
	}
	return values
}

// plainText undoes the quotes and escapes of presentation format.
func plainText(data string) string {
	var b strings.Builder
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case c == '"': // of two strings with a blank between them
		case c == '\\' && i+3 < len(data) && data[i+1] >= '0' && data[i+1] <= '9':
			n, _ := strconv.Atoi(data[i+1 : i+4])
			b.WriteByte(byte(n))
			i += 3
		case c == '\\' && i+1 < len(data):
			i++
			b.WriteByte(data[i])
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
