package integration

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"flowscope/flow"
	"flowscope/ingest"
)

// flowView is one flow, or several added up, as facts see them.
type flowView struct {
	transport flow.Transport
	src, dst  netip.AddrPort
	sides     [2]flow.SideStats
	first     ingest.Timestamp
	last      ingest.Timestamp
	by        flow.InitiatorBy
	ids       []string // community ids
	protocols []string
	vlans     []uint16
	tunnels   []string
	flows     int
	// history and state are the first flow's.
	history, state string
	missed         uint64 // bytes of streams
}

// viewOf adds flows up. The first one's initiator is the source; ports are those
// of the first flow.
func viewOf(flows ...*flowRecord) flowView {
	var v flowView
	for i, f := range flows {
		sides := f.stats.Sides
		if i == 0 {
			v = flowView{
				transport: f.info.Transport, src: f.info.Src, dst: f.info.Dst, sides: sides,
				first: f.stats.First, last: f.stats.Last, by: f.stats.InitiatorBy,
				history: string(f.stats.History.Append(nil)), state: f.stats.ConnState(f.info.Transport).String(),
			}
			if f.tcp != nil {
				v.history, v.state = f.tcp.History.String(), f.tcp.State.String()
				v.missed = f.tcp.Sides[0].GapBytes + f.tcp.Sides[1].GapBytes
			}
		} else {
			if f.info.Src.Addr() != v.src.Addr() || f.info.Src.Addr() == f.info.Dst.Addr() && f.info.Src != v.src {
				sides[0], sides[1] = sides[1], sides[0]
			}
			v.first, v.last = min(v.first, f.stats.First), max(v.last, f.stats.Last)
			for s := range sides {
				v.sides[s].Packets += sides[s].Packets
				v.sides[s].Bytes += sides[s].Bytes
				v.sides[s].IPBytes += sides[s].IPBytes
				v.sides[s].PayloadBytes += sides[s].PayloadBytes
				v.sides[s].TCPFlags |= sides[s].TCPFlags
			}
		}
		v.flows++
		v.ids = append(v.ids, f.info.CommunityID.String())
		v.protocols = append(v.protocols, f.protocol)
		for _, id := range f.info.VLANs {
			if !slices.Contains(v.vlans, id) {
				v.vlans = append(v.vlans, id)
			}
		}
		for _, t := range f.info.Tunnels {
			v.tunnels = append(v.tunnels, t.Type)
		}
	}
	return v
}

// swapped is the same with the other side as the source.
func (v flowView) swapped() flowView {
	v.src, v.dst = v.dst, v.src
	v.sides[0], v.sides[1] = v.sides[1], v.sides[0]
	return v
}

func (v flowView) packets() uint64 { return v.sides[0].Packets + v.sides[1].Packets }

// samePair says whether a flow is between two endpoints, whoever began.
func samePair(f *flowRecord, transport flow.Transport, a, b netip.AddrPort) bool {
	src, dst := f.info.Src, f.info.Dst
	return f.info.Transport == transport && (src == a && dst == b || src == b && dst == a)
}

// sameHosts is samePair without ports.
func sameHosts(f *flowRecord, transport flow.Transport, a, b netip.Addr) bool {
	src, dst := f.info.Src.Addr(), f.info.Dst.Addr()
	return f.info.Transport == transport && (src == a && dst == b || src == b && dst == a)
}

// differences collects what is not as a fact says.
type differences []string

func (d *differences) check(what string, got, want any) {
	if fmt.Sprint(got) != fmt.Sprint(want) {
		*d = append(*d, fmt.Sprintf("%s: we say %v, the fact %v", what, got, want))
	}
}

// without drops the differences of one value.
func (d differences) without(what string) differences {
	return slices.DeleteFunc(slices.Clone(d), func(s string) bool { return strings.HasPrefix(s, what+": ") })
}

// fewest returns the shortest list of differences.
func fewest(candidates []differences, none string) verdict {
	if len(candidates) == 0 {
		return missing("%s", none)
	}
	return verdict{problems: slices.MinFunc(candidates, func(a, b differences) int { return cmp.Compare(len(a), len(b)) })}
}

func endpoint(addr, port string) (netip.AddrPort, bool) {
	a, err := netip.ParseAddr(addr)
	if err != nil {
		return netip.AddrPort{}, false
	}
	var p uint16
	if _, err := fmt.Sscan(port, &p); err != nil {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(a, p), true
}
