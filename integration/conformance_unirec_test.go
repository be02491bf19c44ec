package integration

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	mdns "github.com/miekg/dns"

	"flowscope/flow"
	"flowscope/ingest"
)

// The columns of ipfixprobe's records, as the first row of each file has them.
var (
	unirecDNS = strings.Fields(`DST_IP SRC_IP BYTES BYTES_REV LINK_BIT_FIELD TIME_FIRST TIME_LAST DST_MAC SRC_MAC
		DNS_RR_TTL PACKETS PACKETS_REV DNS_ANSWERS DNS_CLASS DNS_ID DNS_PSIZE DNS_QTYPE DNS_RLENGTH DST_PORT SRC_PORT
		DIR_BIT_FIELD DNS_DO DNS_RCODE PROTOCOL TCP_FLAGS TCP_FLAGS_REV DNS_NAME DNS_RDATA`)
	unirecPassiveDNS = strings.Fields(`DNS_IP DST_IP SRC_IP BYTES BYTES_REV LINK_BIT_FIELD TIME_FIRST TIME_LAST
		DST_MAC SRC_MAC DNS_RR_TTL PACKETS PACKETS_REV DNS_ATYPE DNS_ID DST_PORT SRC_PORT DIR_BIT_FIELD PROTOCOL
		TCP_FLAGS TCP_FLAGS_REV DNS_NAME`)
)

// unirecRow names the cells of a row; ok is false for the row of names, which
// must be the ones above.
func unirecRow(f *fact, columns []string) (row map[string]string, ok bool, problem string) {
	cells := f.list("csv")
	if len(cells) != len(columns) {
		return nil, false, fmt.Sprintf("%d columns, want %d", len(cells), len(columns))
	}
	row = map[string]string{}
	for i, c := range cells {
		row[columns[i]] = c
	}
	if strings.Contains(cells[0], " ") { // type and name
		for i, c := range cells {
			if _, name, _ := strings.Cut(c, " "); name != columns[i] {
				problem = fmt.Sprintf("column %d is %s, want %s", i, name, columns[i])
			}
		}
		return row, false, problem
	}
	return row, true, ""
}

// judgeUnirecDNS judges a record of one DNS packet.
func judgeUnirecDNS(e *evidence, f *fact) verdict {
	row, ok, problem := unirecRow(f, unirecDNS)
	switch {
	case problem != "":
		return missing("%s", problem)
	case !ok:
		return notYet("unirec: the row of the columns' names")
	}
	var candidates []differences
	for _, m := range e.dns {
		if asText(m.ID) != row["DNS_ID"] || m.sender().Addr().String() != row["SRC_IP"] {
			continue
		}
		d := unirecDifferences(m, row)
		if len(d) == 0 && e.claim(f, m) {
			return found
		}
		candidates = append(candidates, d)
	}
	return fewest(candidates, "no such message")
}

func unirecDifferences(m *dnsMessage, row map[string]string) differences {
	var d differences
	src, dst := m.sender(), m.receiver()
	d.check("SRC_IP", src.Addr(), row["SRC_IP"])
	d.check("DST_IP", dst.Addr(), row["DST_IP"])
	d.check("SRC_PORT", src.Port(), row["SRC_PORT"])
	d.check("DST_PORT", dst.Port(), row["DST_PORT"])
	d.check("PROTOCOL", uint8(m.flow.info.Transport), row["PROTOCOL"])
	d.check("TIME_FIRST", unirecTime(m.event.Time), row["TIME_FIRST"])
	d.check("TIME_LAST", unirecTime(m.event.Time), row["TIME_LAST"])
	side := m.flow.stats.Sides[m.event.Side]
	d.check("PACKETS", side.Packets, row["PACKETS"])
	d.check("BYTES", side.IPBytes, row["BYTES"])
	d.check("DNS_ANSWERS", len(m.Answers), row["DNS_ANSWERS"])
	d.check("DNS_CLASS", m.question().Class, mnemonicOf(mdns.ClassToString, row["DNS_CLASS"]))
	d.check("DNS_QTYPE", m.question().Type, mnemonicOf(mdns.TypeToString, row["DNS_QTYPE"]))
	d.check("DNS_RCODE", dnsRcodes[m.rcode()], row["DNS_RCODE"])
	// ipfixprobe writes the root as an empty name.
	d.check("DNS_NAME", strings.TrimPrefix(m.question().Name, "."), row["DNS_NAME"])
	psize, do := uint16(0), 0
	if m.EDNS != nil {
		psize = m.EDNS.UDPSize
		if m.EDNS.DO {
			do = 1
		}
	}
	d.check("DNS_PSIZE", psize, row["DNS_PSIZE"])
	d.check("DNS_DO", do, row["DNS_DO"])
	ttl, data := uint32(0), ""
	if len(m.Answers) > 0 {
		ttl, data = m.Answers[0].TTL, unirecData(m.Answers[0].Type, m.Answers[0].Data)
	}
	d.check("DNS_RR_TTL", ttl, row["DNS_RR_TTL"])
	want, err := hex.DecodeString(row["DNS_RDATA"])
	if err != nil {
		d = append(d, "DNS_RDATA: "+err.Error())
	}
	d.check("DNS_RDATA", data, string(want))
	return d
}

// unirecData writes resource data as ipfixprobe does.
func unirecData(kind, data string) string {
	switch kind {
	case "TXT":
		return unquoted(data)
	case "RRSIG": // RFC 4034 section 3.2: times are numbers there, and the key is left out
		f := strings.Fields(data)
		if len(f) < 8 {
			return data
		}
		return fmt.Sprint(mdns.StringToType[f[0]], " ", f[1], " ", f[2], " ", f[3], " ",
			unixTime(f[4]), " ", unixTime(f[5]), " ", f[6], " <key>")
	}
	return data
}

func unixTime(text string) string {
	t, err := time.Parse("20060102150405", text)
	if err != nil {
		return text
	}
	return strconv.FormatInt(t.Unix(), 10)
}

func unirecTime(t ingest.Timestamp) string {
	return t.Time().Truncate(time.Microsecond).Format("2006-01-02T15:04:05.000000")
}

// judgeUnirecPassiveDNS judges a record of one address that a name got, or the
// other way round, with the flow that it was learnt from.
func judgeUnirecPassiveDNS(e *evidence, f *fact) verdict {
	row, ok, problem := unirecRow(f, unirecPassiveDNS)
	switch {
	case problem != "":
		return missing("%s", problem)
	case !ok:
		return notYet("unirec: the row of the columns' names")
	}
	var candidates []differences
	for _, m := range e.dns {
		if !m.response || asText(m.ID) != row["DNS_ID"] {
			continue
		}
		for _, r := range m.Answers {
			addr, name := r.Data, r.Name
			if r.Type == "PTR" {
				addr, name = reverseAddr(r.Name), r.Data
			}
			var d differences
			v := viewOf(m.flow)
			d.check("DNS_IP", addr, row["DNS_IP"])
			d.check("DNS_NAME", name, row["DNS_NAME"])
			d.check("DNS_ATYPE", r.Type, mnemonicOf(mdns.TypeToString, row["DNS_ATYPE"]))
			d.check("DNS_RR_TTL", r.TTL, row["DNS_RR_TTL"])
			d.check("SRC_IP", v.src.Addr(), row["SRC_IP"])
			d.check("DST_IP", v.dst.Addr(), row["DST_IP"])
			d.check("SRC_PORT", v.src.Port(), row["SRC_PORT"])
			d.check("DST_PORT", v.dst.Port(), row["DST_PORT"])
			d.check("PROTOCOL", uint8(v.transport), row["PROTOCOL"])
			d.check("BYTES", v.sides[flow.Initiator].IPBytes, row["BYTES"])
			d.check("BYTES_REV", v.sides[flow.Responder].IPBytes, row["BYTES_REV"])
			d.check("PACKETS", v.sides[flow.Initiator].Packets, row["PACKETS"])
			d.check("PACKETS_REV", v.sides[flow.Responder].Packets, row["PACKETS_REV"])
			d.check("TIME_FIRST", unirecTime(v.first), row["TIME_FIRST"])
			d.check("TIME_LAST", unirecTime(v.last), row["TIME_LAST"])
			if len(d) == 0 && e.claim(f, m.event.ID()+row["DNS_IP"]) {
				return found
			}
			candidates = append(candidates, d)
		}
	}
	return fewest(candidates, "no such answer")
}

// reverseAddr returns the IPv4 address that a name under in-addr.arpa stands for
// (RFC 1035 section 3.5).
func reverseAddr(name string) string {
	labels := strings.Split(strings.TrimSuffix(name, ".in-addr.arpa"), ".")
	if len(labels) != 4 {
		return name
	}
	return labels[3] + "." + labels[2] + "." + labels[1] + "." + labels[0]
}
