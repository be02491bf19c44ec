package snmp

import (
	"flowscope/session"
)

// Probe implements session.Factory. On the configured ports a sequence that
// begins with a version is enough; on others all lengths must fit.
func (f *Factory) Probe(s *session.Sample) session.Verdict {
	if s.Transport != session.UDP {
		return session.No
	}
	known := s.OnPort(&f.description)
	if plausible(s.Data, known) {
		return session.Match
	}
	return session.No
}

// plausible judges version and what comes after it; lenient is content with a
// message that ends early.
func plausible(b []byte, lenient bool) bool {
	if len(b) < 2 || b[0] != tagSequence {
		return false
	}
	whole := reader{b: b}
	r := whole.enter(tagSequence)
	if version := r.integer(); r.problem != "" || version != 0 && version != 1 && version != 3 {
		return false
	} else if lenient {
		return true
	} else if version == 3 {
		global := reader{b: r.expect(tagSequence)}
		global.integer()
		global.integer()
		flags := global.octets()
		global.integer()
		if len(r.octets()) == 0 || len(flags) != 1 || global.problem != "" || len(global.b) > 0 {
			return false
		}
		tag, _ := r.element()
		return r.problem == "" && len(r.b) == 0 && whole.problem == "" && len(whole.b) == 0 && (tag == tagSequence || tag == tagOctets)
	}
	r.octets()
	tag, pdu := r.element()
	if r.problem != "" || len(r.b) > 0 || whole.problem != "" || len(whole.b) > 0 || tag < pduGet || tag > pduReport {
		return false
	}
	inner := reader{b: pdu}
	if tag == pduTrapV1 {
		inner.expect(tagOID)
	} else {
		inner.integer()
	}
	return inner.problem == ""
}
