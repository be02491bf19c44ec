package input

import (
	"errors"
	"io"
	"testing"

	"flowscope/flow"
	"flowscope/ingest"
	"flowscope/ingest/filter"
)

// TestFilter counts with tcpdump: 156 of the 241 packets of the capture are UDP
// from or to port 53.
func TestFilter(t *testing.T) {
	e, err := filter.Parse("udp port 53")
	if err != nil {
		t.Fatal(err)
	}
	src, err := ingest.Open("../../../integration/testdata/dns.pcap")
	if err != nil {
		t.Fatal(err)
	}
	f := Filter(src, e)
	defer f.Close()
	passed := 0
	for packets := make([]ingest.Packet, 7); err == nil; {
		var n int
		n, err = f.ReadBatch(packets)
		passed += n
	}
	if !errors.Is(err, io.EOF) || passed != 156 || f.Losses().Filtered != uint64(241-156) {
		t.Errorf("%d passed, %d filtered: %v", passed, f.Losses().Filtered, err)
	}
}

// odd is a source of two packets, the second of which cannot be filtered.
type odd struct{}

func (odd) ReadBatch(packets []ingest.Packet) (int, error) {
	packets[0] = ingest.Packet{Data: make([]byte, 60), Length: 60, Interface: &ingest.Interface{Name: "a", LinkType: 1}}
	packets[1] = ingest.Packet{Data: make([]byte, 60), Length: 60, Interface: &ingest.Interface{Name: "b", LinkType: 220}}
	return 2, nil
}
func (odd) Close() error { return nil }

func TestFilterOfUnknownLinkType(t *testing.T) {
	e, err := filter.Parse("not tcp")
	if err != nil {
		t.Fatal(err)
	}
	n, err := Filter(odd{}, e).ReadBatch(make([]ingest.Packet, 2))
	var wrong *filter.LinkError
	if n != 1 || !errors.As(err, &wrong) || err.Error() != "b: filter: packets of link type 220 cannot be filtered" {
		t.Errorf("%d: %v", n, err)
	}
}

// TestFilterWhatIsDecoded holds the link types that can be filtered against those
// that can be decoded.
func TestFilterWhatIsDecoded(t *testing.T) {
	e, err := filter.Parse("udp port 53")
	if err != nil {
		t.Fatal(err)
	}
	for link := range ingest.LinkType(1 << 10) {
		if _, err := e.Compile(uint32(link), false); (err == nil) != flow.SupportsLinkType(link) {
			t.Errorf("link type %d is decoded: %v; filtered: %v", link, flow.SupportsLinkType(link), err)
		}
	}
}
