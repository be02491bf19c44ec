package integration

// notJudgedKinds are the kinds of facts that speak of what is not built. Whoever
// builds one of them removes its line and adds a judge.
var notJudgedKinds = map[string]string{
	"arkime bgp":               "no BGP parser",
	"arkime dhcp":              "no DHCP parser",
	"arkime email":             "no SMTP parser",
	"arkime mqtt":              "no MQTT parser",
	"arkime socks":             "no SOCKS parser",
	"arkime ssh":               "no SSH parser",
	"arkime websocket":         "no WebSocket parser",
	"suricata-verify eve:mqtt": "no MQTT parser",
	"suricata-verify eve:quic": "no QUIC parser",
	"suricata-verify eve:smb":  "no SMB parser",
	"suricata-verify eve:smtp": "no SMTP parser",
	"suricata-verify eve:ssh":  "no SSH parser",
	"zeek dhcp":                "no DHCP parser",
	"zeek log:weird":           "oddities of HTTP, TCP streams and Zeek's own scripts",
	"zeek mqtt_connect":        "no MQTT parser",
	"zeek mqtt_publish":        "no MQTT parser",
	"zeek mqtt_subscribe":      "no MQTT parser",
	"zeek quic":                "no QUIC parser",
	"zeek smb_mapping":         "no SMB parser",
	"zeek smtp":                "no SMTP parser",
	"zeek ssh":                 "no SSH parser",
}

// unbuiltProtocols are the names by which other projects call what a flow
// speaks, for protocols without a parser here.
var unbuiltProtocols = map[string]string{
	"bgp": "no BGP parser", "dhcp": "no DHCP parser", "http2": "no HTTP/2 parser",
	"irc": "no IRC parser", "mqtt": "no MQTT parser", "quic": "no QUIC parser",
	"smb": "no SMB parser", "smtp": "no SMTP parser", "socks": "no SOCKS parser",
	"ssh": "no SSH parser", "telnet": "no telnet parser",
	"websocket": "no WebSocket parser", "failed": "Suricata's word for no parser",
}

// otherTraces are baselines of Zeek's that were made from another trace than the
// capture they are listed under: their test has several runs.
var otherTraces = map[string]string{
	// tshark -r zeek/tunnels__geneve.pcap -Y "udp.port==47101 || ip.addr==192.168.0.107" prints nothing.
	"testing/btest/Baseline/core.tunnels.geneve-47101": "made from another trace",
}

// uncomparedFields are the fields of judged facts that are not compared, with
// the reason.
var uncomparedFields = map[string]string{
	"arkime flow tags":          "names of Arkime's own rules",
	"arkime dns host":           "each must stand in a message; which of them Arkime lists is its choice",
	"arkime dns ip":             "as host",
	"arkime dns nameserverHost": "as host",
	"arkime dns nameserverIp":   "as host",
	"arkime dns mailserverHost": "as host",
	"arkime dns mailserverIp":   "as host",

	"suricata eve:dns dns.tx_id":                        "Suricata's number of a transaction",
	"suricata eve:dns dns.version":                      "version of Suricata's own log",
	"suricata eve:dns event_type":                       "the kind of log line",
	"suricata eve:dns pcap_cnt":                         "number of a packet, which events do not carry",
	"suricata eve:flow icmp_code":                       "of types that have an answer, a flow names that type and not the code",
	"suricata eve:flow event_type":                      "the kind of log line",
	"suricata eve:flow not-has-key":                     "about flow.action",
	"suricata eve:flow flow.action":                     "depends on Suricata's rules",
	"suricata eve:flow flow.alerted":                    "depends on Suricata's rules",
	"suricata eve:flow flow.exception_policy[0].policy": "depends on Suricata's configuration",
	"suricata eve:flow flow.exception_policy[0].target": "depends on Suricata's configuration",
	"suricata eve:flow flow.reason":                     "why Suricata wrote the line",
	"suricata eve:flow flow.state":                      "needs TCP states; for UDP Suricata's own word for two-way",
	"suricata eve:flow tcp.state":                       "needs TCP states",
	"suricata eve:flow tcp.tcp_flags":                   "only of what Suricata's stream engine took",
	"suricata eve:flow tcp.tcp_flags_tc":                "as tcp.tcp_flags",
	"suricata eve:flow tcp.tcp_flags_ts":                "as tcp.tcp_flags",

	"suricata eve:http event_type":          "the kind of log line",
	"suricata eve:http pcap_cnt":            "number of a packet, which events do not carry",
	"suricata eve:fileinfo event_type":      "the kind of log line",
	"suricata eve:fileinfo fileinfo.stored": "depends on Suricata's configuration",

	"zeek http ts":              "masked in Zeek's baselines",
	"zeek http uid":             "Zeek's own",
	"zeek http tags":            "Zeek's own",
	"zeek http resp_fuids":      "Zeek's own",
	"zeek http resp_mime_types": "guessed from bodies, which are not published",
	"zeek http orig_fuids":      "Zeek's own",
	"zeek http orig_mime_types": "as resp_mime_types",

	"suricata eve:tls event_type": "the kind of log line",
	"unirec TLS_EXT_LEN":          "lengths of extensions are not published",

	"zeek conn local_orig":                 "from Zeek's configuration",
	"zeek conn local_resp":                 "from Zeek's configuration",
	"zeek conn orig_l2_addr":               "events carry no link-layer addresses",
	"zeek conn resp_l2_addr":               "events carry no link-layer addresses",
	"zeek conn ts":                         "masked in Zeek's baselines",
	"zeek conn uid":                        "Zeek's own",
	"zeek dns ts":                          "masked in Zeek's baselines",
	"zeek dns uid":                         "Zeek's own",
	"zeek dns rejected":                    "follows from rcode by Zeek's own rule",
	"zeek ntp ts":                          "masked in Zeek's baselines",
	"zeek ntp uid":                         "Zeek's own",
	"zeek ssl ts":                          "masked in Zeek's baselines",
	"zeek ssl uid":                         "Zeek's own",
	"zeek ssl ssl_history":                 "Zeek's letters for messages, of which some have no event",
	"zeek x509 ts":                         "masked in Zeek's baselines",
	"zeek x509 certificate.version":        "not published",
	"zeek x509 certificate.exponent":       "not published",
	"zeek x509 basic_constraints.path_len": "not published",
	"zeek syslog ts":                       "masked in Zeek's baselines",
	"zeek syslog uid":                      "Zeek's own",
	"zeek tunnel ts":                       "masked in Zeek's baselines",
	"zeek tunnel uid":                      "Zeek's own",
	"zeek tunnel action":                   "tunnels have no events of their own",
	"zeek tunnel id.orig_h":                "events do not carry outer addresses",
	"zeek tunnel id.orig_p":                "as id.orig_h",
	"zeek tunnel id.resp_h":                "as id.orig_h",
	"zeek tunnel id.resp_p":                "as id.orig_h",

	"unirec HTTP_RESPONSE_SET_COOKIE_NAMES": "Set-Cookie is redacted",
	"unirec LINK_BIT_FIELD":                 "ipfixprobe's own",
	"unirec DIR_BIT_FIELD":                  "ipfixprobe's own",
	"unirec DST_MAC":                        "events carry no link-layer addresses",
	"unirec SRC_MAC":                        "events carry no link-layer addresses",
	"unirec DNS_RLENGTH":                    "length of DNS_RDATA in ipfixprobe's own rendition",
	"unirec TCP_FLAGS":                      "not TCP",
	"unirec TCP_FLAGS_REV":                  "not TCP",
}
