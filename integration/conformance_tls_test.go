package integration

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"flowscope/flow"
	"flowscope/parsers/tls"
)

// tlsRecord is what the events of one connection say.
type tlsRecord struct {
	flow         *flowRecord
	client       *tls.ClientHello
	server       *tls.ServerHello
	handshake    *tls.Handshake
	certificates [2][]tls.Certificate // by side
}

// tlsRecords returns the TLS connections of a capture.
func tlsRecords(rec *recording) (list []*tlsRecord) {
	for _, r := range rec.flows {
		c := &tlsRecord{flow: r}
		for _, ev := range r.events {
			switch m := ev.Message.(type) {
			case *tls.ClientHello:
				if c.client == nil {
					c.client = m
				}
			case *tls.ServerHello:
				c.server = m
			case *tls.CertificateMessage:
				c.certificates[ev.Side] = m.Certificates
			case *tls.Handshake:
				c.handshake = m
			}
		}
		if c.handshake != nil {
			list = append(list, c)
		}
	}
	return list
}

// judgeArkimeTLS judges what Arkime says of a session.
func judgeArkimeTLS(e *evidence, f *fact) verdict {
	if f.num("ipproto") != int64(flow.TCP) {
		return notYet("arkime tls: no QUIC parser")
	}
	c, problem := arkimeTLSRecord(e, f)
	if c == nil {
		return missing("%s", problem)
	}
	var d differences
	values, _ := f.F["v"].(map[string]any)
	one := func(key string) string {
		list, _ := values[key].([]any)
		if len(list) != 1 {
			return ""
		}
		return asText(list[0])
	}
	server, client := c.server, c.client
	if server == nil || client == nil {
		return missing("no hello of one side")
	}
	d.check("cipher", server.CipherSuite, one("cipher"))
	d.check("version", arkimeVersion(server.Version), one("version"))
	d.check("ja3s", server.JA3S, one("ja3s"))
	sum := md5.Sum([]byte(one("ja3sstring")))
	d.check("ja3sstring", server.JA3S, hex.EncodeToString(sum[:]))
	d.check("ja3", client.JA3, one("ja3"))
	d.check("ja4", client.JA4, one("ja4"))
	if s := one("ja3string"); s != "" {
		d.check("ja3string", arkimeJA3(client), s)
	}
	d.check("srcSessionId", client.SessionID, one("srcSessionId"))
	d.check("dstSessionId", server.SessionID, one("dstSessionId"))
	if s := one("ja4_r"); s != "" {
		d.check("ja4_r", arkimeJA4Raw(client), s)
	}
	return verdict{problems: d}
}

func arkimeTLSRecord(e *evidence, f *fact) (*tlsRecord, string) {
	src, ok1 := endpoint(f.str("src"), f.str("sport"))
	dst, ok2 := endpoint(f.str("dst"), f.str("dport"))
	if !ok1 || !ok2 {
		return nil, "addresses that cannot be read"
	}
	for _, c := range tlsRecords(e.rec) {
		if samePair(c.flow, flow.TCP, src, dst) {
			return c, ""
		}
	}
	return nil, "no TLS between these endpoints"
}

// arkimeVersion writes a version as Arkime does.
func arkimeVersion(v string) string {
	if n, ok := strings.CutPrefix(v, "TLS 1.3 draft "); ok {
		return "TLSv1.3-draft-" + n
	}
	return map[string]string{"TLS 1.3": "TLSv1.3", "TLS 1.2": "TLSv1.2", "TLS 1.1": "TLSv1.1", "TLS 1.0": "TLSv1", "SSL 3.0": "SSLv3"}[v]
}

func isReserved(v uint32) bool { return v&0x0f0f == 0x0a0a && v>>8 == v&0xff }

func dashed[N uint16 | uint32](list []N) string {
	var b strings.Builder
	for _, v := range list {
		if isReserved(uint32(v)) {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('-')
		}
		fmt.Fprint(&b, v)
	}
	return b.String()
}

// arkimeJA3 puts together what a JA3 fingerprint is made of.
func arkimeJA3(m *tls.ClientHello) string {
	return strings.Join([]string{
		versionNumber(m.Version), dashed(m.CipherSuites), dashed(m.Extensions), dashed(m.SupportedGroups), dashed(m.ECPointFormats),
	}, ",")
}

func versionNumber(v string) string {
	if n, ok := strings.CutPrefix(v, "TLS 1.3 draft "); ok {
		d, _ := strconv.Atoi(n)
		return strconv.Itoa(0x7f00 + d)
	}
	return map[string]string{"TLS 1.3": "772", "TLS 1.2": "771", "TLS 1.1": "770", "TLS 1.0": "769", "SSL 3.0": "768"}[v]
}

// arkimeJA4Raw puts together what a JA4 fingerprint is made of.
func arkimeJA4Raw(m *tls.ClientHello) string {
	hexes := func(list []uint16, sorted bool) string {
		var texts []string
		for _, v := range list {
			if !isReserved(uint32(v)) {
				texts = append(texts, fmt.Sprintf("%04x", v))
			}
		}
		if sorted {
			slices.Sort(texts)
		}
		return strings.Join(texts, ",")
	}
	var suites, extensions []uint16
	for _, v := range m.CipherSuites {
		suites = append(suites, uint16(v))
	}
	for _, v := range m.Extensions {
		if v != 0 && v != 16 {
			extensions = append(extensions, v)
		}
	}
	a, _, _ := strings.Cut(m.JA4, "_")
	raw := a + "_" + hexes(suites, true) + "_" + hexes(extensions, true)
	if len(m.SignatureAlgorithms) > 0 {
		raw += "_" + hexes(m.SignatureAlgorithms, false)
	}
	return raw
}

// judgeArkimeCertificate judges what Arkime says of one certificate.
func judgeArkimeCertificate(e *evidence, f *fact) verdict {
	c, problem := arkimeTLSRecord(e, f)
	if c == nil {
		return missing("%s", problem)
	}
	values, _ := f.F["v"].(map[string]any)
	var candidates []differences
	for side := range c.certificates {
		for i := range c.certificates[side] {
			m := &c.certificates[side][i]
			var d differences
			d.check("hash", colons(m.SHA1), asText(values["hash"]))
			d.check("serial", m.Serial, asText(values["serial"]))
			d.check("notBefore", strconv.FormatInt(m.NotBefore.UnixMilli(), 10), asText(values["notBefore"]))
			d.check("notAfter", strconv.FormatInt(m.NotAfter.UnixMilli(), 10), asText(values["notAfter"]))
			d.check("publicAlgorithm", m.KeyType+"Encryption", asText(values["publicAlgorithm"]))
			for key, name := range map[string]string{"subject": m.Subject, "issuer": m.Issuer} {
				for suffix, word := range map[string]string{"CN": "CN", "ON": "O", "OU": "OU"} {
					want := sortedLower(values[key+suffix])
					got := slices.Sorted(slices.Values(partsOf(strings.ToLower(name), strings.ToLower(word))))
					d.check(key+suffix, fmt.Sprint(got), fmt.Sprint(want))
				}
			}
			d.check("alt", fmt.Sprint(slices.Sorted(slices.Values(m.DNSNames))), fmt.Sprint(sortedLower(values["alt"])))
			if len(d) == 0 {
				return found
			}
			candidates = append(candidates, d)
		}
	}
	return fewest(candidates, "no certificate")
}

func sortedLower(v any) []string {
	list, _ := v.([]any)
	var texts []string
	for _, s := range list {
		texts = append(texts, strings.ToLower(asText(s)))
	}
	slices.Sort(texts)
	return texts
}

// partsOf returns the values of one attribute of a name in RFC 4514's form.
func partsOf(name, word string) (values []string) {
	for _, part := range splitName(name) {
		if v, ok := strings.CutPrefix(part, word+"="); ok {
			values = append(values, strings.ReplaceAll(v, `\`, ""))
		}
	}
	return values
}

// splitName splits a name at its commas that are not escaped.
func splitName(name string) (parts []string) {
	start := 0
	for i := 0; i < len(name); i++ {
		switch name[i] {
		case '\\':
			i++
		case ',':
			parts = append(parts, name[start:i])
			start = i + 1
		}
	}
	return append(parts, name[start:])
}

func colons(digits string) string {
	var b strings.Builder
	for i := 0; i+1 < len(digits); i += 2 {
		if i > 0 {
			b.WriteByte(':')
		}
		b.WriteString(digits[i : i+2])
	}
	return b.String()
}

// judgeZeekSSL judges a line of Zeek's ssl.log: a connection.
func judgeZeekSSL(e *evidence, f *fact) verdict {
	a, ok1 := endpoint(f.str("id.orig_h"), f.str("id.orig_p"))
	b, ok2 := endpoint(f.str("id.resp_h"), f.str("id.resp_p"))
	if !ok1 || !ok2 {
		return missing("endpoints that cannot be read")
	}
	if strings.HasPrefix(f.Cap, "zeek/quic__") {
		return notYet("zeek ssl: no QUIC parser")
	}
	for _, c := range tlsRecords(e.rec) {
		if !samePair(c.flow, flow.TCP, a, b) {
			continue
		}
		var d differences
		d.check("cipher", c.handshake.CipherSuite, f.str("cipher"))
		d.check("version", strings.ReplaceAll(arkimeVersion(c.handshake.Version), ".", ""), f.str("version"))
		d.check("curve", c.handshake.KeyShareGroup, f.str("curve")) // of TLS 1.2 Zeek has none in these
		d.check("established", zeekBool(c.handshake.Outcome == tls.OutcomeEstablished), f.str("established"))
		d.check("resumed", zeekBool(c.handshake.SessionResumed), f.str("resumed"))
		d.check("server_name", c.handshake.SNI, f.str("server_name"))
		d.check("cert_chain_fps", fingerprints(c.certificates[flow.Responder]), f.str("cert_chain_fps"))
		d.check("client_cert_chain_fps", fingerprints(c.certificates[flow.Initiator]), strings.ReplaceAll(f.str("client_cert_chain_fps"), "(empty)", ""))
		return verdict{problems: d}
	}
	return missing("no TLS between these endpoints")
}

func fingerprints(chain []tls.Certificate) string {
	var list []string
	for i := range chain {
		list = append(list, chain[i].SHA256)
	}
	return strings.Join(list, ",")
}

// judgeZeekX509 judges a line of Zeek's x509.log: a certificate.
func judgeZeekX509(e *evidence, f *fact) verdict {
	var candidates []differences
	for _, c := range tlsRecords(e.rec) {
		for side := range c.certificates {
			for i := range c.certificates[side] {
				m := &c.certificates[side][i]
				var d differences
				d.check("fingerprint", m.SHA256, f.str("fingerprint"))
				d.check("subject", strings.ToLower(m.Subject), strings.ToLower(f.str("certificate.subject")))
				d.check("issuer", strings.ToLower(m.Issuer), strings.ToLower(f.str("certificate.issuer")))
				d.check("serial", strings.ToUpper(m.Serial), f.str("certificate.serial"))
				d.check("key_type", m.KeyType, f.str("certificate.key_type"))
				d.check("key_alg", m.KeyType+"Encryption", f.str("certificate.key_alg"))
				d.check("key_length", strconv.Itoa(m.KeySize), f.str("certificate.key_length"))
				d.check("sig_alg", m.SignatureAlgorithm, f.str("certificate.sig_alg"))
				d.check("not_valid_before", zeekTime(m.NotBefore), f.str("certificate.not_valid_before"))
				d.check("not_valid_after", zeekTime(m.NotAfter), f.str("certificate.not_valid_after"))
				d.check("basic_constraints.ca", zeekBool(m.CA), f.str("basic_constraints.ca"))
				d.check("san.dns", strings.Join(m.DNSNames, ","), f.str("san.dns"))
				d.check("host_cert", zeekBool(i == 0), f.str("host_cert"))
				d.check("client_cert", zeekBool(side == int(flow.Initiator)), f.str("client_cert"))
				if len(d) == 0 {
					return found
				}
				candidates = append(candidates, d)
			}
		}
	}
	return fewest(candidates, "no certificate at all")
}

func zeekTime(t *time.Time) string {
	if t == nil {
		return ""
	}
	return fmt.Sprintf("%d.000000", t.Unix())
}

// judgeSuricataTLS judges a check of one of Suricata's tests on its TLS log.
func judgeSuricataTLS(e *evidence, f *fact) verdict {
	if strings.Contains(f.GT, "firewall") || f.num("count") == 0 || f.F["match"] != nil && f.match()["not-has-key"] != nil {
		return notYet("eve:tls: depends on Suricata's rules and options")
	}
	want := map[string]string{}
	for key, value := range f.match() {
		if uncomparedFields["suricata eve:tls "+key] == "" {
			want[key] = asText(value)
		}
	}
	n := int64(0)
	var candidates []differences
	for _, c := range tlsRecords(e.rec) {
		d := differ(suricataTLSValues(c), want)
		if seed, ok := suricataSeeds[f.GT]; ok {
			d = d.without("community_id")
			d.check("community_id", seededCommunityID(seed, c.flow.info), want["community_id"])
		}
		if len(d) == 0 {
			n++
		}
		candidates = append(candidates, d)
	}
	switch {
	case n == f.num("count"):
		return found
	case n == 0:
		return fewest(candidates, "no TLS at all")
	default:
		return missing("%d connections have these values, want %d", n, f.num("count"))
	}
}

// suricataTLSValues is a connection as Suricata's log has it.
func suricataTLSValues(c *tlsRecord) map[string]string {
	v := texts(map[string]any{
		"proto": "TCP", "community_id": c.flow.info.CommunityID,
		"src_ip": c.flow.info.Src.Addr(), "src_port": c.flow.info.Src.Port(),
		"dest_ip": c.flow.info.Dst.Addr(), "dest_port": c.flow.info.Dst.Port(),
		"tls.sni": c.handshake.SNI, "tls.version": c.handshake.Version, "tls.ja4": c.handshake.JA4, "tls.ja3": c.handshake.JA3,
	})
	if chain := c.certificates[flow.Responder]; len(chain) > 0 {
		m := &chain[0]
		v["tls.subject"], v["tls.issuerdn"] = suricataName(m.Subject), suricataName(m.Issuer)
		v["tls.fingerprint"] = colons(m.SHA1)
		v["tls.serial"] = strings.ToUpper(colons(m.Serial))
		if m.Serial >= "8" { // the octet that keeps it from being negative
			v["tls.serial"] = "00:" + v["tls.serial"]
		}
		v["tls.notbefore"], v["tls.notafter"] = m.NotBefore.UTC().Format("2006-01-02T15:04:05"), m.NotAfter.UTC().Format("2006-01-02T15:04:05")
	}
	return v
}

// suricataName is a name as Suricata writes it, the first part first.
func suricataName(name string) string {
	parts := splitName(name)
	slices.Reverse(parts)
	return strings.Join(parts, ", ")
}

// unirecTLS are the columns of ipfixprobe's records.
var unirecTLS = strings.Fields(`DST_IP SRC_IP BYTES BYTES_REV LINK_BIT_FIELD TIME_FIRST TIME_LAST DST_MAC SRC_MAC PACKETS
	PACKETS_REV DST_PORT SRC_PORT TLS_VERSION DIR_BIT_FIELD PROTOCOL TCP_FLAGS TCP_FLAGS_REV TLS_ALPN TLS_JA3 TLS_JA4 TLS_SNI
	TLS_EXT_LEN TLS_EXT_TYPE`)

// judgeUnirecTLS judges a record of one connection.
func judgeUnirecTLS(e *evidence, f *fact) verdict {
	row, ok, problem := unirecRow(f, unirecTLS)
	switch {
	case problem != "":
		return missing("%s", problem)
	case !ok:
		return notYet("unirec: the row of the columns' names")
	}
	a, _ := endpoint(row["SRC_IP"], row["SRC_PORT"])
	b, _ := endpoint(row["DST_IP"], row["DST_PORT"])
	for _, c := range tlsRecords(e.rec) {
		if !samePair(c.flow, flow.TCP, a, b) || c.client == nil {
			continue
		}
		var d differences
		d.check("SRC_IP", c.flow.info.Src.Addr(), row["SRC_IP"])
		d.check("TLS_JA3", c.client.JA3, row["TLS_JA3"])
		d.check("TLS_JA4", unirecJA4(c.client), row["TLS_JA4"])
		d.check("TLS_SNI", c.client.SNI, row["TLS_SNI"])
		d.check("TLS_EXT_TYPE", strings.ReplaceAll(fmt.Sprint(c.client.Extensions), " ", "|"), row["TLS_EXT_TYPE"])
		version, alpn := c.client.Version, ""
		if c.server != nil {
			version, alpn = c.server.Version, c.server.ALPN
		}
		d.check("TLS_VERSION", versionNumber(version), row["TLS_VERSION"])
		d.check("TLS_ALPN", alpn, row["TLS_ALPN"])
		return verdict{problems: d}
	}
	return missing("no TLS between these endpoints")
}

// unirecJA4 is a fingerprint as ipfixprobe has it: in the number of extensions it
// counts those of RFC 8701 as well, which JA4's publication tells to ignore.
func unirecJA4(m *tls.ClientHello) string {
	counted := 0
	for _, v := range m.Extensions {
		if isReserved(uint32(v)) {
			counted++
		}
	}
	n, err := strconv.Atoi(m.JA4[6:8])
	if err != nil {
		return m.JA4
	}
	return fmt.Sprintf("%s%02d%s", m.JA4[:6], n+counted, m.JA4[8:])
}

// judgeSSLAnalyzer compares what PcapPlusPlus counts: hellos, handshakes that
// succeed, and tables of versions, cipher suites and server names. Alerts after the
// handshake, which it counts too, are encrypted and have no event.
func judgeSSLAnalyzer(e *evidence, f *fact) verdict {
	want := map[string]string{}
	for line := range strings.Lines(expectation(e.tb, f.Cap, path.Base(f.GT))) {
		if cells := strings.Split(line, "|"); len(cells) == 4 {
			want[strings.TrimSpace(cells[1])] = strings.TrimSpace(cells[2])
		} else if name, value, ok := strings.Cut(line, ":"); ok && len(strings.Fields(value)) > 0 {
			want[name] = strings.Fields(value)[0]
		}
	}
	got := map[string]int{}
	for _, c := range tlsRecords(e.rec) {
		if c.client != nil {
			got["Client-hello message"]++
			got[c.client.SNI]++
		}
		if c.server != nil {
			got["Server-hello message"]++
			got[c.server.Version]++
			got[c.server.CipherSuite]++
		}
		if c.handshake.Outcome == tls.OutcomeEstablished {
			got["Number of SSL flows with successful handshake"]++
		}
		got["Number of SSL flows"]++
	}
	var d differences
	for key, n := range got {
		d.check(key, strconv.Itoa(n), want[key])
	}
	if len(got) == 0 {
		d = append(d, "no TLS at all")
	}
	return verdict{problems: d}
}
