package integration

import (
	"maps"
	"slices"
	"strings"

	"flowscope/flow"
)

// judgeSuricataFlow judges a check of one of Suricata's tests: so many lines of
// its log with these values. Values that come from rules or configuration are
// not compared, and a check without any other is not judged.
func judgeSuricataFlow(e *evidence, f *fact) verdict {
	want := comparable(f, suricataFlowValues(flowView{}))
	if len(want) == 0 {
		return notYet("eve:flow: all its values come from Suricata's rules and configuration")
	}
	if p := f.match()["app_proto"]; p != nil && f.num("count") == 0 {
		return notYet("eve:flow: a protocol that Suricata's configuration switches off")
	}
	if p := asText(f.match()["app_proto"]); unbuiltProtocols[p] != "" && len(want) == 1 {
		return notYet("eve:flow: " + unbuiltProtocols[p])
	}
	n := int64(0)
	var candidates []differences
	for _, r := range e.rec.flows {
		d := differ(suricataFlowValues(viewOf(r)), want)
		if seed, ok := suricataSeeds[f.GT]; ok {
			d = d.without("community_id")
			d.check("community_id", seededCommunityID(seed, r.info), want["community_id"])
		}
		if len(d) == 0 {
			n++
		}
		candidates = append(candidates, d)
	}
	if n == f.num("count") || n > f.num("count") && asksForRules(f) {
		return found
	}
	if n == 0 && suricataSumsAgree(e, f, want) {
		return foundInSum
	}
	if n == 0 {
		return fewest(candidates, "no flow at all")
	}
	return missing("%d flows have these values, want %d", n, f.num("count"))
}

// asksForRules says that a check also asks for what rules did to a flow, so that
// more flows than it counts may have the other values.
func asksForRules(f *fact) bool {
	return slices.ContainsFunc(slices.Collect(maps.Keys(f.match())), func(key string) bool {
		return strings.HasPrefix(uncomparedFields["suricata eve:flow "+key], "depends on")
	})
}

// suricataSumsAgree compares a check that names the endpoints with all flows
// between them: Suricata's flows outlive ours, whatever ends a connection.
func suricataSumsAgree(e *evidence, f *fact, want map[string]string) bool {
	src, ok1 := endpoint(want["src_ip"], want["src_port"])
	dst, ok2 := endpoint(want["dest_ip"], want["dest_port"])
	if !ok1 || !ok2 {
		return false
	}
	var flows []*flowRecord
	for _, r := range e.rec.flows {
		if suricataProtos[r.info.Transport] == want["proto"] && samePair(r, r.info.Transport, src, dst) {
			flows = append(flows, r)
		}
	}
	if len(flows) < 2 || f.num("count") != 1 {
		return false
	}
	v := viewOf(flows...)
	v.protocols = v.protocols[:1]
	return len(differ(suricataFlowValues(v), want)) == 0
}

// comparable returns the values of a check that stand in the model.
func comparable(f *fact, model map[string]string) map[string]string {
	want := map[string]string{}
	for key, value := range f.match() {
		if _, ok := model[key]; ok {
			want[key] = asText(value)
		}
	}
	return want
}

// differ compares the values of a check with ours.
func differ(got, want map[string]string) (d differences) {
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if key == "app_proto" && unbuiltProtocols[want[key]] != "" {
			continue
		}
		d.check(key, got[key], canonicalValue(key, want[key]))
	}
	return d
}

// canonicalValue writes addresses as we do: Suricata writes all digits.
func canonicalValue(key, value string) string {
	if strings.HasSuffix(key, "_ip") {
		return mustAddr(value)
	}
	return value
}

var suricataProtos = map[flow.Transport]string{
	flow.TCP: "TCP", flow.UDP: "UDP", flow.ICMP: "ICMP", flow.ICMPv6: "IPv6-ICMP",
}

// suricataFlowValues is a flow as Suricata's flow records have it. Bytes are
// frames; of what is inside a tunnel, IP packets.
func suricataFlowValues(v flowView) map[string]string {
	bytes := func(s *flow.SideStats) uint64 {
		if len(v.tunnels) > 0 {
			return s.IPBytes
		}
		return s.Bytes
	}
	flags := v.sides[0].TCPFlags | v.sides[1].TCPFlags
	m := texts(map[string]any{
		"flow.pkts_toserver":  v.sides[0].Packets,
		"flow.pkts_toclient":  v.sides[1].Packets,
		"flow.bytes_toserver": bytes(&v.sides[0]),
		"flow.bytes_toclient": bytes(&v.sides[1]),
		"flow.age":            int64(v.last)/1e9 - int64(v.first)/1e9,
		"proto":               suricataProtos[v.transport],
		"src_ip":              v.src.Addr(), "dest_ip": v.dst.Addr(),
		"src_port": v.src.Port(), "dest_port": v.dst.Port(),
		"icmp_type": v.src.Port(),
		"tcp.syn":   flags&2 != 0, "tcp.fin": flags&1 != 0, "tcp.rst": flags&4 != 0,
		"tcp.psh": flags&8 != 0, "tcp.ack": flags&16 != 0,
		"community_id": strings.Join(v.ids, " "),
		"app_proto":    strings.Join(v.protocols, " "),
	})
	return m
}
