package integration

import (
	"encoding/json"
	"maps"
	"net/netip"
	"slices"
	"time"

	"flowscope/flow"
	"flowscope/ingest"
)

// judgeArkimeFlow judges a session of Arkime: its bytes are whole frames, its
// times are cut to milliseconds.
func judgeArkimeFlow(e *evidence, f *fact) verdict {
	if f.F["src"] == nil || slices.Contains(f.list("protocols"), "arp") {
		return judgeArkimeNoIP(e)
	}
	src, ok1 := endpoint(f.str("src"), f.str("sport"))
	dst, ok2 := endpoint(f.str("dst"), f.str("dport"))
	if !ok1 || !ok2 {
		return missing("addresses that cannot be read")
	}
	transport := flow.Transport(f.num("ipproto"))
	if transport == flow.ICMP || transport == flow.ICMPv6 {
		// Arkime's sessions do not tell types of ICMP apart.
		return judgeArkimeHosts(e, f, src.Addr().String(), transport)
	}
	var candidates []differences
	for _, r := range e.rec.flows {
		if !samePair(r, transport, src, dst) {
			continue
		}
		d := arkimeDifferences(viewOf(r), f)
		if len(d) == 0 && e.claim(f, r) {
			return found
		}
		candidates = append(candidates, d)
	}
	if len(candidates) > 0 && arkimeSumsAgree(e, f, transport, src, dst) {
		return foundInSum
	}
	return fewest(candidates, "no such flow")
}

// arkimeSumsAgree compares all sessions between two endpoints with all flows
// between them: Arkime's sessions end by its own rules and time-outs.
func arkimeSumsAgree(e *evidence, f *fact, transport flow.Transport, src, dst netip.AddrPort) bool {
	var want, got [4]int64
	facts := 0
	for _, other := range e.facts {
		if other.Kind == "flow" && other.GT == f.GT && other.str("src")+other.str("sport")+other.str("dst")+other.str("dport") ==
			f.str("src")+f.str("sport")+f.str("dst")+f.str("dport") {
			facts++
			for i, key := range []string{"sou_packets", "des_packets", "sou_bytes", "des_bytes"} {
				want[i] += other.num(key)
			}
		}
	}
	flows := 0
	for _, r := range e.rec.flows {
		if samePair(r, transport, src, dst) {
			flows++
			v := viewOf(r)
			if v.src != src {
				v = v.swapped()
			}
			for i := range 2 {
				got[i] += int64(v.sides[i].Packets)
				got[2+i] += int64(v.sides[i].Bytes)
			}
		}
	}
	return facts+flows > 2 && got == want
}

// judgeArkimeHosts adds up all flows of a transport between two hosts.
func judgeArkimeHosts(e *evidence, f *fact, src string, transport flow.Transport) verdict {
	a, _ := endpoint(src, "0")
	b, _ := endpoint(f.str("dst"), "0")
	var flows []*flowRecord
	for _, r := range e.rec.flows {
		if sameHosts(r, transport, a.Addr(), b.Addr()) {
			flows = append(flows, r)
		}
	}
	if len(flows) == 0 {
		return missing("no such flow")
	}
	return verdict{problems: arkimeDifferences(viewOf(flows...), f)}
}

// judgeArkimeNoIP compares all frames without IP: they have no flows here and
// are counted.
func judgeArkimeNoIP(e *evidence) verdict {
	want := uint64(0)
	for _, f := range e.facts {
		if f.Kind == "flow" && f.project == "arkime" && (f.F["src"] == nil || slices.Contains(f.list("protocols"), "arp")) {
			want += uint64(f.num("packets"))
		}
	}
	var d differences
	d.check("packets without IP", e.rec.table.Packets[flow.NotIP], want)
	return verdict{problems: d}
}

func arkimeDifferences(v flowView, f *fact) differences {
	var d differences
	if v.src.Addr().String() != mustAddr(f.str("src")) {
		d = append(d, "the other side is the initiator")
		v = v.swapped()
	}
	client, server := &v.sides[0], &v.sides[1]
	d.check("packets of the initiator", client.Packets, f.num("sou_packets"))
	d.check("packets of the responder", server.Packets, f.num("des_packets"))
	d.check("bytes of the initiator", client.Bytes, f.num("sou_bytes"))
	d.check("bytes of the responder", server.Bytes, f.num("des_bytes"))
	d.check("packets", v.packets(), f.num("packets"))
	d.check("bytes", client.Bytes+server.Bytes, f.num("bytes"))
	d.check("first_ms", milliseconds(v.first), f.num("first_ms"))
	d.check("last_ms", milliseconds(v.last), f.num("last_ms"))
	if f.num("last_ms")-f.num("first_ms") == f.num("length_ms") {
		d.check("length_ms", milliseconds(v.last)-milliseconds(v.first), f.num("length_ms"))
	}
	if id := f.str("community_id"); id != "" && !slices.Contains(v.ids, id) {
		d.check("community_id", v.ids, id)
	}
	if vlan, ok := f.F["vlan"].(map[string]any); ok {
		d.check("vlan", sortedNumbers(v.vlans), sortedTexts(vlan["id"].([]any)))
	} else {
		d.check("vlan", sortedNumbers(v.vlans), "[]")
	}
	d = append(d, arkimePayload(&v, f)...)
	d = append(d, arkimeFlags(&v, f)...)
	d = append(d, arkimeProtocols(&v, f)...)
	return d
}

// arkimePayload compares payload bytes. Of TCP Arkime counts what its reassembly
// put out, so each byte once and none behind a hole: never more than we count.
// Of ICMP it counts the header too; of other protocols nothing.
func arkimePayload(v *flowView, f *fact) (d differences) {
	for i, key := range []string{"client_payload_bytes", "server_payload_bytes"} {
		got, want := int64(v.sides[i].PayloadBytes), f.num(key)
		switch v.transport {
		case flow.TCP:
			if got < want {
				d.check(key, got, want)
			}
		case flow.ICMP, flow.ICMPv6:
			d.check(key, got+icmpHeader*int64(v.sides[i].Packets), want)
		case flow.UDP:
			d.check(key, got, want)
		}
	}
	return d
}

// icmpHeader is how much of an ICMP message is no payload, as Zeek has it.
const icmpHeader = 8

var tcpFlagBits = map[string]uint8{"fin": 1, "syn": 2, "rst": 4, "psh": 8, "urg": 32, "ece": 64, "cwr": 128}

// arkimeFlags compares which flags were seen at all. Arkime counts packets by
// flag; ack counts those with no other flag.
func arkimeFlags(v *flowView, f *fact) (d differences) {
	counts, ok := f.F["tcpflags"].(map[string]any)
	if !ok {
		return nil
	}
	number := func(name string) int64 {
		n, _ := counts[name].(json.Number)
		i, _ := n.Int64()
		return i
	}
	seen := v.sides[0].TCPFlags | v.sides[1].TCPFlags
	for _, name := range slices.Sorted(maps.Keys(tcpFlagBits)) {
		n := number(name)
		if name == "syn" {
			n += number("syn-ack")
		}
		d.check("flag "+name, seen&tcpFlagBits[name] != 0, n > 0)
	}
	return d
}

// arkimeProtocols compares what the flow speaks, for the protocols that have a
// parser here, and only over UDP: nothing parses streams yet.
func arkimeProtocols(v *flowView, f *fact) (d differences) {
	if v.transport != flow.UDP {
		return nil
	}
	for _, p := range []string{"dns", "mdns", "llmnr", "ntp", "snmp"} {
		d.check("protocol "+p, slices.Contains(v.protocols, p), slices.Contains(f.list("protocols"), p))
	}
	return d
}

func milliseconds(t ingest.Timestamp) int64 { return int64(t) / int64(time.Millisecond) }
