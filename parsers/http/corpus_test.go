package http

import (
	"path/filepath"
	"testing"

	"flowscope/session"
	"flowscope/session/sessiontest"
)

const corpusFolder = "../../../shared/captures"

// recording is our own capture of curl and nginx.
const recording = "../../integration/testdata/http.pcap"

// maxContract bounds the streams that are put through the whole contract.
const maxContract = 6000

// TestContractOnCaptures holds the contract against captured connections.
func TestContractOnCaptures(t *testing.T) {
	folder := sessiontest.Corpus(t, corpusFolder)
	files := []string{recording}
	for _, name := range []string{
		"arkime/http-100-continue.pcap", "arkime/http-wrapped-header.pcap", "arkime/https-connect.pcap", "arkime/websocket.pcap",
		"arkime/http-tcp-seq-issue.pcap", "suricata-verify/http-async-srv.pcap", "suricata-verify/http-gap-simple.pcap",
		"zeek/http__connect-with-smtp.pcap", "zeek/http__get.pcap",
	} {
		files = append(files, filepath.Join(folder, "conformance", name))
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			n := 0
			for _, s := range sessiontest.TCP(t, file) {
				size := 0
				for _, segment := range s.Segments {
					size += len(segment.Data)
				}
				if size == 0 || size > maxContract || n == 3 || !isHTTP(s) {
					continue
				}
				n++
				sessiontest.TestSessionParser(t, New(), 3, s)
			}
			if n == 0 {
				t.Error("no connection to test with")
			}
		})
	}
}

// isHTTP says whether the first bytes of either side are taken for HTTP.
func isHTTP(s sessiontest.Stream) bool {
	f := New()
	var sides [2][]byte
	for _, segment := range s.Segments {
		sides[segment.Side] = append(sides[segment.Side], segment.Data...)
		if len(segment.Data) > 0 && f.Probe(&session.Sample{
			Data: sides[segment.Side], Other: sides[segment.Side.Opposite()], Side: segment.Side, Midstream: s.Midstream, Transport: session.TCP,
		}) == session.Match {
			return true
		}
	}
	return false
}

// otherProtocols are spoken on these ports.
var otherProtocols = map[uint16]string{
	22: "ssh", 25: "smtp", 53: "dns", 143: "imap", 179: "bgp", 389: "ldap", 443: "tls", 445: "smb", 554: "rtsp", 587: "smtp",
	1883: "mqtt", 5060: "sip", 5222: "xmpp", 6667: "irc",
}

// TestProbeOnCaptures takes nothing for HTTP on the ports of other protocols but
// what was tunnelled there on purpose.
func TestProbeOnCaptures(t *testing.T) {
	folder := sessiontest.Corpus(t, corpusFolder)
	matched, other := 0, 0
	for _, file := range sessiontest.Captures(t, folder) {
		for _, s := range sessiontest.TCP(t, file) {
			is := isHTTP(s)
			if is {
				matched++
			}
			if name := otherProtocols[s.DstPort]; name != "" {
				other++
				if is {
					t.Errorf("%s: %s of %s is taken for HTTP", filepath.Base(file), s.Name, name)
				}
			}
		}
	}
	t.Logf("%d connections are HTTP; %d are on ports of other protocols", matched, other)
	if matched < 100 {
		t.Errorf("only %d connections", matched)
	}
}
