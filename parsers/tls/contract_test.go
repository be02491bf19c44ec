package tls

import (
	"fmt"
	"testing"

	"flowscope/session"
	"flowscope/session/sessiontest"
)

const (
	corpusFolder = "../../../shared/captures"
	ownCapture   = "../../integration/testdata/tls.pcap"
)

// begins says whether a stream of a capture is taken for TLS by its probe.
func isTLS(s *sessiontest.Stream) bool {
	var sides [2][]byte
	f := New()
	for _, segment := range s.Segments {
		if segment.Gap != 0 || len(sides[segment.Side]) > 4096 {
			return false
		}
		sides[segment.Side] = append(sides[segment.Side], segment.Data...)
		if len(segment.Data) == 0 {
			continue
		}
		switch f.Probe(&session.Sample{
			Data: sides[segment.Side], Other: sides[segment.Side.Opposite()], Side: segment.Side,
			SrcPort: s.SrcPort, DstPort: s.DstPort, Transport: session.TCP,
		}) {
		case session.Match:
			return true
		case session.No:
			return false
		}
	}
	return false
}

// streams returns the TLS connections of a capture.
func streams(tb testing.TB, file string) (list []sessiontest.Stream) {
	for _, s := range sessiontest.TCP(tb, file) {
		if isTLS(&s) {
			list = append(list, s)
		}
	}
	return list
}

func TestContract(t *testing.T) {
	for i, s := range streams(t, ownCapture) {
		s.Name = fmt.Sprintf("%d", i)
		sessiontest.TestSessionParser(t, New(), 0, s)
	}
}
