package integration

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// tlsFields compares TLS, message by message. tshark numbers what we have names
// for; the names are compared by its own tables.
func tlsFields() protocolFields {
	const hello, server, retry = "client_hello", "server_hello", "hello_retry_request"
	return protocolFields{
		protocols: []string{"tls"}, layers: []string{"tls"}, transports: []string{"tcp"},
		kinds: []string{hello, server, retry, "certificate", "alert"}, split: splitTLS, identity: "kind",
		options: []string{"-o", "tcp.reassemble_out_of_order:TRUE"},
		rules: []fieldRule{
			{key: "kind", ours: func(m *ourMessage) []string { return []string{m.event.Kind} }, theirs: tlsKind},
			rule("record_version", "tls.record.version", tlsVersionName),
			{key: "version", ours: rule("version", "", nil).ours, theirs: tlsVersion},
			rule("session_id", "tls.handshake.session_id", octets),
			rule("sni", "tls.handshake.extensions_server_name", nil),
			rule("alpn", "tls.handshake.extensions_alpn_str", nil),
			ofKinds(fieldRule{key: "cipher_suites", ours: rule("cipher_suites", "", nil).ours, theirs: func(l *tsharkNode) []string {
				return tidied(append(l.all("tls.handshake.ciphersuite"), l.all("tls.handshake.cipherspec")...), number) // of SSL 2.0
			}}, hello),
			ofKinds(rule("cipher_suite", "tls.handshake.ciphersuite", tsharkSuite), server, retry),
			rule("extensions", "tls.handshake.extension.type", number),
			ofKinds(rule("supported_groups", "tls.handshake.extensions_supported_group", number), hello),
			ofKinds(rule("ec_point_formats", "tls.handshake.extensions_ec_point_format", number), hello),
			{key: "signature_algorithms", ours: rule("signature_algorithms", "", nil).ours, theirs: func(l *tsharkNode) (list []string) {
				for _, e := range l.below("Extension: signature_algorithms (") { // other extensions have such lists too
					list = append(list, tidied(e.all("tls.handshake.sig_hash_alg"), number)...)
				}
				return list
			}},
			ofKinds(rule("supported_versions", "tls.handshake.extensions.supported_version", tlsVersionName), hello),
			ofKinds(rule("key_share_groups", "tls.handshake.extensions_key_share_group", number), hello),
			ofKinds(rule("key_share_group", "tls.handshake.extensions_key_share_group", tsharkGroup), server),
			ofKinds(rule("key_share_group", "tls.handshake.extensions_key_share_selected_group", tsharkGroup), retry),
			rule("ja3", "tls.handshake.ja3", nil),
			rule("ja3s", "tls.handshake.ja3s", nil),
			rule("level", "tls.alert_message.level", func(s string) string { return map[string]string{"1": "warning", "2": "fatal"}[s] }),
			rule("description", "tls.alert_message.desc", tsharkAlert),
			{key: "certificates[].sha256", ours: rule("certificates[].sha256", "", nil).ours, theirs: certificateSums},
			rule("certificates[].serial", "x509af.serialNumber", tsharkSerial),
			rule("certificates[].san_dns", "x509ce.dNSName", nil),
			{key: "certificates[].validity", ours: ourValidity, theirs: func(l *tsharkNode) []string {
				return tidied(l.all("x509af.utcTime"), func(s string) string { return strings.TrimSuffix(s, " (UTC)") })
			}},
		},
	}
}

// ofKinds compares messages of some kinds only; keys of the same name in others
// have rules of their own.
func ofKinds(r fieldRule, kinds ...string) fieldRule {
	ours, theirs := r.ours, r.theirs
	r.ours = func(m *ourMessage) []string {
		if !slices.Contains(kinds, m.event.Kind) {
			return nil
		}
		return ours(m)
	}
	r.theirs = func(l *tsharkNode) []string {
		if !slices.Contains(kinds, tlsKind(l)[0]) {
			return nil
		}
		return theirs(l)
	}
	return r
}

// splitTLS cuts a layer into the messages that we publish.
func splitTLS(l *tsharkNode) (messages []*tsharkNode) {
	for _, record := range l.below("tls.record") {
		if record.children == nil {
			continue
		}
		if slices.ContainsFunc(record.children, func(c *tsharkNode) bool { return c.key == "tls.handshake.type" }) {
			messages = append(messages, record) // SSL 2.0
			continue
		}
		version := &tsharkNode{key: "tls.record.version", value: record.first("tls.record.version")}
		for _, c := range record.children {
			kind := c.first("tls.handshake.type")
			switch {
			case c.key == "tls.handshake" && (kind == "1" || kind == "2" || kind == "11"):
				node := &tsharkNode{key: "message", children: []*tsharkNode{c}}
				if kind != "11" {
					node.children = append(node.children, version)
				}
				messages = append(messages, node)
			case c.key == "tls.alert_message" && c.first("tls.alert_message.level") != "":
				messages = append(messages, &tsharkNode{key: "message", children: []*tsharkNode{c}})
			}
		}
	}
	return messages
}

// retryRandom is the random of a ServerHello that is a HelloRetryRequest (RFC
// 8446 section 4.1.3).
const retryRandom = "cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c"

func tlsKind(l *tsharkNode) []string {
	switch l.first("tls.handshake.type") {
	case "1":
		return []string{"client_hello"}
	case "2":
		if octets(l.first("tls.handshake.random")) == retryRandom {
			return []string{"hello_retry_request"}
		}
		return []string{"server_hello"}
	case "11":
		return []string{"certificate"}
	}
	return []string{"alert"}
}

// tlsVersion is that of the field of old, of servers the one chosen.
func tlsVersion(l *tsharkNode) []string {
	version := l.all("tls.handshake.version")
	if chosen := l.all("tls.handshake.extensions.supported_version"); len(chosen) > 0 && l.first("tls.handshake.type") == "2" {
		version = chosen
	}
	return tidied(version, tlsVersionName)
}

func tlsVersionName(s string) string {
	n, err := strconv.ParseUint(s, 0, 16)
	if err != nil {
		return s
	}
	switch {
	case n >= 0x300 && n <= 0x304:
		return []string{"SSL 3.0", "TLS 1.0", "TLS 1.1", "TLS 1.2", "TLS 1.3"}[n-0x300]
	case n == 2:
		return "SSL 2.0"
	case n>>8 == 0x7f && n&0xff <= 28:
		return "TLS 1.3 draft " + strconv.Itoa(int(n&0xff))
	}
	return "0x" + strconv.FormatUint(0x10000+n, 16)[1:]
}

// tsharkNames are tshark's names of the values of a field.
var tsharkNames = sync.OnceValue(func() map[string]map[uint64]string {
	names := map[string]map[uint64]string{}
	printed, err := exec.Command("tshark", "-G", "values").Output()
	if err != nil {
		return names
	}
	lines := bufio.NewScanner(bytes.NewReader(printed))
	for lines.Scan() {
		cells := strings.Split(lines.Text(), "\t")
		if len(cells) != 4 || cells[0] != "V" || !strings.HasPrefix(cells[1], "tls.") {
			continue
		}
		n, err := strconv.ParseUint(cells[2], 0, 64)
		if err != nil {
			continue
		}
		if names[cells[1]] == nil {
			names[cells[1]] = map[uint64]string{}
		}
		names[cells[1]][n] = cells[3]
	}
	return names
})

func tsharkWord(field, value string) string {
	n, err := strconv.ParseUint(value, 0, 64)
	if err != nil {
		return value
	}
	return tsharkNames()[field][n]
}

func tsharkSuite(s string) string { return tsharkWord("tls.handshake.ciphersuite", s) }

// tsharkGroup names a group; those of the hybrids of TLS 1.3 are younger than
// tshark.
func tsharkGroup(s string) string {
	switch number(s) {
	case "4588":
		return "X25519MLKEM768"
	case "25497":
		return "X25519Kyber768Draft00"
	}
	return tsharkWord("tls.handshake.extensions_supported_group", s)
}

// tsharkAlert writes a name as the RFC does.
func tsharkAlert(s string) string {
	return strings.ReplaceAll(strings.ToLower(tsharkWord("tls.alert_message.desc", s)), " ", "_")
}

func certificateSums(l *tsharkNode) (sums []string) {
	for _, c := range l.all("tls.handshake.certificate") {
		raw, err := hex.DecodeString(octets(c))
		if err != nil {
			return []string{err.Error()}
		}
		sum := sha256.Sum256(raw)
		sums = append(sums, hex.EncodeToString(sum[:]))
	}
	return sums
}

// tsharkSerial takes the octets that only keep a number from being negative off.
func tsharkSerial(s string) string {
	s = octets(strings.TrimPrefix(s, "0x"))
	for len(s) > 2 && strings.HasPrefix(s, "00") {
		s = s[2:]
	}
	return s
}

// ourValidity are both times of each certificate as tshark writes them.
func ourValidity(m *ourMessage) (texts []string) {
	list, _ := m.message["certificates"].([]any)
	for _, c := range list {
		certificate, _ := c.(map[string]any)
		for _, key := range []string{"not_before", "not_after"} {
			if at, ok := certificate[key].(time.Time); ok {
				texts = append(texts, at.UTC().Format("2006-01-02 15:04:05"))
			}
		}
	}
	return texts
}
