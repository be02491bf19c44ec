package snmp

import (
	"testing"

	"flowscope/session"
	"flowscope/session/sessiontest"
)

func TestProbe(t *testing.T) {
	tests := []struct {
		name, data string
		port       uint16
		want       session.Verdict
	}{
		{"get", get, 161, session.Match},
		{"get elsewhere", get, 1161, session.Match},
		{"trap", trapV1, 162, session.Match},
		{"trap elsewhere", trapV1, 1162, session.Match},
		{"version 3 elsewhere", v3("0b", "04", scoped(pdu("a0", "01", 0, 0))), 1161, session.Match},
		{"encrypted elsewhere", v3("0b", "07", "0404deadbeef"), 1161, session.Match},
		{"cut", get[:20], 161, session.Match},
		{"cut elsewhere", get[:20], 1161, session.No},
		{"octets after it elsewhere", get + "00", 1161, session.No},
		{"version 2", message(2, pdu("a0", "01", 0, 0)), 161, session.No},
		{"another sequence elsewhere", tlv("30", "020101", "0500"), 1161, session.No},
		{"LDAP elsewhere", "300c020101600702010304008000", 1161, session.No},
		{"empty", "", 161, session.No},
		{"text", "474554202f", 161, session.No},
	}
	for _, tt := range tests {
		s := &session.Sample{Data: unhex(t, tt.data), SrcPort: 40000, DstPort: tt.port, Transport: session.UDP}
		if got := New().Probe(s); got != tt.want {
			t.Errorf("%s: verdict %d, want %d", tt.name, got, tt.want)
		}
	}
	if got := New().Probe(&session.Sample{Data: unhex(t, get), DstPort: 161, Transport: session.TCP}); got != session.No {
		t.Errorf("over TCP: verdict %d", got)
	}
}

// TestCorpusDetection runs the datagrams of all captures past the probe.
func TestCorpusDetection(t *testing.T) {
	folder := sessiontest.Corpus(t, corpusFolder)
	f, matched := New(), 0
	for _, file := range sessiontest.Captures(t, folder) {
		for i, d := range sessiontest.UDP(t, file) {
			s := session.Sample{Data: d.Payload, SrcPort: d.SrcPort, DstPort: d.DstPort, Transport: session.UDP}
			known := d.SrcPort == 161 || d.DstPort == 161 || d.DstPort == 162
			if match := f.Probe(&s) == session.Match; match != known {
				t.Errorf("%s datagram %d, ports %d and %d: match is %v", file, i, d.SrcPort, d.DstPort, match)
			} else if match {
				matched++
			}
		}
	}
	if matched < 60 {
		t.Errorf("only %d datagrams matched", matched)
	}
}

func TestConfig(t *testing.T) {
	if _, err := New().WithConfig(Config{}); err == nil {
		t.Error("a Config that is no pointer is taken")
	}
}
