package http

import (
	"strings"
	"testing"

	"flowscope/session"
	"flowscope/session/sessiontest"
)

// Ten header fields each, as browsers and servers send them.
const (
	benchRequest = "GET /static/js/app.3f2a9c.js?v=20261123 HTTP/1.1\r\nHost: www.example.com\r\n" +
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\nAccept: */*\r\n" +
		"Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\nReferer: https://www.example.com/index.html\r\n" +
		"Connection: keep-alive\r\nCookie: session=0123456789abcdef0123456789abcdef\r\nIf-None-Match: \"5f3c-1a2b\"\r\nCache-Control: max-age=0\r\n\r\n"
	benchResponse = "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Mon, 23 Nov 2026 22:48:08 GMT\r\nContent-Type: application/javascript\r\n" +
		"Content-Length: 64\r\nLast-Modified: Mon, 23 Nov 2026 20:00:00 GMT\r\nConnection: keep-alive\r\nETag: \"5f3c-1a2b\"\r\n" +
		"Vary: Accept-Encoding\r\nX-Frame-Options: SAMEORIGIN\r\nAccept-Ranges: bytes\r\n\r\n"
)

func benchmark(b *testing.B, pieces ...[]byte) {
	d := &sessiontest.Discard{}
	out := session.NewOutput(d)
	p := New().NewSessionParser()
	b.ReportAllocs()
	for i := range b.N {
		side := session.Side(i % len(pieces))
		out.Begin(session.Timestamp(i+1)*1000, side, false)
		feed := p.FeedInitiator
		if side == session.Responder {
			feed = p.FeedResponder
		}
		if n, err := feed(pieces[side], out); err != nil || n != len(pieces[side]) {
			b.Fatal(n, err)
		}
	}
	if d.Messages < b.N {
		b.Fatalf("%d messages of %d", d.Messages, b.N)
	}
}

// BenchmarkExchange alternates between a request and its response, ten fields
// each; the figure is per message.
func BenchmarkExchange(b *testing.B) {
	benchmark(b, []byte(benchRequest), []byte(benchResponse+strings.Repeat("x", 64)))
}

// BenchmarkRequest is a request with ten fields, its response never comes.
func BenchmarkRequest(b *testing.B) { benchmark(b, []byte(benchRequest)) }

// BenchmarkResponse is a response with ten fields whose request was not seen.
func BenchmarkResponse(b *testing.B) {
	f := New()
	d := &sessiontest.Discard{}
	out := session.NewOutput(d)
	p := f.NewSessionParser()
	data := []byte(benchResponse + strings.Repeat("x", 64))
	b.ReportAllocs()
	for i := range b.N {
		out.Begin(session.Timestamp(i+1)*1000, session.Responder, false)
		_, _ = p.FeedResponder(data, out)
	}
}

// BenchmarkSplitRequest is a request in two pieces.
func BenchmarkSplitRequest(b *testing.B) {
	d := &sessiontest.Discard{}
	out := session.NewOutput(d)
	p := New().NewSessionParser()
	data := []byte(benchRequest)
	b.ReportAllocs()
	for i := range b.N {
		out.Begin(session.Timestamp(i+1)*1000, session.Initiator, false)
		_, _ = p.FeedInitiator(data[:200], out)
		_, _ = p.FeedInitiator(data[200:], out)
	}
}

// BenchmarkBody is one segment in the middle of a body.
func BenchmarkBody(b *testing.B) {
	out := session.NewOutput(&sessiontest.Discard{})
	p := New().NewSessionParser()
	out.Begin(1000, session.Responder, false)
	_, _ = p.FeedResponder([]byte("HTTP/1.1 200 OK\r\nContent-Length: 999999999999999999\r\n\r\n"), out)
	data := make([]byte, 1448)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		_, _ = p.FeedResponder(data, out)
	}
}

// BenchmarkChunks is one segment of small chunks.
func BenchmarkChunks(b *testing.B) {
	out := session.NewOutput(&sessiontest.Discard{})
	p := New().NewSessionParser()
	out.Begin(1000, session.Responder, false)
	_, _ = p.FeedResponder([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), out)
	data := []byte(strings.Repeat("64\r\n"+strings.Repeat("x", 100)+"\r\n", 13))
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		_, _ = p.FeedResponder(data, out)
	}
}

// BenchmarkProbe judges a request.
func BenchmarkProbe(b *testing.B) {
	f := New()
	s := session.Sample{Data: []byte(benchRequest), SrcPort: 40000, DstPort: 80, Transport: session.TCP}
	b.ReportAllocs()
	for b.Loop() {
		if f.Probe(&s) != session.Match {
			b.Fatal("no match")
		}
	}
}
