package filter

import (
	"encoding/hex"
	"strings"
	"testing"
)

// query is a DNS query in IPv4.
const query = "4500002000010000401166c90a0000010a000002" + "c00000350000c0000000"

const snap = "aaaa03000000"

func address(n int) string { return strings.Repeat("020000000001", n) }

// TestAfloat finds the network header behind link headers of no fixed length.
func TestAfloat(t *testing.T) {
	sequence := "1000"
	for _, c := range []struct {
		name  string
		link  uint32
		frame string
		want  bool
	}{
		{"address and control", linkPPP, "ff030021" + query, true},
		{"neither", linkPPP, "0021" + query, true},
		{"a compressed protocol", linkPPP, "ff0321" + query, true},
		{"all of it compressed", linkPPPHDLC, "21" + query, true},
		{"link control", linkPPP, "ff03c021" + query, false},
		{"three addresses", link80211, "08020000" + address(3) + sequence + snap + "0800" + query, true},
		{"four addresses", link80211, "08030000" + address(3) + sequence + address(1) + snap + "0800" + query, true},
		{"QoS", link80211, "88020000" + address(3) + sequence + "0000" + snap + "0800" + query, true},
		{"QoS and four addresses", link80211, "88030000" + address(3) + sequence + address(1) + "0000" + snap + "0800" + query, true},
		{"QoS and HT control", link80211, "88820000" + address(3) + sequence + "0000" + "00000000" + snap + "0800" + query, true},
		{"aggregated", link80211, "88020000" + address(3) + sequence + "8000" + snap + "0800" + query, false},
		{"protected", link80211, "08420000" + address(3) + sequence + snap + "0800" + query, false},
		{"no data", link80211, "48020000" + address(3) + sequence + snap + "0800" + query, false},
		{"a beacon", link80211, "80000000" + address(3) + sequence + snap + "0800" + query, false},
		{"other LLC", link80211, "08020000" + address(3) + sequence + "424203000000" + "0800" + query, false},
		{"another protocol", link80211, "08020000" + address(3) + sequence + snap + "888e" + query, false},
		{"radiotap", linkRadiotap, "00000c0000000000" + "00000000" + "08020000" + address(3) + sequence + snap + "0800" + query, true},
		{"radiotap of more than 255 bytes", linkRadiotap, "000008010000000" + strings.Repeat("0", 2*264-15) + "08020000" + address(3) + sequence + snap + "0800" + query, true},
		{"radiotap that is too short", linkRadiotap, "0000070000000000" + "08020000" + address(3) + sequence + snap + "0800" + query, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			frame, err := hex.DecodeString(c.frame)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range []string{"udp port 53", "host 10.0.0.2", "ip[8] = 64", "udp[2:2] = 53", "ip[ip[0] & 0xf] = 0 or udp[(ip[0] & 0xf) - 3:2] = 53"} {
				if got := compiled(t, c.link, e).Match(frame, len(frame)); got != c.want {
					t.Errorf("%s passes: %v", e, got)
				}
			}
			if got := compiled(t, c.link, "not udp port 53").Match(frame, len(frame)); got == c.want {
				t.Errorf("not udp port 53 passes: %v", got)
			}
		})
	}
}
