package http

import (
	"strings"
	"testing"

	"flowscope/session"
	"flowscope/session/sessiontest"

	"github.com/google/go-cmp/cmp"
)

// TestSeek picks a side up somewhere in a body, in one piece and byte by byte.
func TestSeek(t *testing.T) {
	const next = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	tests := map[string]struct {
		data string
		want []string
	}{
		"at a line's start":                        {"end of a body\n" + next, []string{"200 2 ?"}},
		"within a line":                            {"<p>text</p></html>" + next, []string{"200 2 ?"}},
		"at once":                                  {next, []string{"200 2 ?"}},
		"after binary":                             {"\x89PNG\x00\x01HHHHTTP/1.\xff" + next + next, []string{"200 2 ?", "200 2 ?"}},
		"without fields":                           {"x" + "HTTP/1.0 204 No Content\r\n\r\n" + next, []string{"204 0 ?", "200 2 ?"}},
		"without a reason":                         {"x" + "HTTP/1.1 204\r\n\r\n" + next, []string{"204 0 ?", "200 2 ?"}},
		"a reason that is not ASCII":               {"x" + "HTTP/1.1 404 Não\r\nContent-Length: 0\r\n\r\n", []string{"404 0 ?"}},
		"after the beginning of one":               {"HTTP/1.1 2HTTP/1.HTTP/1.1 200 " + next, []string{"200 2 ?"}},
		"after one that is quoted":                 {"curl says HTTP/1.1 404 Not Found\r\n\nand then " + next, []string{"200 2 ?"}},
		"in a log":                                 {`10.0.0.1 - "GET / HTTP/1.1" 200 12` + "\n" + next, []string{"200 2 ?"}},
		"no status code":                           {"see HTTP/1.1 099 x\r\nA: b\r\n\r\n, HTTP/1.1 600 x\r\nA: b\r\n\r\n", nil},
		"in a sentence":                            {"it says HTTP/1.1 200 OK, and HTTP/1.1 200 OK\nand HTTP/1.1 200 OK\r\nno field\r\n", nil},
		"another version":                          {"a HTTP/2 200 \r\nA: b\r\n\r\n b HTTP/1.1.200 OK\r\nA: b\r\n\r\n", nil},
		"with a line that is too long":             {"a HTTP/1.1 200 " + strings.Repeat("x", maxInLine) + "\r\nA: b\r\n\r\n." + next, []string{"200 2 ?"}},
		"with a line that is just not too long":    {"a HTTP/1.1 200 " + strings.Repeat("x", maxInLine-18) + "\r\nContent-Length: 0\r\n\r\n", nil},
		"in a line that is too long to be a start": {strings.Repeat("x", maxJudged+1) + next, []string{"200 2 ?"}},
		"a token that is too long to be a start":   {"GET " + strings.Repeat("x", maxJudged-10) + next, []string{"200 2 ?"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for _, size := range []int{len(test.data), 1, 5} {
				s := sessiontest.Stream{Segments: []sessiontest.Segment{
					{Data: []byte("GET / HTTP/1.1\r\n\r\n")},
					{Side: session.Responder, Data: []byte("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123")},
					{Side: session.Responder, Gap: -1},
				}}
				for i := 0; i < len(test.data); i += size {
					s.Segments = append(s.Segments, sessiontest.Segment{Side: session.Responder, Data: []byte(test.data[i:min(i+size, len(test.data))])})
				}
				requests, responses, _, _ := read(t, New(), s)
				want := append([]string{"GET / 0", "200 3 GET /"}, test.want...)
				if diff := cmp.Diff(want, summary(requests, responses)); diff != "" {
					t.Errorf("in pieces of %d (-want +got):\n%s", size, diff)
				}
			}
		})
	}
}
