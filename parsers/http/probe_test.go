package http

import (
	"strings"
	"testing"

	"flowscope/session"
)

func TestProbe(t *testing.T) {
	long := strings.Repeat("a", 6000)
	tests := map[string]struct {
		data string
		want session.Verdict
	}{
		"request":                 {"GET / HTTP/1.1\r\n", session.Match},
		"empty line first":        {"\r\nGET / HTTP/1.1\r\n", session.Match},
		"method of its own":       {"BREW /pot HTTP/1.1\r\nHost: h\r\n\r\n", session.Match},
		"lower case":              {"get / HTTP/1.0\n", session.Match},
		"absolute target":         {"GET http://h/ HTTP/1.1\r\n", session.Match},
		"connect":                 {"CONNECT h:443 HTTP/1.1\r\n", session.Match},
		"options":                 {"OPTIONS * HTTP/1.1\r\n", session.Match},
		"long target":             {"GET /" + long, session.Match},
		"long target, own method": {"BREW /" + long, session.More},
		"without version":         {"GET /\r\n", session.Match},
		"response":                {"HTTP/1.1 200 OK\r\n", session.Match},
		"response without reason": {"HTTP/1.0 404\r\n", session.Match},
		"beginning of a method":   {"GE", session.More},
		"a method":                {"PROPFIND", session.More},
		"beginning of a response": {"HTTP/1.1 20", session.More},
		"H":                       {"H", session.More},
		"nothing":                 {"\r\n", session.More},

		"a space too few": {"GET/ HTTP/1.1\r\n", session.More},
		"a digit too few": {"CCM_PUT x HTTP/1.\r\n", session.More},
		"no target":       {"OPTIONS\r\n", session.More},
		"no ASCII":        {"\xc3\x83 / HTTP/1.1\r\n", session.More},

		"HTTP/2":            {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", session.No},
		"SIP":               {"OPTIONS sip:a@h SIP/2.0\r\n", session.No},
		"SIP response":      {"SIP/2.0 200 OK\r\n", session.No},
		"RTSP":              {"DESCRIBE rtsp://h/a RTSP/1.0\r\n", session.No},
		"RTSP response":     {"RTSP/1.0 200 OK\r\n", session.No},
		"ICY":               {"ICY 200 OK\r\n", session.No},
		"SMTP":              {"220 mail.example.com ESMTP\r\n", session.No},
		"SMTP client":       {"EHLO mail.example.com\r\n", session.No},
		"FTP":               {"USER anonymous\r\n", session.No},
		"IRC":               {"NICK someone\r\nUSER a b c d\r\n", session.No},
		"POP3":              {"+OK ready\r\n", session.No},
		"IMAP":              {"* OK ready\r\n", session.No},
		"SSH":               {"SSH-2.0-OpenSSH_9.2\r\n", session.No},
		"TLS":               {"\x16\x03\x01\x02\x00\x01\x00", session.No},
		"Memcached":         {"get key\r\n", session.No},
		"NATS":              {"INFO {\"a\":1}\r\n", session.No},
		"Redis":             {"*1\r\n$4\r\nPING\r\n", session.No},
		"status of letters": {"HTTP/1.1 abc\r\n", session.No},
		"a long word":       {strings.Repeat("A", 40), session.No},
	}
	f := New()
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := session.Sample{Data: []byte(test.data), SrcPort: 40000, DstPort: 80, Transport: session.TCP}
			if got := f.Probe(&s); got != test.want {
				t.Errorf("%v, want %v", got, test.want)
			}
			if test.want != session.Match {
				return
			}
			for n := 1; n < len(test.data); n++ {
				s.Data = []byte(test.data[:n])
				if f.Probe(&s) == session.No {
					t.Fatalf("the first %d bytes are refused", n)
				}
			}
			s.Transport = session.UDP
			if f.Probe(&s) != session.No {
				t.Error("matches over UDP")
			}
		})
	}
	middle := session.Sample{Data: []byte("c\r\nX: y\r\n\r\nbody\nHTTP/1.1 200 OK\r\n"), Midstream: true, Transport: session.TCP}
	if f.Probe(&middle) != session.Match {
		t.Error("a response in the middle of a stream is not found")
	}
	middle.Midstream = false
	if f.Probe(&middle) != session.No {
		t.Error("a response in the middle of a line is found in a stream that was seen from its start")
	}
}
