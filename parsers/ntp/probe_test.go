package ntp

import (
	"bytes"
	"testing"

	"flowscope/session"
	"flowscope/session/sessiontest"
)

func TestProbe(t *testing.T) {
	request, reply := unhex(t, request4), unhex(t, reply4)
	changed := func(b []byte, off int, v byte) []byte {
		b = bytes.Clone(b)
		b[off] = v
		return b
	}
	tests := []struct {
		name string
		data []byte
		port uint16
		want session.Verdict
	}{
		{"request", request, 123, session.Match},
		{"request elsewhere", request, 1123, session.Match},
		{"reply", reply, 123, session.Match},
		{"reply elsewhere", reply, 1123, session.Match},
		{"control", unhex(t, "26 02 0007 0000 0000 0000 0000"), 123, session.Match},
		{"control elsewhere", unhex(t, "26 02 0007 0000 0000 0000 0000"), 1123, session.No},
		{"private", unhex(t, "17 00 03 2a 0000 0000"), 123, session.Match},
		{"empty", nil, 123, session.No},
		{"short", request[:47], 123, session.No},
		{"version 0", changed(request, 0, 0x03), 123, session.No},
		{"version 7", changed(request, 0, 0x3b), 123, session.No},
		{"text", []byte("GET / HTTP/1.1\r\nHost: example.com\r\nUser-Agent: x\r\n\r\n"), 123, session.No},
		{"request that knows something elsewhere", changed(request, 20, 1), 1123, session.No},
		{"all zero elsewhere", changed(make([]byte, 48), 0, 0x23), 1123, session.No},
		{"clocks that disagree elsewhere", changed(reply, 40, 0), 1123, session.No},
	}
	for _, tt := range tests {
		s := &session.Sample{Data: tt.data, SrcPort: 40000, DstPort: tt.port, Transport: session.UDP}
		if got := New().Probe(s); got != tt.want {
			t.Errorf("%s: verdict %d, want %d", tt.name, got, tt.want)
		}
	}
	if got := New().Probe(&session.Sample{Data: request, DstPort: 123, Transport: session.TCP}); got != session.No {
		t.Errorf("over TCP: verdict %d", got)
	}
}

// TestCorpusDetection runs the datagrams of all captures past the probe: on other
// ports than 123 nothing is taken for NTP.
func TestCorpusDetection(t *testing.T) {
	folder := sessiontest.Corpus(t, corpusFolder)
	f, matched := New(), 0
	for _, file := range sessiontest.Captures(t, folder) {
		for i, d := range sessiontest.UDP(t, file) {
			s := session.Sample{Data: d.Payload, SrcPort: d.SrcPort, DstPort: d.DstPort, Transport: session.UDP}
			known := d.SrcPort == 123 || d.DstPort == 123
			if match := f.Probe(&s) == session.Match; match != known {
				t.Errorf("%s datagram %d, ports %d and %d: match is %v", file, i, d.SrcPort, d.DstPort, match)
			} else if match {
				matched++
			}
		}
	}
	if matched < 50 {
		t.Errorf("only %d datagrams matched", matched)
	}
}
