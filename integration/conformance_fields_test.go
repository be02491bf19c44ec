package integration

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// comparedFields are the fields that the judges compare; of Suricata's checks
// the models say it.
var comparedFields = map[string]string{
	"arkime flow": `bytes client_payload_bytes community_id des_bytes des_packets dport dst first_ms ipproto
		last_ms length_ms packets protocols server_payload_bytes sou_bytes sou_packets sport src tcpflags vlan`,
	"arkime dns": `answers dport dst headerFlags ipproto opcode qc qt queryHost sport src status`,
	"zeek conn": `conn_state history missed_bytes duration id.orig_h id.orig_p id.resp_h id.resp_p ip_proto orig_bytes orig_ip_bytes orig_pkts proto
		resp_bytes resp_ip_bytes resp_pkts service tunnel_parents`,
	"zeek dns": `AA RA RD TC TTLs Z answers id.orig_h id.orig_p id.resp_h id.resp_p opcode opcode_name proto
		qclass qclass_name qtype qtype_name query rcode rcode_name rtt trans_id`,
	"zeek ntp": `id.orig_h id.orig_p id.resp_h id.resp_p mode num_exts org_time poll precision rec_time ref_id ref_time
		root_delay root_disp stratum version xmt_time`,
	"arkime ntp": `dport dst ipproto sport src v`,
	"zeek ssl": `cert_chain_fps cipher client_cert_chain_fps curve established id.orig_h id.orig_p id.resp_h id.resp_p resumed
		server_name version`,
	"zeek x509": `basic_constraints.ca certificate.issuer certificate.key_alg certificate.key_length certificate.key_type
		certificate.not_valid_after certificate.not_valid_before certificate.serial certificate.sig_alg certificate.subject
		client_cert fingerprint host_cert san.dns`,
	"arkime tls":  `dport dst ipproto sport src v`,
	"arkime cert": `dport dst ipproto sport src v`,
	"zeek syslog": `facility id.orig_h id.orig_p id.resp_h id.resp_p message proto severity`,
	"arkime snmp": `dport dst ipproto sport src v`,
	"zeek tunnel": `tunnel_type`,
	"arkime http": `dport dst ipproto sport src v`,
	"zeek http": `client_header_names host id.orig_h id.orig_p id.resp_h id.resp_p method referrer request_body_len
		response_body_len server_header_names status_code status_msg trans_depth uri user_agent version`,
}

// TestConformanceFields holds that no field of a judged fact is passed over in
// silence: it is compared, or listed with a reason, and no reason is left over.
func TestConformanceFields(t *testing.T) {
	used := map[string]bool{}
	for _, f := range loadFacts(t) {
		kind := f.project + " " + f.Kind
		fields, compared := f.F, strings.Fields(comparedFields[kind])
		switch kind {
		case "suricata-verify eve:flow":
			kind, fields = "suricata eve:flow", f.match()
			compared = slices.Collect(maps.Keys(suricataFlowValues(flowView{})))
		case "suricata-verify eve:dns", "suricata-verify eve:http", "suricata-verify eve:fileinfo":
			kind, fields = "suricata "+f.Kind, f.match()
			for key := range fields { // all that are not listed are compared
				used[kind+" "+key] = true
			}
			continue
		case "suricata-verify eve:tls":
			kind, fields = "suricata eve:tls", f.match()
			for key := range fields { // all that are not listed are compared
				used[kind+" "+key] = true
			}
			continue
		case "ipfixprobe unirec:dns", "ipfixprobe unirec:passivedns", "ipfixprobe unirec:tls", "ipfixprobe unirec:http":
			for _, column := range slices.Concat(unirecDNS, unirecPassiveDNS, unirecTLS, unirecHTTP) {
				used["unirec "+column] = true
			}
			continue
		default:
			if len(compared) == 0 {
				continue
			}
		}
		for key := range fields {
			used[kind+" "+key] = true
			_, listed := uncomparedFields[kind+" "+key]
			switch is := slices.Contains(compared, key); {
			case is && listed:
				t.Errorf("%s %s is compared, and listed as not compared", kind, key)
			case !is && !listed:
				t.Errorf("%s %s is neither compared nor listed with a reason (%s)", kind, key, f)
			}
		}
	}
	for field := range uncomparedFields {
		if !used[field] {
			t.Errorf("%s is listed as not compared, and no fact has it", field)
		}
	}
	for kind := range notJudgedKinds {
		if judges[kind] != nil {
			t.Errorf("%s has a judge and is listed as not judged", kind)
		}
	}
}
