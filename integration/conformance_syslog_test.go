package integration

import (
	"strings"

	"flowscope/flow"
	"flowscope/parsers/syslog"
)

// judgeZeekSyslog judges a line of Zeek's syslog.log: a message. Zeek does not
// take it apart: what we tell apart must be in it, and the text at its end.
func judgeZeekSyslog(e *evidence, f *fact) verdict {
	a, ok1 := endpoint(f.str("id.orig_h"), f.str("id.orig_p"))
	b, ok2 := endpoint(f.str("id.resp_h"), f.str("id.resp_p"))
	if !ok1 || !ok2 {
		return missing("endpoints that cannot be read")
	}
	transport := map[string]flow.Transport{"udp": flow.UDP, "tcp": flow.TCP}[f.str("proto")]
	named := func(s string) string {
		if s == "" {
			return "UNSPECIFIED"
		}
		return strings.ToUpper(s)
	}
	want := strings.TrimSuffix(f.str("message"), `\x00`)
	var candidates []differences
	for _, r := range e.rec.flows {
		if !samePair(r, transport, a, b) {
			continue
		}
		for _, ev := range r.events {
			m, ok := ev.Message.(*syslog.Message)
			if !ok {
				continue
			}
			var d differences
			d.check("facility", named(m.Facility), f.str("facility"))
			d.check("severity", named(m.Severity), f.str("severity"))
			d.check("end of the message", strings.HasSuffix(want, m.Text) && m.Text != "", true)
			for _, part := range []string{m.Timestamp, m.Hostname, m.AppName, m.ProcID} {
				d.check("part "+part, strings.Contains(want, part), true)
			}
			if len(d) == 0 && e.claim(f, ev) {
				return found
			}
			candidates = append(candidates, d)
		}
	}
	return fewest(candidates, "no such message")
}
