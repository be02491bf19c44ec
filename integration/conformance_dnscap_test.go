package integration

import (
	"fmt"
	"path"
	"regexp"
	"strings"
	"time"

	"flowscope/parsers/dns"
)

// A record of dnscap's text output begins with the length of what follows the
// UDP header's ports … of the packet, and the time; continuation lines end with
// a backslash.
var (
	dnscapHead  = regexp.MustCompile(`^\[(\d+)\] (\S+ \S+) \[#\d+ \S+ \d+\] (.*)$`)
	dnscapEnds  = regexp.MustCompile(`^\[([0-9a-f.:]+)\]\.(\d+) \[([0-9a-f.:]+)\]\.(\d+)\s+dns (\S+) (.*)$`)
	dnscapOPT   = regexp.MustCompile(`^\.,(\d+),(\d+),(\d+),edns0\[len=(\d+),UDP=(\d+),ver=(\d+),rcode=(\d+),DO=([01]),z=\d+\]`)
	dnscapUnset = regexp.MustCompile(`^\[\d+\]$`) // data that dnscap only gives the length of
)

// judgeDnscap compares every message that dnscap printed, and their number.
func judgeDnscap(e *evidence, f *fact) verdict {
	text := strings.ReplaceAll(expectation(e.tb, f.Cap, path.Base(f.GT)), " \\\n\t", " ")
	n := int64(0)
	var problems differences
	for _, line := range strings.Split(text, "\n") {
		head := dnscapHead.FindStringSubmatch(line)
		if head == nil {
			continue
		}
		n++
		if d := dnscapLine(e, f, head); len(d) > 0 {
			problems = append(problems, line)
			problems = append(problems, d...)
		}
	}
	problems.check("messages in the expectation", n, f.num("packets_in_gold"))
	problems.check("messages", len(e.dns), f.num("packets_in_gold"))
	return verdict{problems: problems}
}

func dnscapLine(e *evidence, f *fact, head []string) differences {
	at, err := time.Parse("2006-01-02 15:04:05.000000", head[2])
	if err != nil {
		return differences{err.Error()}
	}
	ends := dnscapEnds.FindStringSubmatch(head[3])
	if ends == nil {
		return differences{"a line of another form"}
	}
	for _, m := range e.dns {
		if m.event.Time.Time().Truncate(time.Microsecond).Equal(at) && fmt.Sprint(m.sender().Port()) == ends[2] && e.claim(f, m) {
			return dnscapDifferences(m, head[1], ends)
		}
	}
	return differences{"no message at that time"}
}

func dnscapDifferences(m *dnsMessage, size string, ends []string) (d differences) {
	d.check("size", m.Size+ipUDPHeaders, size)
	d.check("source", m.sender().String(), ends[1]+":"+ends[2])
	d.check("destination", m.receiver().String(), ends[3]+":"+ends[4])
	head := strings.Split(ends[5], ",")
	d.check("header", strings.Join([]string{m.Opcode, m.rcode(), fmt.Sprint(m.ID), dnscapFlags(m)}, ","), strings.Join(head, ","))
	words := strings.Fields(ends[6])
	for _, s := range []struct {
		name  string
		lines []string
	}{
		{"questions", dnscapQuestions(m)},
		{"answers", dnscapRecords(m.Answers)},
		{"authorities", dnscapRecords(m.Authorities)},
		{"additionals", dnscapRecords(m.Additionals)},
	} {
		if len(words) == 0 {
			return append(d, s.name+": the line ends")
		}
		var count int
		fmt.Sscan(words[0], &count)
		if count > len(words)-1 {
			return append(d, s.name+": the line ends")
		}
		section := words[1 : 1+count]
		words = words[1+count:]
		d = append(d, dnscapSection(m, s.name, s.lines, section)...)
	}
	return d
}

// ipUDPHeaders is what dnscap's sizes contain beside the message over IPv4.
const ipUDPHeaders = 28

// dnscapSection compares a section. OPT is not among our records: it is compared
// with EDNS.
func dnscapSection(m *dnsMessage, name string, got, want []string) (d differences) {
	for _, w := range want {
		if opt := dnscapOPT.FindStringSubmatch(w); opt != nil {
			if m.EDNS == nil {
				return append(d, "no EDNS")
			}
			d.check("EDNS", fmt.Sprint(m.EDNS.UDPSize, m.EDNS.Version, m.EDNS.DO), fmt.Sprint(opt[5], " ", opt[6], " ", opt[8] == "1"))
			continue
		}
		if len(got) == 0 {
			d = append(d, name+": we lack "+w)
			continue
		}
		cut := strings.LastIndexByte(w, ',')
		if cut > 0 && dnscapUnset.MatchString(w[cut+1:]) {
			d.check(name, strings.Join(strings.SplitN(got[0], ",", 5)[:4], ","), w[:cut])
		} else {
			d.check(name, got[0], w)
		}
		got = got[1:]
	}
	if len(got) > 0 {
		d = append(d, fmt.Sprintf("%s: we alone have %v", name, got))
	}
	return d
}

func dnscapFlags(m *dnsMessage) string {
	var names []string
	if m.response {
		names = append(names, "qr")
	}
	for _, f := range m.flags() {
		names = append(names, strings.ToLower(f))
	}
	return strings.Join(names, "|")
}

func dnscapName(name string) string {
	if name == "." {
		return "."
	}
	// dnscap escapes commas, which part its columns.
	return strings.ReplaceAll(name, ",", `\,`) + "."
}

func dnscapQuestions(m *dnsMessage) (lines []string) {
	for _, q := range m.Questions {
		lines = append(lines, fmt.Sprintf("%s,%s,%s", dnscapName(q.Name), q.Class, q.Type))
	}
	return lines
}

func dnscapRecords(records []dns.Record) (lines []string) {
	for _, r := range records {
		data := r.Data
		switch r.Type {
		case "NS", "CNAME", "PTR":
			data = dnscapName(data)
		case "SOA":
			if f := strings.Fields(data); len(f) == 7 {
				f[0], f[1] = dnscapName(f[0]), dnscapName(f[1])
				data = strings.Join(f, ",")
			}
		case "MX":
			if pref, host, ok := strings.Cut(data, " "); ok {
				data = pref + "," + dnscapName(host)
			}
		}
		lines = append(lines, fmt.Sprintf("%s,%s,%s,%d,%s", dnscapName(r.Name), r.Class, r.Type, r.TTL, data))
	}
	return lines
}
