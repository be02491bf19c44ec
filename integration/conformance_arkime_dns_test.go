package integration

import (
	"fmt"
	"slices"
	"strings"

	"flowscope/flow"
	"flowscope/parsers/dns"
)

// judgeArkimeDNS judges what Arkime says of one name asked for in a session: it
// merges queries and responses, and all sections of the latter.
func judgeArkimeDNS(e *evidence, f *fact) verdict {
	src, ok1 := endpoint(f.str("src"), f.str("sport"))
	dst, ok2 := endpoint(f.str("dst"), f.str("dport"))
	if !ok1 || !ok2 {
		return missing("addresses that cannot be read")
	}
	var messages []*dnsMessage
	for _, m := range e.dns {
		if samePair(m.flow, flow.Transport(f.num("ipproto")), src, dst) && m.response == (f.F["status"] != nil) && m.asks(f.str("queryHost")) {
			messages = append(messages, m)
		}
	}
	if len(messages) == 0 {
		return missing("no such message")
	}
	var d differences
	first := messages[0]
	d.check("initiator", first.flow.info.Src, src)
	d.check("opcode", first.Opcode, f.str("opcode"))
	d.check("qt", first.question().Type, f.str("qt"))
	d.check("qc", first.question().Class, f.str("qc"))
	if f.F["status"] != nil {
		d.check("status", first.rcode(), f.str("status"))
		flags := first.flags()
		slices.Sort(flags)
		d.check("headerFlags", flags, f.list("headerFlags"))
	}
	if first.response { // of queries Arkime keeps no records
		d = append(d, arkimeRecords(messages, f)...)
	}
	for _, key := range []string{"host", "ip", "nameserverHost", "nameserverIp", "mailserverHost", "mailserverIp"} {
		for _, text := range f.list(key) {
			if !mentions(messages, text) {
				d = append(d, fmt.Sprintf("%s: no message mentions %s", key, text))
			}
		}
	}
	return verdict{problems: d}
}

// asks says whether the first question is for a name; Arkime writes <root> for
// that of a message without questions.
func (m *dnsMessage) asks(name string) bool {
	if name == "<root>" {
		return len(m.Questions) == 0 || m.question().Name == "."
	}
	return strings.EqualFold(m.question().Name, name)
}

// arkimeRecords compares the sets of records of all sections.
func arkimeRecords(messages []*dnsMessage, f *fact) (d differences) {
	got, want := map[string]bool{}, map[string]bool{}
	for _, m := range messages {
		for _, r := range m.records() {
			got[arkimeRecord(r)] = true
		}
	}
	answers, _ := f.F["answers"].([]any)
	for _, a := range answers {
		want[arkimeAnswer(a.(map[string]any))] = true
	}
	for r := range got {
		if !want[r] {
			d = append(d, "we alone have the record "+r)
		}
	}
	for r := range want {
		if !got[r] {
			d = append(d, "the fact alone has the record "+r)
		}
	}
	return d
}

// arkimeRecord writes a record with what Arkime keeps of its type.
func arkimeRecord(r dns.Record) string {
	name, data := strings.ToLower(r.Name), strings.ToLower(r.Data)
	if name == "." {
		name = "<root>"
	}
	switch r.Type {
	case "A", "AAAA", "CNAME", "NS", "MX":
	case "HTTPS":
		data = strings.ReplaceAll(data, `"`, "")
	default:
		data = ""
	}
	return fmt.Sprintln(name, r.Class, r.Type, r.TTL, data)
}

// arkimeAnswer writes an answer of Arkime's as arkimeRecord does.
func arkimeAnswer(a map[string]any) string {
	data := ""
	for _, key := range []string{"cname", "ip", "nameserver", "mx", "https"} {
		if a[key] != nil {
			data = mustAddr(asText(a[key]))
		}
	}
	if a["priority"] != nil {
		data = asText(a["priority"]) + " " + data
	}
	data = strings.ToLower(strings.TrimPrefix(data, "HTTPS "))
	return fmt.Sprintln(strings.ToLower(asText(a["name"])), a["class"], a["type"], a["ttl"], data)
}

// mentions says whether a name or an address stands in any of the messages.
func mentions(messages []*dnsMessage, text string) bool {
	text = strings.ToLower(mustAddr(text))
	for _, m := range messages {
		if strings.EqualFold(m.question().Name, text) {
			return true
		}
		for _, r := range m.records() {
			if strings.EqualFold(r.Name, text) || slices.Contains(strings.Fields(strings.ToLower(r.Data)), text) {
				return true
			}
		}
	}
	return false
}
