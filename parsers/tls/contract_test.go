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

// TestContract holds the contract against the traces of RFC 8448 and against
// connections of our capture: with a HelloRetryRequest, with an alert, with
// certificates of both sides. Those of TestOracle are held against it too.
func TestContract(t *testing.T) {
	sessiontest.TestSessionParser(t, New(), 0, rfcStream(t, "simple"), rfcStream(t, "retry"))
	all := streams(t, ownCapture)
	for _, i := range []int{6, 10, 11} {
		s := all[i]
		s.Name = fmt.Sprint("connection ", i)
		sessiontest.TestSessionParser(t, New(), 0, s)
	}
}

// TestContractOnCorpus has a hello in the form of SSL 2.0, hellos in several
// segments, of post-quantum size, and a draft of TLS 1.3.
func TestContractOnCorpus(t *testing.T) {
	folder := sessiontest.Corpus(t, corpusFolder)
	for _, name := range []string{
		"arkime/pppoe.pcap", "arkime/tls-split-client-hello.pcap", "arkime/tls13.pcap", "suricata-verify/tls__tls-client-hello-frag-01.pcap",
	} {
		t.Run(name, func(t *testing.T) {
			for _, s := range streams(t, folder+"/conformance/"+name) {
				sessiontest.TestSessionParser(t, New(), 0, s)
			}
		})
	}
}
