package integration

import (
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strings"

	"flowscope/flow"
)

// communityLine is a line of the reference implementation for Zeek: what is
// hashed (seed, addresses, protocol, padding, ports), and the id.
var communityLine = regexp.MustCompile(`^00:00 ([0-9a-f:]+) ([0-9a-f:]+) ([0-9a-f]{2}) 00 ([0-9a-f:]{5}) ([0-9a-f:]{5}) \(\d+ bytes\) -> (1:\S+)$`)

// judgeCommunityIDs compares all ids of a capture, and what they were made of.
func judgeCommunityIDs(e *evidence, f *fact) verdict {
	want := map[string]bool{}
	for _, line := range strings.Split(expectation(e.tb, f.Cap, path.Base(f.GT)), "\n") {
		m := communityLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		a, b := netip.AddrPortFrom(hexAddr(m[1]), hexPort(m[4])), netip.AddrPortFrom(hexAddr(m[2]), hexPort(m[5]))
		want[communityText(flow.Transport(hexBytes(m[3])[0]), a, b, m[6])] = true
	}
	if len(want) == 0 {
		return missing("no ids in the expectation")
	}
	got := map[string]bool{}
	var d differences
	for _, r := range e.rec.flows {
		text := communityText(r.info.Transport, r.info.Src, r.info.Dst, r.info.CommunityID.String())
		got[text] = true
		if !want[text] {
			d = append(d, "we alone say "+text)
		}
	}
	for text := range want {
		if !got[text] {
			d = append(d, "the fact alone says "+text)
		}
	}
	return verdict{problems: d}
}

func communityText(t flow.Transport, a, b netip.AddrPort, id string) string {
	ends := []string{a.String(), b.String()}
	slices.Sort(ends)
	return fmt.Sprint(t, " ", ends, " ", id)
}

func hexBytes(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, ":", ""))
	if err != nil {
		return []byte{0, 0}
	}
	return b
}

func hexAddr(s string) netip.Addr {
	a, _ := netip.AddrFromSlice(hexBytes(s))
	return a
}

func hexPort(s string) uint16 {
	b := hexBytes(s)
	return uint16(b[0])<<8 | uint16(b[1])
}

// suricataSeeds are the tests of Suricata's whose configuration sets a seed for
// Community IDs: the id there is compared with one made here from the
// specification, from our flow's endpoints.
var suricataSeeds = map[string]uint16{"tests/community-id-ipv6/test.yaml": 7}

// seededCommunityID makes a Community ID, version 1, of a TCP or UDP flow with a
// seed (github.com/corelight/community-id-spec).
func seededCommunityID(seed uint16, info *flow.Info) string {
	a, b := info.Src, info.Dst
	if a.Compare(b) > 0 {
		a, b = b, a
	}
	data := binary.BigEndian.AppendUint16(nil, seed)
	data = append(data, a.Addr().AsSlice()...)
	data = append(data, b.Addr().AsSlice()...)
	data = append(data, byte(info.Transport), 0)
	data = binary.BigEndian.AppendUint16(data, a.Port())
	data = binary.BigEndian.AppendUint16(data, b.Port())
	sum := sha1.Sum(data)
	return "1:" + base64.StdEncoding.EncodeToString(sum[:])
}
