package integration

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"

	"flowscope/flow"
	"flowscope/session"

	"github.com/google/go-cmp/cmp"
)

// clientHello is what a TLS client of the standard library sends first.
func clientHello(t *testing.T) string {
	t.Helper()
	a, b := net.Pipe()
	go func() {
		_ = tls.Client(a, &tls.Config{ServerName: "mail.example"}).HandshakeContext(t.Context())
		a.Close()
	}()
	head := make([]byte, 5)
	if _, err := io.ReadFull(b, head); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, int(head[3])<<8|int(head[4]))
	if _, err := io.ReadFull(b, body); err != nil {
		t.Fatal(err)
	}
	b.Close()
	return string(head) + string(body)
}

// TestContentDecides sends protocols over ports of others, whole and byte by
// byte: what they say decides.
func TestContentDecides(t *testing.T) {
	const (
		request  = "GET /index HTTP/1.1\r\nHost: example.org\r\n\r\n"
		response = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
		banner   = "SSH-2.0-OpenSSH_9.7\r\n"
	)
	hello := clientHello(t)
	tests := []struct {
		name                 string
		port                 uint16
		initiator, responder string
		want                 []string
	}{
		{"HTTP on 8081", 8081, request, response, []string{"http.started", "http.request", "http.response", "http.closed"}},
		{"HTTP on 53", 53, request, response, []string{"http.started", "http.request", "http.response", "http.closed"}},
		{"HTTP on 443", 443, request, response, []string{"http.started", "http.request", "http.response", "http.closed"}},
		{"TLS on 25", 25, hello, "", []string{"tls.started", "tls.client_hello", "tls.handshake", "tls.closed"}},
		{"TLS on 80", 80, hello, "", []string{"tls.started", "tls.client_hello", "tls.handshake", "tls.closed"}},
		{"SSH on 443", 443, banner, banner, []string{"flow.started", "flow.closed"}},
		{"SSH on 80", 80, banner, banner, []string{"flow.started", "flow.closed"}},
		{"noise on 443", 443, "\x16\x03", "\xff\xff\xff\xff", []string{"flow.started", "flow.closed"}},
		{"noise on 80", 80, "GETTY IMAGES\r\n", "\x00", []string{"flow.started", "flow.closed"}},
	}
	for _, size := range []int{1 << 15, 1} {
		for _, test := range tests {
			t.Run(fmt.Sprintf("%s in segments of %d", test.name, size), func(t *testing.T) {
				made := newTraffic(t)
				c := made.connect(between(40000, test.port))
				c.send(flow.Initiator, test.initiator, size)
				if test.responder != "" {
					c.send(flow.Responder, test.responder, size)
				}
				c.close()
				r := record(t, made.done(), 1)
				var got []string
				for _, e := range r.events {
					if e.Type != session.ParserClosed { // done, with what a parser wants to see
						got = append(got, e.Protocol+"."+e.Kind)
					}
				}
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
			})
		}
	}
}

// TestSplitsDoNotMatter wants the same messages however a stream was cut on the
// wire.
func TestSplitsDoNotMatter(t *testing.T) {
	messages := func(size int) []string {
		made := newTraffic(t)
		c := made.connect(between(40000, 8081))
		for i := range 3 {
			body := strings.Repeat("x", 100*i)
			c.send(flow.Initiator, fmt.Sprintf("POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", i, len(body), body), size)
			c.send(flow.Responder, "HTTP/1.1 204 No Content\r\n\r\n", size)
		}
		c.close()
		path := made.done()
		defer os.Remove(path)
		var list []string
		for _, e := range record(t, path, 1).events {
			if e.Message != nil {
				list = append(list, e.Kind+" "+e.Side.String())
			}
		}
		return list
	}
	whole := messages(1 << 15)
	if len(whole) != 6 {
		t.Fatalf("%d messages, want 6: %v", len(whole), whole)
	}
	for _, size := range []int{1, 2, 3, 7, 16, 100} {
		if got := messages(size); !slices.Equal(whole, got) {
			t.Errorf("in segments of %d bytes: %v", size, got)
		}
	}
}
