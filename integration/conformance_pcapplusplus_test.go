package integration

import (
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"flowscope/flow"
)

// judgePcapPlusPlus judges what the examples of PcapPlusPlus print.
func judgePcapPlusPlus(e *evidence, f *fact) verdict {
	switch path.Base(f.GT) {
	case "ipdefragutil_ipv6.txt":
		return judgeDefragmentation(e, f)
	case "no-ipv6-frag.pcap":
		return judgeDefragmented(e, f)
	case "httpanalyzer_sanity.txt":
		return notYet("text: no HTTP parser")
	case "sslanalyzer_tls.txt":
		return judgeSSLAnalyzer(e, f)
	}
	if strings.Contains(f.GT, "/tcpreassembly_sanity/") {
		return notYet("text: needs TCP reassembly")
	}
	return missing("no judge for %s", f.GT)
}

var defragLine = regexp.MustCompile(`(?m)^(.+?):\s+(\d+)$`)

// judgeDefragmentation compares the counts: all packets belong to flows in the
// end, and the flow of the one datagram counts its fragments.
func judgeDefragmentation(e *evidence, f *fact) verdict {
	counts := map[string]uint64{}
	for _, m := range defragLine.FindAllStringSubmatch(expectation(e.tb, f.Cap, path.Base(f.GT)), -1) {
		var n uint64
		fmt.Sscan(m[2], &n)
		counts[m[1]] = n
	}
	var d differences
	d.check("packets", e.rec.ingest.Packets, counts["Total packets read"])
	d.check("handled packets", e.rec.table.Packets[flow.Handled], counts["Total packets read"])
	d.check("datagrams", counts["Total packets reassembled"], 1)
	fragments := counts["Total fragments matched"]
	if !slices.ContainsFunc(e.rec.flows, func(r *flowRecord) bool {
		return r.stats.Sides[0].Packets == fragments || r.stats.Sides[1].Packets == fragments
	}) {
		d = append(d, fmt.Sprintf("no side of a flow has %d fragments", fragments))
	}
	return verdict{problems: d}
}

// judgeDefragmented compares the capture with one in which its fragmented
// datagrams are whole: the flows in there carry the same payload.
func judgeDefragmented(e *evidence, f *fact) verdict {
	whole := record(e.tb, filepath.Join(capturePath(e.tb, f.Cap)+".expect", path.Base(f.GT)), 1)
	var d differences
	if len(whole.flows) == 0 {
		d = append(d, "no flow in the whole datagrams")
	}
	for _, w := range whole.flows {
		problem := fmt.Sprintf("no flow %v > %v", w.info.Src, w.info.Dst)
		for _, r := range e.rec.flows {
			if samePair(r, w.info.Transport, w.info.Src, w.info.Dst) {
				problem = ""
				from := flow.Initiator
				if r.info.Src != w.info.Src {
					from = flow.Responder
				}
				d.check("payload", r.stats.Sides[from].PayloadBytes, w.stats.Sides[flow.Initiator].PayloadBytes)
				d.check("community_id", r.info.CommunityID, w.info.CommunityID)
			}
		}
		if problem != "" {
			d = append(d, problem)
		}
	}
	return verdict{problems: d}
}
