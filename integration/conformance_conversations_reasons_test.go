package integration

// conversationReason says why tshark's conversations are not ours.
type conversationReason struct {
	why string
	// counting says that the two programs count other things, so that no side
	// is wrong: the capture does not lower the agreement.
	counting bool
}

var (
	countsOuter = conversationReason{
		"tshark counts the conversation around a tunnel beside the one inside; here the innermost is tracked", true,
	}
	countsDatagrams = conversationReason{
		"tshark counts a fragmented datagram once, with the bytes of the frame that completed it; here all its frames are counted", true,
	}
)

// conversationReasons are the captures with conversations that differ.
var conversationReasons = map[string]conversationReason{
	"arkime/gre-erspan-vxlan.pcap":               countsOuter,
	"arkime/ipv6-gtp6.pcap":                      countsOuter,
	"arkime/vxlan.pcap":                          countsOuter,
	"zeek/tunnels__geneve.pcap":                  countsOuter,
	"zeek/tunnels__vxlan-encapsulated-http.pcap": countsOuter,
	"zeek/tunnels__gtp__gtp1_gn_normal_incl_fragmentation.pcap": {
		countsOuter.why + "; " + countsDatagrams.why, true,
	},
	"zeek/tunnels__Teredo.pcap": {
		countsOuter.why + "; and tshark knows Teredo by port 3544 only, with -d udp.port==32900,teredo it agrees on what is inside", true,
	},
	"load/cisco+mercury_unit_tests_pcaps_capture2.pcap": {
		countsOuter.why + "; and tshark knows Teredo by port 3544 only, with -d udp.port==49690,teredo it agrees on what is inside", true,
	},
	"arkime/socks5-http-302-frag.pcap": countsDatagrams,
	"pcapplusplus/ipv6-frag.pcap":      countsDatagrams,
	"zeek/dns-edns-ecs.pcap":           countsDatagrams,
	"zeek/ipv6-fragmented-dns.pcap":    countsDatagrams,
	"load/dmachard+go-dnscollector_tests_testsdata_pcap_dnsdump_ip4_fragmented+udp.pcap": countsDatagrams,

	"arkime/nflog.pcap": {"link type 239 (NFLOG) is not supported", false},
	"brimcap/bad-caplen.pcap": {
		"the record says 84 bytes captured of 68: here the larger counts", false,
	},
	"libpcap/pcap-invalid-version-1.pcap": {"tshark does not read the file: pcap: major version 1 unsupported", false},
	"zeek/tcp__truncated-header.pcap": {
		"tshark leaves out frame 1, a SYN whose options were cut off; its ports, numbers and flags are there", false,
	},
}
