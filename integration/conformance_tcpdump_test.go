package integration

import (
	"fmt"
	"path"
	"regexp"
	"strings"
	"time"

	"flowscope/session"
)

// A packet in tcpdump's output begins with its number and time; -v puts what is
// above IP on a second line.
var (
	tcpdumpHead = regexp.MustCompile(`(?m)^ +\d+  (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}) `)
	tcpdumpEnds = regexp.MustCompile(`(\S+)\.(\d+) > (\S+)\.(\d+): (?:\[[^\]]*\] )?(\d+) ?(.*)$`)
	// A query: flags, additional records, type, name, size.
	tcpdumpQuery = regexp.MustCompile(`^([+%]*) (?:\[(\d+)au\] )?(\S+)\? (\S+)\. (.*)\((\d+)\)$`)
	// A response: flags, the question at -vv, three counts, records, size.
	tcpdumpResponse = regexp.MustCompile(`^([*\-|$]*) ?(?:q: (\S+)\? (\S+)\. )?(\d+)/(\d+)/(\d+) (.*) \((\d+)\)$`)
)

// judgeTcpdump compares every message of a text output with ours.
func judgeTcpdump(e *evidence, f *fact) verdict {
	text := expectation(e.tb, f.Cap, path.Base(f.GT))
	heads := tcpdumpHead.FindAllStringSubmatchIndex(text, -1)
	var problems differences
	problems.check("packets printed", len(heads), f.num("packets_printed"))
	problems.check("packets", e.rec.ingest.Packets, f.num("packets_printed"))
	for i, h := range heads {
		end := len(text)
		if i+1 < len(heads) {
			end = heads[i+1][0]
		}
		at, err := time.Parse("2006-01-02 15:04:05.000000", text[h[2]:h[3]])
		if err != nil {
			return missing("%v", err)
		}
		packet := strings.Join(strings.Fields(text[h[1]:end]), " ")
		d := tcpdumpPacket(e, at, packet)
		if len(d) > 0 {
			problems = append(problems, packet)
			problems = append(problems, d...)
		}
	}
	return verdict{problems: problems}
}

func tcpdumpPacket(e *evidence, at time.Time, packet string) (d differences) {
	ends := tcpdumpEnds.FindStringSubmatch(packet)
	if ends == nil {
		return differences{"a line of another form"}
	}
	var m *dnsMessage
	for _, candidate := range e.dns {
		if candidate.event.Time.Time().Equal(at) {
			m = candidate
		}
	}
	if m == nil && strings.HasSuffix(packet, "[|domain]") {
		return tcpdumpDamaged(e, at, ends)
	}
	if m == nil {
		return differences{"no message at that time"}
	}
	d.check("source", m.sender(), endpointText(ends[1], ends[2]))
	d.check("destination", m.receiver(), endpointText(ends[3], ends[4]))
	d.check("id", m.ID, ends[5])
	if m.response {
		return append(d, tcpdumpResponseDifferences(m, ends[6])...)
	}
	return append(d, tcpdumpQueryDifferences(m, ends[6])...)
}

// tcpdumpDamaged asks for the anomaly of a message that tcpdump gave up on, and
// of which nothing could be read.
func tcpdumpDamaged(e *evidence, at time.Time, ends []string) (d differences) {
	for _, r := range e.rec.flows {
		for _, ev := range r.events {
			if ev.Type == session.AnomalyEvent && ev.Reason == "dns_malformed" && ev.Time.Time().Equal(at) {
				d.check("source", r.info.Src, endpointText(ends[1], ends[2]))
				d.check("destination", r.info.Dst, endpointText(ends[3], ends[4]))
				d.check("protocol", r.protocol, "dns")
				return d
			}
		}
	}
	return differences{"no message at that time, nor an anomaly"}
}

func endpointText(addr, port string) string {
	ap, _ := endpoint(addr, port)
	return ap.String()
}

func tcpdumpQueryDifferences(m *dnsMessage, text string) (d differences) {
	q := tcpdumpQuery.FindStringSubmatch(text)
	if q == nil {
		return differences{"a query of another form"}
	}
	d.check("RD", m.RD, strings.Contains(q[1], "+"))
	d.check("CD", m.CD, strings.Contains(q[1], "%"))
	additionals := q[2]
	if additionals == "" {
		additionals = "0"
	}
	d.check("additional records", tcpdumpAdditionals(m), additionals)
	d.check("type", m.question().Type, q[3])
	d.check("name", m.question().Name, q[4])
	d.check("size", m.Size, q[6])
	d = append(d, tcpdumpOPT(m, q[5])...)
	return d
}

func tcpdumpResponseDifferences(m *dnsMessage, text string) (d differences) {
	r := tcpdumpResponse.FindStringSubmatch(text)
	if r == nil {
		return differences{"a response of another form"}
	}
	d.check("AA", m.AA, strings.Contains(r[1], "*"))
	d.check("RA", m.RA, !strings.Contains(r[1], "-"))
	d.check("TC", m.TC, strings.Contains(r[1], "|"))
	d.check("AD", m.AD, strings.Contains(r[1], "$"))
	if r[2] != "" {
		d.check("type", m.question().Type, r[2])
		d.check("name", m.question().Name, r[3])
	}
	d.check("answers", len(m.Answers), r[4])
	d.check("authorities", len(m.Authorities), r[5])
	d.check("additionals", tcpdumpAdditionals(m), r[6])
	d.check("size", m.Size, r[8])
	listed := m.Answers
	if strings.Contains(r[7], " ns: ") {
		listed = m.records()
	}
	rest := r[7]
	for _, record := range listed {
		data := ""
		switch record.Type {
		case "A", "AAAA":
			data = " " + record.Data
		case "NS":
			data = " " + record.Data + "."
		}
		want := record.Type + data
		_, after, ok := strings.Cut(rest, want)
		if !ok {
			d = append(d, fmt.Sprintf("tcpdump does not print %s %s in this place", record.Name, want))
		}
		rest = after
	}
	return append(d, tcpdumpOPT(m, rest)...)
}

// tcpdumpAdditionals counts additional records as the header does, with OPT.
func tcpdumpAdditionals(m *dnsMessage) int {
	n := len(m.Additionals)
	if m.EDNS != nil {
		n++
	}
	return n
}

var tcpdumpOPTText = regexp.MustCompile(`OPT UDPsize=(\d+)( DO)?(?: \[COOKIE ([0-9a-f]+)\])?`)

// tcpdumpOPT compares EDNS where tcpdump prints it.
func tcpdumpOPT(m *dnsMessage, text string) (d differences) {
	opt := tcpdumpOPTText.FindStringSubmatch(text)
	if opt == nil {
		return nil
	}
	if m.EDNS == nil {
		return differences{"no EDNS"}
	}
	d.check("UDPsize", m.EDNS.UDPSize, opt[1])
	d.check("DO", m.EDNS.DO, opt[2] != "")
	d.check("COOKIE", m.EDNS.Cookie, opt[3])
	return d
}
