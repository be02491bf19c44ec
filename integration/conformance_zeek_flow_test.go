package integration

import (
	"fmt"
	"math"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"flowscope/flow"
	"flowscope/session"
)

// zeekTransports are Zeek's names; icmp is that of both versions.
var zeekTransports = map[string]flow.Transport{"tcp": flow.TCP, "udp": flow.UDP, "icmp": flow.ICMP}

// zeekTunnelServices are what Zeek calls connections that carry a tunnel. Zeek
// tracks them beside what is inside; here the innermost flow alone is tracked.
var zeekTunnelServices = map[string]string{
	"vxlan": "vxlan", "geneve": "geneve", "gtpv1": "gtpu", "teredo": "teredo",
}

// judgeZeekConn judges a connection of Zeek's conn.log: its byte counts are
// payload and IP.
func judgeZeekConn(e *evidence, f *fact) verdict {
	if reason := otherTraces[path.Dir(f.GT)]; reason != "" {
		return notYet(reason)
	}
	if f.F["id.orig_h"] == nil {
		return judgeZeekPartial(e, f)
	}
	a, ok1 := endpoint(f.str("id.orig_h"), f.str("id.orig_p"))
	b, ok2 := endpoint(f.str("id.resp_h"), f.str("id.resp_p"))
	transport, ok3 := zeekTransports[f.str("proto")]
	if !ok1 || !ok2 || !ok3 {
		return missing("endpoints that cannot be read")
	}
	if transport == flow.ICMP && a.Addr().Is6() {
		transport = flow.ICMPv6
	}
	var candidates []differences
	for _, r := range e.rec.flows {
		if !samePair(r, transport, a, b) {
			continue
		}
		d := zeekDifferences(viewOf(r), f, a)
		if len(d) == 0 && e.claim(f, r) {
			return found
		}
		candidates = append(candidates, d)
	}
	if kind := e.outerKind(f); kind != "" && len(candidates) == 0 {
		return judgeZeekOuter(e, f, kind)
	}
	if len(candidates) > 0 && zeekSumsAgree(e, f, transport, a, b) {
		return foundInSum
	}
	return fewest(candidates, "no such flow")
}

func zeekDifferences(v flowView, f *fact, orig netip.AddrPort) differences {
	var d differences
	// Zeek turns a flow round when only the port of the second endpoint is
	// well-known, which it marks by ^; here the first packet's sender stays the
	// initiator. TCP flows whose SYN or SYN+ACK was seen agree.
	flipped := strings.HasPrefix(f.str("history"), "^") && v.by == flow.ByFirstSeen
	history := zeekHistory(&v, f, flipped)
	if v.src != orig {
		if !flipped {
			d = append(d, "the other side is the initiator")
		}
		v = v.swapped()
	}
	if f.F["history"] != nil {
		d.check("history", history, withoutZeek(f.str("history")))
	}
	// Sides turned round have states of another name.
	if f.F["conn_state"] != nil && !flipped {
		d.check("conn_state", v.state, f.str("conn_state"))
	}
	d.check("ip_proto", uint8(v.transport), f.str("ip_proto"))
	if !zeekTeardown(&v, f) {
		d.check("duration", zeekDuration(&v), f.str("duration"))
	}
	for i, side := range []string{"orig", "resp"} {
		s := &v.sides[i]
		d.check(side+"_pkts", s.Packets, f.num(side+"_pkts"))
		d.check(side+"_ip_bytes", s.IPBytes, f.num(side+"_ip_bytes"))
		want := f.num(side + "_bytes")
		switch {
		case want < 0: // Zeek leaves the bytes of single packets out
		case v.transport == flow.TCP:
			// Zeek counts from sequence numbers: what was sent twice once, and
			// what was missed too.
			if int64(s.PayloadBytes)+max(0, f.num("missed_bytes")) < want {
				d.check(side+"_bytes", s.PayloadBytes, want)
			}
		default:
			d.check(side+"_bytes", s.PayloadBytes, want)
		}
	}
	if f.F["missed_bytes"] != nil {
		d.check("missed_bytes", v.missed, f.num("missed_bytes"))
	}
	d.check("tunnelled", len(v.tunnels) > 0, f.F["tunnel_parents"] != nil || f.tunnelsUnknown())
	if want := zeekService(&v, f.str("service")); want != "" {
		d.check("service", v.protocols[0], want)
	}
	return d
}

// zeekServices are Zeek's names of protocols that may be parsed here.
var zeekServices = map[string]string{
	"dns": "dns", "http": "http", "ntp": "ntp", "snmp": "snmp", "ssl": "tls", "syslog": "syslog", "syslog_tcp": "syslog",
}

// zeekService returns what a service of Zeek's is called here, "" if it is not
// parsed.
func zeekService(v *flowView, service string) string {
	name := zeekServices[service]
	if name == "dns" {
		switch v.dst.Port() {
		case nbnsPort:
			return ""
		case 5353:
			name = "mdns"
		case 5355:
			name = "llmnr"
		}
	}
	if !slices.ContainsFunc(conformanceRegistry.Factories(), func(f session.Factory) bool {
		p := f.Protocol()
		return p.Name == name && slices.Contains(p.Transports, v.transport)
	}) {
		return ""
	}
	return name
}

// zeekHistory is the history as Zeek's run should have it: without bad checksums
// where it did not look at them, and turned round where it turned the flow.
func zeekHistory(v *flowView, f *fact, flipped bool) string {
	h := v.history
	if ignored, _ := f.Note["checksums_ignored"].(bool); ignored {
		h = strings.NewReplacer("C", "", "c", "").Replace(h)
	}
	if !flipped {
		return h
	}
	return "^" + strings.Map(func(r rune) rune {
		if unicode.IsUpper(r) {
			return unicode.ToLower(r)
		}
		return unicode.ToUpper(r)
	}, h)
}

// withoutZeek takes out the letter that tells of Zeek itself: it gave up analysing
// the connection.
func withoutZeek(history string) string {
	return strings.NewReplacer("X", "", "x", "").Replace(history)
}

// nbnsPort is that of the NetBIOS name service, which Zeek parses as DNS.
const nbnsPort = 137

// tunnelsUnknown says that the fact is of a run that skipped the tunnels'
// analyser, whose connections name no parents.
func (f *fact) tunnelsUnknown() bool { return strings.Contains(f.GT, "skip_analyzer") }

// zeekDuration is the duration in Zeek's text form, "" of a single packet.
func zeekDuration(v *flowView) string {
	if v.packets() == 1 {
		return ""
	}
	return fmt.Sprintf("%.6f", v.last.Sub(v.first).Seconds())
}

// zeekTeardown says that the duration ends with the last packet of the side that
// was the first to fall silent: Zeek documents that it does not include the
// final acknowledgement of a connection's teardown.
func zeekTeardown(v *flowView, f *fact) bool {
	if v.transport != flow.TCP || v.sides[0].Packets == 0 || v.sides[1].Packets == 0 {
		return false
	}
	earlier := min(v.sides[0].Last, v.sides[1].Last)
	return strings.Contains(strings.ToLower(f.str("history")), "f") &&
		fmt.Sprintf("%.6f", earlier.Sub(v.first).Seconds()) == f.str("duration")
}

// judgeZeekPartial judges rows that a script has cut down to a few columns,
// without addresses.
func judgeZeekPartial(e *evidence, f *fact) verdict {
	var candidates []differences
	for _, r := range e.rec.flows {
		v := viewOf(r)
		var d differences
		if f.F["duration"] != nil && !zeekTeardown(&v, f) {
			d.check("duration", zeekDuration(&v), f.str("duration"))
		}
		if f.F["orig_pkts"] != nil {
			d.check("orig_pkts", v.sides[0].Packets, f.num("orig_pkts"))
			d.check("resp_pkts", v.sides[1].Packets, f.num("resp_pkts"))
		}
		d.check("history", zeekHistory(&v, f, false), withoutZeek(f.str("history")))
		if len(d) == 0 && e.claim(f, r) {
			return found
		}
		candidates = append(candidates, d)
	}
	return fewest(candidates, "no flow at all")
}

// judgeZeekOuter compares the connections that carry tunnels with the flows
// inside: all packets of the former must be in the latter, or without IP.
func judgeZeekOuter(e *evidence, f *fact, kind string) verdict {
	want := uint64(0)
	for _, other := range e.facts {
		if other.Kind == "conn" && other.GT == f.GT && e.outerKind(other) == kind && !e.tracked(other) {
			want += uint64(other.num("orig_pkts") + other.num("resp_pkts"))
		}
	}
	got := e.rec.table.Packets[flow.NotIP]
	for _, r := range e.rec.flows {
		if v := viewOf(r); slices.Contains(v.tunnels, kind) {
			got += v.packets()
		}
	}
	var d differences
	d.check("packets in "+kind, got, want)
	return verdict{problems: d}
}

// outerKind returns the type of tunnel that a connection of Zeek's carries, ""
// if it carries none.
func (e *evidence) outerKind(f *fact) string {
	if kind := zeekTunnelServices[f.str("service")]; kind != "" {
		return kind
	}
	for _, t := range e.facts {
		if t.Kind == "tunnel" && sameEnds(t, f) && len(zeekTunnelTypes[t.str("tunnel_type")]) > 0 {
			return zeekTunnelTypes[t.str("tunnel_type")][0]
		}
	}
	return ""
}

func sameEnds(a, b *fact) bool {
	for _, key := range []string{"id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p"} {
		if a.str(key) != b.str(key) {
			return false
		}
	}
	return true
}

// tracked says that a connection of Zeek's that carries a tunnel is an ordinary
// flow here.
func (e *evidence) tracked(f *fact) bool {
	a, _ := endpoint(f.str("id.orig_h"), f.str("id.orig_p"))
	b, _ := endpoint(f.str("id.resp_h"), f.str("id.resp_p"))
	return slices.ContainsFunc(e.rec.flows, func(r *flowRecord) bool {
		return samePair(r, zeekTransports[f.str("proto")], a, b)
	})
}

// zeekSumsAgree compares all connections between two endpoints with all flows
// between them: Zeek begins a new one where it sees packets after an end of its
// own rules, among them RST and the silence after half a teardown.
func zeekSumsAgree(e *evidence, f *fact, transport flow.Transport, a, b netip.AddrPort) bool {
	var want, got [4]int64
	facts := 0
	for _, other := range e.facts {
		if other.Kind == "conn" && other.GT == f.GT && sameEnds(other, f) {
			facts++
			for i, key := range []string{"orig_pkts", "resp_pkts", "orig_ip_bytes", "resp_ip_bytes"} {
				want[i] += other.num(key)
			}
		}
	}
	flows := 0
	for _, r := range e.rec.flows {
		if samePair(r, transport, a, b) {
			flows++
			v := viewOf(r)
			if v.src != a {
				v = v.swapped()
			}
			for i := range 2 {
				got[i] += int64(v.sides[i].Packets)
				got[2+i] += int64(v.sides[i].IPBytes)
			}
		}
	}
	return facts+flows > 2 && got == want
}

// zeekTunnelTypes are the types of tunnel.log as they are called here.
var zeekTunnelTypes = map[string][]string{
	"Tunnel::GRE": {"gre", "nvgre", "erspan"}, "Tunnel::VXLAN": {"vxlan"}, "Tunnel::GENEVE": {"geneve"},
	"Tunnel::GTPv1": {"gtpu"}, "Tunnel::TEREDO": {"teredo"}, "Tunnel::IP": {"ipip", "6in4", "ip"},
}

// judgeZeekTunnel asks for a flow inside a tunnel of that type.
func judgeZeekTunnel(e *evidence, f *fact) verdict {
	if reason := otherTraces[path.Dir(f.GT)]; reason != "" {
		return notYet(reason)
	}
	kind := f.str("tunnel_type")
	if kind == "Tunnel::HTTP" {
		return notYet("no HTTP parser")
	}
	for _, r := range e.rec.flows {
		for _, t := range r.info.Tunnels {
			if slices.Contains(zeekTunnelTypes[kind], t.Type) {
				return found
			}
		}
	}
	return missing("no flow in a tunnel of type %s", kind)
}

// seconds reads Zeek's text form of an interval as microseconds.
func microseconds(text string) int64 {
	s, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return -1
	}
	return int64(math.Round(s * 1e6))
}
