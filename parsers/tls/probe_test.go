package tls

import (
	"testing"

	"flowscope/session"
	"flowscope/session/sessiontest"
)

func TestProbe(t *testing.T) {
	ssl2 := join([]byte{0x80, 46, 1, 3, 1, 0, 21, 0, 0, 0, 16}, make([]byte, 37))
	bad := func(b []byte, at int, v byte) []byte {
		b = append([]byte(nil), b...)
		b[at] = v
		return b
	}
	tests := []struct {
		name        string
		data, other []byte
		want        session.Verdict
	}{
		{"ClientHello", hello12, nil, session.Match},
		{"ServerHello", reply, nil, session.Match},
		{"ClientHello, then a part of the other side", []byte{22}, hello12, session.Match},
		{"SSL 2.0", ssl2, nil, session.Match},
		{"first octets", hello12[:3], nil, session.More},
		{"first octets of both sides", hello12[:3], reply[:1], session.More},
		{"header and type", hello12[:6], nil, session.More},
		{"first octets of SSL 2.0", ssl2[:10], nil, session.More},
		{"a hello cut into records of one octet", []byte{22, 3, 1, 0, 1, 1}, nil, session.Match},
		{"HTTP", []byte("GET / HTTP/1.1\r\n\r\n"), nil, session.No},
		{"SSH", []byte("SSH-2.0-OpenSSH_9.2p1\r\n"), nil, session.No},
		{"SMTP", nil, []byte("220 ready\r\n"), session.No},
		{"application data", app(100), nil, session.No},
		{"an alert", alertOf(2, 40), nil, session.No},
		{"another record version", bad(hello12, 1, 4), nil, session.No},
		{"a version that nobody has", bad(hello12, 9, 9), nil, session.No},
		{"an empty record", bad(bad(hello12, 3, 0), 4, 0), nil, session.No},
		{"a record that is too long", bad(hello12, 3, 0x50), nil, session.No},
		{"another message", bad(hello12, 5, 11), nil, session.No},
		{"a hello that is too short", bad(hello12, 8, 20), nil, session.No},
		{"a hello of 16 MB", bad(hello12, 6, 0xff), nil, session.No},
		{"SSL 2.0 with lengths that do not add up", bad(ssl2, 1, 47), nil, session.No},
		{"SSL 2.0 of another version", bad(ssl2, 3, 9), nil, session.No},
	}
	f := New()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &session.Sample{Data: tt.data, Other: tt.other, Transport: session.TCP, SrcPort: 40000, DstPort: 443}
			if tt.data == nil {
				s.Data, s.Other = tt.other, nil
			}
			if got := f.Probe(s); got != tt.want {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
	if f.Probe(&session.Sample{Data: hello12, Transport: session.UDP}) != session.No {
		t.Error("UDP is taken for TLS")
	}
}

// TestCorpusDetection wants nothing to be taken for TLS on ports that have
// another protocol in the captures, but for what tshark takes for TLS too.
func TestCorpusDetection(t *testing.T) {
	folder := sessiontest.Corpus(t, corpusFolder)
	other := map[uint16]bool{21: true, 22: true, 25: true, 53: true, 80: true, 110: true, 139: true, 143: true, 445: true, 3306: true, 6667: true}
	matches, tried := 0, 0
	for _, file := range sessiontest.Captures(t, folder) {
		for _, s := range sessiontest.TCP(t, file) {
			tried++
			if !isTLS(&s) {
				continue
			}
			matches++
			if other[s.DstPort] {
				t.Errorf("%s: %s is taken for TLS", file, s.Name)
			}
		}
	}
	t.Logf("%d of %d connections are TLS", matches, tried)
	if matches < 300 {
		t.Errorf("only %d connections are TLS", matches)
	}
}
