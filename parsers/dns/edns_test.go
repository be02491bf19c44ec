package dns

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestEDNS has OPT records on the wire, as RFC 6891 section 6.1.2 lays them out.
func TestEDNS(t *testing.T) {
	tests := []struct {
		name    string
		opt     string // class to end of data
		want    EDNS
		rcode   string
		problem string
	}{
		{"plain", "1000 00 00 0000 0000", EDNS{UDPSize: 4096}, "NOERROR", ""},
		{"DO and CO", "04d0 00 00 c000 0000", EDNS{UDPSize: 1232, DO: true, CO: true}, "NOERROR", ""},
		{"BADVERS", "04d0 01 01 0000 0000", EDNS{UDPSize: 1232, Version: 1}, "BADVERS", ""},
		{"unassigned code", "04d0 ff 00 0000 0000", EDNS{UDPSize: 1232}, "RCODE4080", ""},
		// RFC 7871 section 7.1.2 and the example of appendix A.1 of its drafts.
		{"client subnet", "1000 00 00 0000 000b 0008 0007 0001 18 10 c63364", EDNS{UDPSize: 4096, ClientSubnet: "198.51.100.0/24", ClientSubnetScope: 16}, "NOERROR", ""},
		{"client subnet of IPv6", "1000 00 00 0000 000f 0008 000b 0002 38 00 20010db8000016", EDNS{UDPSize: 4096, ClientSubnet: "2001:db8:0:1600::/56"}, "NOERROR", ""},
		{"client subnet of nothing", "1000 00 00 0000 0008 0008 0004 0001 00 00", EDNS{UDPSize: 4096, ClientSubnet: "0.0.0.0/0"}, "NOERROR", ""},
		{
			"client subnet too short", "1000 00 00 0000 000a 0008 0006 0001 18 00 c633",
			EDNS{UDPSize: 4096, Options: []Option{{8, "00011800c633"}}},
			"NOERROR", problemOption,
		},
		// RFC 9018 appendix A.1.
		{
			"cookie", "1000 00 00 0000 001c 000a 0018 2464c4abcf10c957 010000005cf79f111f8130c3eee29480",
			EDNS{UDPSize: 4096, Cookie: "2464c4abcf10c957010000005cf79f111f8130c3eee29480"},
			"NOERROR", "",
		},
		{"cookie too short", "1000 00 00 0000 0008 000a 0004 01020304", EDNS{UDPSize: 4096, Options: []Option{{10, "01020304"}}}, "NOERROR", problemOption},
		{
			"extended errors", "1000 00 00 0000 0010 000f 0006 0016 61626300 000f 0002 0003",
			EDNS{UDPSize: 4096, EDE: []ExtendedError{{22, "abc"}, {3, ""}}},
			"NOERROR", "",
		},
		{"name server", "1000 00 00 0000 0007 0003 0003 6e7331", EDNS{UDPSize: 4096, NSID: "ns1"}, "NOERROR", ""},
		{"name server in octets", "1000 00 00 0000 0006 0003 0002 ff00", EDNS{UDPSize: 4096, NSID: "\xff\x00"}, "NOERROR", ""},
		{"padding", "1000 00 00 0000 0009 000c 0005 0000000000", EDNS{UDPSize: 4096, Padding: 5}, "NOERROR", ""},
		{"report channel", "1000 00 00 0000 0009 0012 0005 0161 0162 00", EDNS{UDPSize: 4096, ReportChannel: "a.b"}, "NOERROR", ""},
		{"others", "1000 00 00 0000 000a 000b 0002 0064 fde9 0000", EDNS{UDPSize: 4096, Options: []Option{{11, "0064"}, {65001, ""}}}, "NOERROR", ""},
		{"option past the end", "1000 00 00 0000 0005 000b 0002 00", EDNS{UDPSize: 4096}, "NOERROR", problemOption},
		{"twice", "1000 00 00 0000 0000 00 0029 0200 00 00 0000 0000", EDNS{UDPSize: 4096}, "NOERROR", problemOPT},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			count := "0001"
			if tt.name == "twice" {
				count = "0002"
			}
			m, problem, ok := decodeOwned(t, unhex(t, "0001 8000 0001 0000 0000 "+count+" 00 0001 0001 00 0029 "+tt.opt), false)
			if !ok || problem != tt.problem || m.Rcode != tt.rcode || m.EDNS == nil {
				t.Fatalf("readable %v, problem %q, rcode %s", ok, problem, m.Rcode)
			}
			if diff := cmp.Diff(tt.want, *m.EDNS); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if m.Additionals != nil {
				t.Errorf("additionals %v", m.Additionals)
			}
		})
	}
}
