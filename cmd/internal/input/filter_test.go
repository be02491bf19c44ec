package input

import (
	"errors"
	"io"
	"slices"
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

// mixed is a source of three packets, none of which is TCP; the second is of a link
// type that cannot be filtered.
type mixed struct{}

func (mixed) ReadBatch(packets []ingest.Packet) (int, error) {
	for i, link := range []ingest.LinkType{1, 220, 1} {
		packets[i] = ingest.Packet{Data: make([]byte, 60), Length: 60, Interface: &ingest.Interface{LinkType: link}}
	}
	return 3, io.EOF
}
func (mixed) Close() error { return nil }

// TestFilterOfUnknownLinkType has what cannot be filtered pass, whatever the
// expression, and filters the rest.
func TestFilterOfUnknownLinkType(t *testing.T) {
	for expression, want := range map[string][]ingest.LinkType{"tcp": {220}, "not tcp": {1, 220, 1}} {
		e, err := filter.Parse(expression)
		if err != nil {
			t.Fatal(err)
		}
		f, packets := Filter(mixed{}, e), make([]ingest.Packet, 3)
		n, err := f.ReadBatch(packets)
		var got []ingest.LinkType
		for _, p := range packets[:n] {
			got = append(got, p.Interface.LinkType)
		}
		if !errors.Is(err, io.EOF) || !slices.Equal(got, want) || f.Losses().Filtered != uint64(3-len(want)) {
			t.Errorf("%s: link types %v pass, want %v; %d filtered: %v", expression, got, want, f.Losses().Filtered, err)
		}
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
