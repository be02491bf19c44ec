package filter

// EtherTypes.
const (
	etherIP4     = 0x0800
	etherARP     = 0x0806
	etherRARP    = 0x8035
	etherIP6     = 0x86dd
	etherVLAN    = 0x8100
	etherQinQ    = 0x88a8
	etherVLANOld = 0x9100
)

// Protocol numbers (IANA).
const (
	protoICMP  = 1
	protoIGMP  = 2
	protoTCP   = 6
	protoUDP   = 17
	protoESP   = 50
	protoAH    = 51
	protoICMP6 = 58
	protoPIM   = 103
	protoVRRP  = 112
	protoSCTP  = 132
	fragment6  = 44
)

// protocolWord is what the name of a protocol means.
type protocolWord struct {
	family family
	ether  uint16 // of ip, ip6, arp, rarp
	proto  uint8  // of the others
	base   base   // for name[…]
	bytes  bool   // name[…] is possible
}

var protocolWords = map[string]protocolWord{
	"ether": {family: linkLayer, bytes: true},
	"link":  {family: linkLayer, bytes: true},
	"ip":    {family: ip4, ether: etherIP4, base: base{kind: atNet, ether: etherIP4}, bytes: true},
	"ip6":   {family: ip6, ether: etherIP6, base: base{kind: atNet, ether: etherIP6}, bytes: true},
	"arp":   {family: arp, ether: etherARP, base: base{kind: atNet, ether: etherARP}, bytes: true},
	"rarp":  {family: rarp, ether: etherRARP, base: base{kind: atNet, ether: etherRARP}, bytes: true},
	"tcp":   {proto: protoTCP, base: base{kind: inIP4, proto: protoTCP}, bytes: true},
	"udp":   {proto: protoUDP, base: base{kind: inIP4, proto: protoUDP}, bytes: true},
	"sctp":  {proto: protoSCTP, base: base{kind: inIP4, proto: protoSCTP}, bytes: true},
	"icmp":  {family: ip4, proto: protoICMP, base: base{kind: inIP4, proto: protoICMP}, bytes: true},
	"igmp":  {family: ip4, proto: protoIGMP, base: base{kind: inIP4, proto: protoIGMP}, bytes: true},
	"icmp6": {family: ip6, proto: protoICMP6, base: base{kind: inIP6, proto: protoICMP6}, bytes: true},
	"pim":   {proto: protoPIM, base: base{kind: inIP4, proto: protoPIM}, bytes: true},
	"vrrp":  {family: ip4, proto: protoVRRP, base: base{kind: inIP4, proto: protoVRRP}, bytes: true},
	"ah":    {proto: protoAH},
	"esp":   {proto: protoESP},
}

// protocolAliases are other names.
var protocolAliases = map[string]string{"icmpv6": "icmp6", "ip4": "ip"}

// refusedWords are words of the language that are not in this subset.
var refusedWords = map[string]bool{
	"gateway": true, "mpls": true, "pppoed": true, "pppoes": true, "geneve": true, "protochain": true,
	"inbound": true, "outbound": true, "ifname": true, "on": true, "ifindex": true, "rnr": true, "rulenum": true,
	"reason": true, "rset": true, "ruleset": true, "srnr": true, "subrulenum": true, "action": true,
	"type": true, "subtype": true, "wlan": true, "fddi": true, "tr": true, "ppp": true, "slip": true, "radio": true,
	"decnet": true, "atalk": true, "aarp": true, "iso": true, "clnp": true, "esis": true, "isis": true,
	"stp": true, "ipx": true, "netbeui": true, "lat": true, "moprc": true, "mopdl": true, "sca": true, "llc": true,
	"lane": true, "metac": true, "bcc": true, "sc": true, "ilmic": true, "oam": true, "vpi": true, "vci": true,
	"igrp": true, "carp": true, "addr1": true, "addr2": true, "addr3": true, "addr4": true, "ra": true, "ta": true,
}

// constants are numbers that have a name (RFC 792, RFC 4443, RFC 9293).
var constants = map[string]uint32{
	"tcpflags": 13,
	"tcp-fin":  0x01, "tcp-syn": 0x02, "tcp-rst": 0x04, "tcp-push": 0x08, "tcp-ack": 0x10,
	"tcp-urg": 0x20, "tcp-ece": 0x40, "tcp-cwr": 0x80,

	"icmptype": 0, "icmpcode": 1,
	"icmp-echoreply": 0, "icmp-unreach": 3, "icmp-sourcequench": 4, "icmp-redirect": 5, "icmp-echo": 8,
	"icmp-routeradvert": 9, "icmp-routersolicit": 10, "icmp-timxceed": 11, "icmp-paramprob": 12,
	"icmp-tstamp": 13, "icmp-tstampreply": 14, "icmp-ireq": 15, "icmp-ireqreply": 16,
	"icmp-maskreq": 17, "icmp-maskreply": 18,

	"icmp6type": 0, "icmp6code": 1,
	"icmp6-destinationunreach": 1, "icmp6-packettoobig": 2, "icmp6-timeexceeded": 3, "icmp6-parameterproblem": 4,
	"icmp6-echo": 128, "icmp6-echoreply": 129, "icmp6-multicastlistenerquery": 130,
	"icmp6-multicastlistenerreportv1": 131, "icmp6-multicastlistenerdone": 132, "icmp6-routersolicit": 133,
	"icmp6-routeradvert": 134, "icmp6-neighborsolicit": 135, "icmp6-neighboradvert": 136, "icmp6-redirect": 137,
	"icmp6-routerrenum": 138, "icmp6-nodeinformationquery": 139, "icmp6-nodeinformationresponse": 140,
	"icmp6-ineighbordiscoverysolicit": 141, "icmp6-ineighbordiscoveryadvert": 142,
	"icmp6-multicastlistenerreportv2": 143, "icmp6-homeagentdiscoveryrequest": 144,
	"icmp6-homeagentdiscoveryreply": 145, "icmp6-mobileprefixsolicit": 146, "icmp6-mobileprefixadvert": 147,
	"icmp6-certpathsolicit": 148, "icmp6-certpathadvert": 149, "icmp6-multicastrouteradvert": 151,
	"icmp6-multicastroutersolicit": 152, "icmp6-multicastroutertermination": 153,
}

// services are ports that have a name (IANA); nothing is read from the system.
var services = map[string]uint16{
	"ftp-data": 20, "ftp": 21, "ssh": 22, "telnet": 23, "smtp": 25, "domain": 53, "bootps": 67, "bootpc": 68,
	"tftp": 69, "http": 80, "kerberos": 88, "pop3": 110, "sunrpc": 111, "ntp": 123, "imap": 143, "imap2": 143, "snmp": 161,
	"snmp-trap": 162, "snmptrap": 162, "bgp": 179, "ldap": 389, "https": 443, "submission": 587, "syslog": 514,
	"ldaps": 636, "domain-s": 853, "imaps": 993, "pop3s": 995, "openvpn": 1194, "radius": 1812, "mysql": 3306,
	"ms-wbt-server": 3389, "sip": 5060, "sip-tls": 5061, "mdns": 5353, "postgresql": 5432, "x11": 6000,
}
