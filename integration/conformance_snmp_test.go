package integration

import (
	"net/netip"
	"slices"

	"flowscope/flow"
	"flowscope/parsers/snmp"
	"flowscope/session"
)

// snmpHeader returns the head of a message and, if it has one, its PDU.
func snmpHeader(m session.Message) (*snmp.Header, *snmp.Message) {
	var p *snmp.Message
	switch m := m.(type) {
	case *snmp.Get:
		p = &m.Message
	case *snmp.GetNext:
		p = &m.Message
	case *snmp.GetBulk:
		p = &m.Message
	case *snmp.Set:
		p = &m.Message
	case *snmp.Response:
		p = &m.Message
	case *snmp.Trap:
		p = &m.Message
	case *snmp.Inform:
		p = &m.Message
	case *snmp.Report:
		p = &m.Message
	case *snmp.Encrypted:
		return &m.Header, nil
	default:
		return nil, nil
	}
	return &p.Header, p
}

// snmpNumbers are the versions as others count them.
var snmpNumbers = map[string]string{"1": "1", "2c": "2", "3": "3"}

// judgeArkimeSNMP judges what Arkime says of a session: sets of values over all
// of its messages. Communities are redacted here, so that only their presence
// is compared.
func judgeArkimeSNMP(e *evidence, f *fact) verdict {
	src, ok1 := endpoint(f.str("src"), f.str("sport"))
	dst, ok2 := endpoint(f.str("dst"), f.str("dport"))
	if !ok1 || !ok2 {
		return missing("addresses that cannot be read")
	}
	types := map[string]string{
		"get": "GetRequest", "get_next": "GetNextRequest", "get_bulk": "GetBulkRequest", "set": "SetRequest", "response": "GetResponse",
		"inform": "InformRequest", "report": "Report", "trap": "Trap",
	}
	got := map[string][]string{}
	add := func(key, value string) {
		if value != "" && !slices.Contains(got[key], value) {
			got[key] = append(got[key], value)
		}
	}
	initiator := netip.AddrPort{}
	for _, r := range e.rec.flows {
		if !samePair(r, flow.UDP, src, dst) {
			continue
		}
		initiator = r.info.Src
		for _, ev := range r.events {
			h, m := snmpHeader(ev.Message)
			if h == nil {
				continue
			}
			add("version", snmpNumbers[h.Version])
			add("community", h.Community)
			add("engineId", h.EngineID)
			add("secLevel", h.SecurityLevel)
			if m == nil {
				continue
			}
			if h.Version != "3" {
				add("type", types[ev.Kind])
				if m.ErrorStatus != "noError" {
					add("error", m.ErrorStatus)
				}
				for _, v := range m.Varbinds {
					add("variable", v.OID)
				}
			}
		}
	}
	values, _ := f.F["v"].(map[string]any)
	var d differences
	d.check("initiator", initiator, src)
	for _, key := range []string{"version", "community", "engineId", "secLevel", "type", "error", "variable"} {
		var want []string
		list, _ := values[key].([]any)
		for _, v := range list {
			if key == "community" {
				v = "[redacted]"
			}
			want = append(want, asText(v))
		}
		slices.Sort(want)
		slices.Sort(got[key])
		d.check(key, got[key], want)
	}
	return verdict{problems: d}
}

// judgeSuricataSNMP judges a check of one of Suricata's tests: so many messages
// with these values.
func judgeSuricataSNMP(e *evidence, f *fact) verdict {
	kinds := map[string]string{"get": "get_request", "get_next": "get_next_request", "response": "response"}
	n := int64(0)
	for _, r := range e.rec.flows {
		for _, ev := range r.events {
			h, m := snmpHeader(ev.Message)
			if h == nil || m == nil {
				continue
			}
			var names []any
			for _, v := range m.Varbinds {
				names = append(names, v.OID)
			}
			var d differences
			for key, want := range f.match() {
				switch key {
				case "event_type":
					d.check(key, "snmp", want)
				case "snmp.version":
					d.check(key, snmpNumbers[h.Version], asText(want))
				case "snmp.community":
					d.check(key, h.Community, "[redacted]")
				case "snmp.pdu_type":
					d.check(key, kinds[ev.Kind], want)
				case "snmp.vars":
					d.check(key, names, want)
				default:
					d.check(key, "unknown", want)
				}
			}
			if len(d) == 0 {
				n++
			}
		}
	}
	if want := f.num("count"); n != want {
		return missing("%d messages have these values, want %d", n, want)
	}
	return found
}
