package integration

// streamReason says why tshark's bytes of some streams are not ours.
type streamReason struct {
	streams int // how many, each direction for itself
	why     string
}

// streamReasons are the captures where they differ.
var streamReasons = map[string]streamReason{
	"arkime/nflog.pcap": {2, "link type 239 (NFLOG) is not among the supported ones"},
	"arkime/y2038-bgp.pcap": {
		4, "29 years lie between two packets, so the flow has ended and another begins; and tshark leaves out that " +
			"the 45 bytes acknowledged by the first packet are missing",
	},
	"ipfixprobe/tls.pcap": {
		18, "the capture holds the same packets twice with some of five years later in between: those of the second run " +
			"are connections of their own here, as the first have ended by then, and sent again for tshark",
	},
	"suricata-verify/bug-3286-02-linux-evasion.pcap": {
		2, "a reset that acknowledges the SYN ends the connection (RFC 9293 section 3.10.7.3); the receiver ignored it for its " +
			"time stamp (RFC 7323 section 5), which is not followed here",
	},
	"suricata-verify/http-async-srv.pcap": {
		1, "no packet of the client is there; its 81 bytes (one is its FIN) are known from acknowledgements alone, and tshark leaves them out",
	},
	"zeek-community-id/tcp.pcap":      {2, "segments are cut off by the snapshot length, which tshark does not say"},
	"zeek/tcp__truncated-header.pcap": {2, "segments are cut off by the snapshot length, which tshark does not say"},
	"load/brimdata+brimcap_cmd_brimcap_ztests_alerts.pcap": {
		2, "tshark reports a segment as missing that comes two later (frame 436), and adds what a server sends after a reset",
	},
	"load/cisco+mercury_test_data_top-https.mcap": {1, "tshark leaves out a hole at the end, known from acknowledgements"},
	"load/cisco+mercury_unit_tests_pcaps_capture2.pcap": {
		9, "both sides of a firewall that replaces sequence numbers are captured: two connections share their ends, and " +
			"neither program can tell them apart throughout; and, as elsewhere, tshark leaves out a hole near the end, and adds " +
			"what is sent after a reset",
	},
	"load/cisco+mercury_unit_tests_pcaps_quic_reordered_frames.pcap": {2, "tshark adds what a server sends after a reset"},
	"load/cisco+mercury_unit_tests_pcaps_surfshark.pcap": {
		24, "connections that are silent for longer than the idle time-out are two here; and tshark counts the byte that a " +
			"keep-alive at the beginning is short of as missing",
	},
	"load/dns-stats+compactor_test-scripts_matching.pcap": {3, "tshark leaves out holes at the end, known from acknowledgements"},
	"load/seladb+PcapPlusPlus_Tests_ExamplesTest_pcap_examples_many-protocols.pcap": {
		2, "tshark adds what a server sends after a reset",
	},
	"zeek/tunnels__Teredo.pcap": {
		2, "tshark knows Teredo by port 3544 only, and takes the answers of another port for something else",
	},
}
