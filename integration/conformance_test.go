package integration

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// maxExceptions is the share of the facts in scope that may be exceptions.
const maxExceptions = 0.05

// verdict is what a judge says about a fact.
type verdict struct {
	// outOfScope says why the fact cannot be judged yet, "" where it can.
	outOfScope string
	// problems is empty when the fact was found, inSum if only all facts and all
	// flows between two endpoints agree.
	problems []string
	inSum    bool
}

var (
	found = verdict{}
	// foundInSum is for facts that cut the same packets into other flows.
	foundInSum = verdict{inSum: true}
)

func notYet(reason string) verdict { return verdict{outOfScope: reason} }

func missing(format string, args ...any) verdict {
	return verdict{problems: []string{fmt.Sprintf(format, args...)}}
}

// evidence is what facts of one capture are judged against.
type evidence struct {
	tb   testing.TB
	rec  *recording
	dns  []*dnsMessage
	http []*httpExchange
	// unpacked are the same with bodies, once they are asked for.
	unpacked []*httpExchange
	path     string
	facts    []*fact
	// claimed holds what facts of one file of facts have been found in, so
	// that a fact given twice must be found twice.
	claimed map[string]map[any]bool
}

// claim takes something for a file of facts, once.
func (e *evidence) claim(f *fact, thing any) bool {
	group := f.Kind + " " + f.GT
	if e.claimed[group] == nil {
		e.claimed[group] = map[any]bool{}
	}
	if e.claimed[group][thing] {
		return false
	}
	e.claimed[group][thing] = true
	return true
}

// judges are by project and kind of fact.
var judges = map[string]func(*evidence, *fact) verdict{
	"arkime flow":                  judgeArkimeFlow,
	"arkime dns":                   judgeArkimeDNS,
	"zeek conn":                    judgeZeekConn,
	"zeek dns":                     judgeZeekDNS,
	"zeek ntp":                     judgeZeekNTP,
	"zeek syslog":                  judgeZeekSyslog,
	"arkime ntp":                   judgeArkimeNTP,
	"arkime snmp":                  judgeArkimeSNMP,
	"suricata-verify eve:snmp":     judgeSuricataSNMP,
	"zeek tunnel":                  judgeZeekTunnel,
	"zeek-community-id text":       judgeCommunityIDs,
	"suricata-verify eve:flow":     judgeSuricataFlow,
	"suricata-verify eve:dns":      judgeSuricataDNS,
	"ipfixprobe unirec:dns":        judgeUnirecDNS,
	"arkime http":                  judgeArkimeHTTP,
	"zeek http":                    judgeZeekHTTP,
	"suricata-verify eve:http":     judgeSuricataHTTP,
	"suricata-verify eve:fileinfo": judgeSuricataFile,
	"ipfixprobe unirec:http":       judgeUnirecHTTP,
	"ipfixprobe unirec:passivedns": judgeUnirecPassiveDNS,
	"arkime tls":                   judgeArkimeTLS,
	"arkime cert":                  judgeArkimeCertificate,
	"zeek ssl":                     judgeZeekSSL,
	"zeek x509":                    judgeZeekX509,
	"suricata-verify eve:tls":      judgeSuricataTLS,
	"ipfixprobe unirec:tls":        judgeUnirecTLS,
	"dnscap text":                  judgeDnscap,
	"compactor stats":              judgeCompactor,
	"tcpdump text":                 judgeTcpdump,
	"PcapPlusPlus text":            judgePcapPlusPlus,
}

// tally counts the facts of one kind.
type tally struct{ facts, found, inSum, exceptions, notJudged int }

// TestConformance compares what flowscope says about captures with what other
// projects say about them. A fact in scope is found, or it is an exception with
// a proof; an exception that is found after all is stale and fails.
func TestConformance(t *testing.T) {
	facts := loadFacts(t)
	byCap := map[string][]*fact{}
	for _, f := range facts {
		byCap[f.Cap] = append(byCap[f.Cap], f)
	}
	exceptions := loadExceptions(t)
	known := map[string]bool{}
	tallies, reasons := map[string]*tally{}, map[string]int{}
	for _, capture := range slices.Sorted(maps.Keys(byCap)) {
		path := capturePath(t, capture)
		rec := record(t, path, 1)
		e := &evidence{
			tb: t, path: path, rec: rec, dns: dnsMessages(rec), http: httpExchanges(rec), facts: byCap[capture],
			claimed: map[string]map[any]bool{},
		}
		for _, f := range byCap[capture] {
			kind := f.project + " " + f.Kind
			n := tallies[kind]
			if n == nil {
				n = &tally{}
				tallies[kind] = n
			}
			n.facts++
			known[f.id] = true
			v := judgeFact(e, f, kind)
			x, excepted := exceptions[f.id]
			switch {
			case v.outOfScope != "":
				n.notJudged++
				reasons[kind+": "+v.outOfScope]++
				if excepted {
					t.Errorf("exception %s is not judged: remove it", f.id)
				}
			case len(v.problems) == 0:
				n.found++
				if v.inSum {
					n.inSum++
				}
				if excepted {
					t.Errorf("stale exception, the fact is found: %s", f)
				}
			case excepted:
				n.exceptions++
				if x.capture != f.Cap || x.kind != f.project+"/"+f.Kind {
					t.Errorf("exception %s names %s %s, the fact is of %s %s", f.id, x.capture, x.kind, f.Cap, f.project+"/"+f.Kind)
				}
			default:
				t.Errorf("not found: %s\n\t%s", f, strings.Join(v.problems, "\n\t"))
			}
		}
	}
	for id := range exceptions {
		if !known[id] {
			t.Errorf("exception %s is of no fact", id)
		}
	}
	reportFacts(t, tallies, reasons)
}

func judgeFact(e *evidence, f *fact, kind string) verdict {
	if reason, ok := notJudgedKinds[kind]; ok {
		return notYet(reason)
	}
	if judge := judges[kind]; judge != nil {
		return judge(e, f)
	}
	return missing("no judge for %s, and no line in notJudgedKinds", kind)
}

// reportFacts prints what was judged and holds the share of exceptions.
func reportFacts(t *testing.T, tallies map[string]*tally, reasons map[string]int) {
	var b strings.Builder
	var all tally
	row := func(name string, n *tally) {
		fmt.Fprintf(&b, "%-32s %6d %6d %6d %10d %10d\n", name, n.facts, n.found, n.inSum, n.exceptions, n.notJudged)
	}
	fmt.Fprintf(&b, "\n%-32s %6s %6s %6s %10s %10s\n", "kind", "facts", "found", "in sum", "exceptions", "not judged")
	for _, kind := range slices.Sorted(maps.Keys(tallies)) {
		n := tallies[kind]
		row(kind, n)
		all.facts += n.facts
		all.found += n.found
		all.inSum += n.inSum
		all.exceptions += n.exceptions
		all.notJudged += n.notJudged
	}
	row("all", &all)
	b.WriteString("\nnot judged yet:\n")
	for _, r := range slices.Sorted(maps.Keys(reasons)) {
		fmt.Fprintf(&b, "%5d %s\n", reasons[r], r)
	}
	t.Log(b.String())
	scope := all.facts - all.notJudged
	if float64(all.exceptions) > maxExceptions*float64(scope) {
		t.Errorf("%d of %d facts in scope are exceptions, more than %.0f %%", all.exceptions, scope, maxExceptions*100)
	}
	if all.found == 0 {
		t.Error("no fact was found")
	}
}
