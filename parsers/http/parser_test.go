package http

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"flowscope/session"
	"flowscope/session/sessiontest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vmihailenco/msgpack/v5"
)

// read plays a stream to its end and returns the messages as a consumer gets
// them, and the anomalies as "name: detail".
func read(t *testing.T, f *Factory, s sessiontest.Stream) (requests []*Request, responses []*Response, anomalies []string, r *sessiontest.StreamRun) {
	t.Helper()
	r = sessiontest.NewStreamRun(f)
	if r.Play(s) == nil {
		r.Close(session.EndOfInput)
	}
	for _, e := range r.Emissions {
		var m any = new(Response)
		if e.Kind == "request" {
			m = new(Request)
		}
		if err := msgpack.Unmarshal(e.Body, m); err != nil {
			t.Fatal(err)
		}
		switch m := m.(type) {
		case *Request:
			requests = append(requests, m)
		case *Response:
			responses = append(responses, m)
		}
	}
	for _, a := range r.Anomalies {
		anomalies = append(anomalies, a.Name+": "+a.Detail)
	}
	return requests, responses, anomalies, r
}

var unexported = cmpopts.IgnoreUnexported(Message{})

func ptr[T any](v T) *T { return &v }

// TestExchange is the example of RFC 9112 section 2.1 with the response of RFC
// 9110 section 3.9, and times.
func TestExchange(t *testing.T) {
	request := "GET /hello.txt HTTP/1.1\r\nUser-Agent: curl/7.64.1\r\nHost: www.example.com\r\nAccept-Language: en, mi\r\n\r\n"
	response := "HTTP/1.1 200 OK\r\nDate: Mon, 27 Jul 2009 12:28:53 GMT\r\nServer: Apache\r\nLast-Modified: Wed, 22 Jul 2009 19:15:56 GMT\r\n" +
		"ETag: \"34aa387-d-1568eb00\"\r\nAccept-Ranges: bytes\r\nContent-Length: 51\r\nVary: Accept-Encoding\r\nContent-Type: text/plain\r\n\r\n" +
		"Hello World! My content includes a trailing CRLF.\r\n"
	at := session.Timestamp(1_700_000_000_000_000_000)
	s := sessiontest.Stream{Segments: []sessiontest.Segment{
		{Time: at, Data: []byte(request[:10])},
		{Time: at.Add(time.Millisecond), Data: []byte(request[10:])},
		{Time: at.Add(5 * time.Millisecond), Side: session.Responder, Data: []byte(response[:40])},
		{Time: at.Add(7 * time.Millisecond), Side: session.Responder, Data: []byte(response[40 : len(response)-3])},
		{Time: at.Add(9 * time.Millisecond), Side: session.Responder, Data: []byte(response[len(response)-3:])},
	}}
	requests, responses, anomalies, run := read(t, New(), s)
	want := &Request{
		Method: "GET", Target: "/hello.txt", Host: "www.example.com", UserAgent: "curl/7.64.1",
		Message: Message{Version: "HTTP/1.1", Depth: 1, Headers: []Header{{"User-Agent", "curl/7.64.1"}, {"Host", "www.example.com"}, {"Accept-Language", "en, mi"}}},
	}
	if diff := cmp.Diff([]*Request{want}, requests, unexported); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	wantResponse := &Response{
		Status: 200, Reason: "OK", Server: "Apache",
		Message: Message{
			Version: "HTTP/1.1", Depth: 1, ContentType: "text/plain", ContentLength: ptr(uint64(51)), BodySize: 51,
			Headers: []Header{
				{"Date", "Mon, 27 Jul 2009 12:28:53 GMT"},
				{"Server", "Apache"},
				{"Last-Modified", "Wed, 22 Jul 2009 19:15:56 GMT"},
				{"ETag", "\"34aa387-d-1568eb00\""},
				{"Accept-Ranges", "bytes"},
				{"Content-Length", "51"},
				{"Vary", "Accept-Encoding"},
				{"Content-Type", "text/plain"},
			},
		},
		Request: &RequestLine{"GET", "/hello.txt", "www.example.com"},
		Elapsed: ptr(int64(5 * time.Millisecond)),
	}
	if diff := cmp.Diff([]*Response{wantResponse}, responses, unexported); diff != "" {
		t.Errorf("responses (-want +got):\n%s", diff)
	}
	if len(anomalies) > 0 {
		t.Errorf("anomalies %q", anomalies)
	}
	for i, want := range []struct{ start, end time.Duration }{{0, time.Millisecond}, {5 * time.Millisecond, 9 * time.Millisecond}} {
		e := run.Emissions[i]
		if e.Start != at.Add(want.start) || e.Time != at.Add(want.end) || e.Truncated {
			t.Errorf("message %d is of %d to %d, truncated %v", i, e.Start-at, e.Time-at, e.Truncated)
		}
	}
}

// summary is a stream's messages in a line each: what and how long.
func summary(requests []*Request, responses []*Response) (lines []string) {
	for _, r := range requests {
		lines = append(lines, fmt.Sprintf("%s %s %d", r.Method, r.Target, r.BodySize))
	}
	for _, r := range responses {
		of := "?"
		if r.Request != nil {
			of = r.Request.Method + " " + r.Request.Target
		}
		lines = append(lines, fmt.Sprintf("%d %d %s", r.Status, r.BodySize, of))
	}
	return lines
}

// TestFraming has the rules of RFC 9112 section 6.3 and the departures from them
// that request smuggling uses: each names the reading chosen.
func TestFraming(t *testing.T) {
	const next = "GET /next HTTP/1.1\r\nHost: h\r\n\r\n"
	tests := map[string]struct {
		request, response string
		want              []string
		anomalies         []string
	}{
		"no length in a request": {
			request: "POST / HTTP/1.1\r\n\r\n" + next,
			want:    []string{"POST / 0", "GET /next 0"},
		},
		"content length": {
			request: "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc" + next,
			want:    []string{"POST / 3", "GET /next 0"},
		},
		"content length 0": {
			request: "POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n" + next,
			want:    []string{"POST / 0", "GET /next 0"},
		},
		"chunked": {
			request: "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nWiki\r\n7\r\npedia i\r\nB\r\nn \r\nchunks.\r\n0\r\n\r\n" + next,
			want:    []string{"POST / 22", "GET /next 0"},
		},
		"gzip, chunked": {
			request: "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n" + next,
			want:    []string{"POST / 1", "GET /next 0"},
		},
		"CL.TE": {
			request:   "POST / HTTP/1.1\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG" + next[1:],
			want:      []string{"POST / 0", "GET /next 0"},
			anomalies: []string{"http_ambiguous_length: Content-Length and Transfer-Encoding; read as chunked"},
		},
		"CL twice, same": {
			request:   "POST / HTTP/1.1\r\nContent-Length: 3\r\ncontent-length: 3\r\n\r\nabc" + next,
			want:      []string{"POST / 3", "GET /next 0"},
			anomalies: []string{"http_ambiguous_length: Content-Length more than once with the same number; read by it"},
		},
		"CL list, same": {
			request:   "POST / HTTP/1.1\r\nContent-Length: 3, 3\r\n\r\nabc" + next,
			want:      []string{"POST / 3", "GET /next 0"},
			anomalies: []string{"http_ambiguous_length: Content-Length more than once with the same number; read by it"},
		},
		"CL twice, different": {
			request:   "POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 30\r\n\r\nabc" + next,
			want:      []string{"POST / 3", "GET /next 0"},
			anomalies: []string{"http_ambiguous_length: Content-Length with different numbers; read by the first"},
		},
		"CL with a sign": {
			request:   "POST / HTTP/1.1\r\nContent-Length: +3\r\n\r\n" + next,
			want:      []string{"POST / 0", "GET /next 0"},
			anomalies: []string{"http_ambiguous_length: Content-Length is no number; read as without a body"},
		},
		"CL in hex": {
			request:   "POST / HTTP/1.1\r\nContent-Length: 0x3\r\n\r\n" + next,
			want:      []string{"POST / 0", "GET /next 0"},
			anomalies: []string{"http_ambiguous_length: Content-Length is no number; read as without a body"},
		},
		"CL empty": {
			request:   "POST / HTTP/1.1\r\nContent-Length:\r\n\r\n" + next,
			want:      []string{"POST / 0", "GET /next 0"},
			anomalies: []string{"http_ambiguous_length: Content-Length is no number; read as without a body"},
		},
		"CL beyond 64 bits": {
			request:   "POST / HTTP/1.1\r\nContent-Length: 18446744073709551619\r\n\r\n" + next,
			want:      []string{"POST / 0", "GET /next 0"},
			anomalies: []string{"http_ambiguous_length: Content-Length is no number; read as without a body"},
		},
		"CL good and bad": {
			request:   "POST / HTTP/1.1\r\nContent-Length: x\r\nContent-Length: 3\r\n\r\nabc" + next,
			want:      []string{"POST / 3", "GET /next 0"},
			anomalies: []string{"http_ambiguous_length: one Content-Length is no number; read by the other"},
		},
		"CL with space before the colon": {
			request:   "POST / HTTP/1.1\r\nContent-Length : 3\r\n\r\nabc" + next,
			want:      []string{"POST / 3", "GET /next 0"},
			anomalies: []string{"http_space_before_colon: head of a request"},
		},
		"TE with tab before the colon": {
			request:   "POST / HTTP/1.1\r\nTransfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n" + next,
			want:      []string{"POST / 0", "GET /next 0"},
			anomalies: []string{"http_space_before_colon: head of a request"},
		},
		"TE unknown with CL": {
			request:   "POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: xchunked\r\n\r\nabc" + next,
			want:      []string{"POST / 3", "GET /next 0"},
			anomalies: []string{"http_ambiguous_length: Transfer-Encoding does not end in chunked; read by Content-Length"},
		},
		"TE with a vertical tab": {
			request:   "POST / HTTP/1.1\r\nTransfer-Encoding: \x0bchunked\r\n\r\n" + next,
			want:      []string{"POST / 0", "GET /next 0"},
			anomalies: []string{"http_ambiguous_length: Transfer-Encoding does not end in chunked; read as without a body"},
		},
		"TE chunked, then another": {
			request:   "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\n" + next,
			want:      []string{"POST / 0", "GET /next 0"},
			anomalies: []string{"http_ambiguous_length: Transfer-Encoding does not end in chunked; read as without a body"},
		},
		"TE chunked twice": {
			request:   "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + next,
			want:      []string{"POST / 0", "GET /next 0"},
			anomalies: []string{"http_ambiguous_length: Transfer-Encoding is not just chunked; read as chunked"},
		},
		"TE identity": {
			request:   "POST / HTTP/1.1\r\nTransfer-Encoding: identity\r\nContent-Length: 3\r\n\r\nabc" + next,
			want:      []string{"POST / 3", "GET /next 0"},
			anomalies: []string{"http_ambiguous_length: Transfer-Encoding identity; read as if it was not there"},
		},
		"TE in HTTP/1.0": {
			request:   "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + next,
			want:      []string{"POST / 0", "GET /next 0"},
			anomalies: []string{"http_ambiguous_length: Transfer-Encoding in HTTP/1.0; read as chunked"},
		},
		"TE folded": {
			request:   "POST / HTTP/1.1\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" + next,
			want:      []string{"POST / 0", "GET /next 0"},
			anomalies: []string{"http_obs_fold: head of a request"},
		},
		"TE after a bare CR": {
			request:   "POST / HTTP/1.1\r\nX: y\rTransfer-Encoding: chunked\r\n\r\n" + next,
			want:      []string{"POST / 0", "GET /next 0"},
			anomalies: []string{"http_bare_cr: head of a request"},
		},
		"chunk size with a sign": {
			request:   "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n+3\r\nabc\r\n0\r\n\r\n" + next,
			want:      []string{"POST / 0", "GET /next 0"},
			anomalies: []string{"http_bad_chunk: a chunk size that is no number; skipped until a line that begins a message"},
		},
		"chunk size of 16 digits": {
			request:   "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0000000000000003\r\nabc\r\n0\r\n\r\n" + next,
			want:      []string{"POST / 0", "GET /next 0"},
			anomalies: []string{"http_bad_chunk: a chunk size with too many digits; skipped until a line that begins a message"},
		},
		"chunk longer than its size": {
			request:   "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n" + next,
			want:      []string{"POST / 3", "GET /next 0"},
			anomalies: []string{"http_bad_chunk: a chunk longer than its size; skipped until a line that begins a message"},
		},
		"chunk line ended by LF": {
			request:   "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x\nabc\r\n0\r\n\r\n" + next,
			want:      []string{"POST / 3", "GET /next 0"},
			anomalies: []string{"http_bare_lf: after a chunk size"},
		},
		"LF alone": {
			request:   "POST / HTTP/1.1\nContent-Length: 3\n\nabc" + next,
			want:      []string{"POST / 3", "GET /next 0"},
			anomalies: []string{"http_bare_lf: head of a request"},
		},
		"target with a space": {
			request:   "GET /a b HTTP/1.1\r\n\r\n" + next,
			want:      []string{"GET /a b 0", "GET /next 0"},
			anomalies: []string{"http_bad_start_line: head of a request"},
		},
		"no version": {
			request:   "GET /old\r\n\r\n" + next,
			want:      []string{"GET /old 0", "GET /next 0"},
			anomalies: []string{"http_bad_start_line: head of a request"},
		},
		"no target": {
			request:   "OPTIONS HTTP/1.1\r\n\r\nOPTIONS  HTTP/1.1\r\n\r\n" + next,
			want:      []string{"OPTIONS  0", "OPTIONS  0", "GET /next 0"},
			anomalies: []string{"http_bad_start_line: head of a request", "http_bad_start_line: head of a request"},
		},
		"a version of its own": {
			request:   "GET /odd HTTP/3\r\n\r\n" + next,
			want:      []string{"GET /odd 0", "GET /next 0"},
			anomalies: []string{"http_bad_start_line: head of a request"},
		},
		"field without colon": {
			request:   "GET / HTTP/1.1\r\nwhat is this\r\n\r\n" + next,
			want:      []string{"GET / 0", "GET /next 0"},
			anomalies: []string{"http_bad_field: head of a request"},
		},
		"empty lines before a request": {
			request: "\r\n\r\n" + next,
			want:    []string{"GET /next 0"},
		},
		"response until close": {
			request: next, response: "HTTP/1.1 200 OK\r\n\r\nall of it\r\nHTTP/1.1 200 OK\r\n\r\n",
			want: []string{"GET /next 0", "200 30 GET /next"},
		},
		"response with an unknown coding": {
			request: next, response: "HTTP/1.1 200 OK\r\nTransfer-Encoding: what\r\nContent-Length: 3\r\n\r\nall of it",
			want:      []string{"GET /next 0", "200 9 GET /next"},
			anomalies: []string{"http_ambiguous_length: Transfer-Encoding does not end in chunked; read until the connection closes"},
		},
		"response with a length that is none": {
			request: next, response: "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nall of it",
			want:      []string{"GET /next 0", "200 9 GET /next"},
			anomalies: []string{"http_ambiguous_length: Content-Length is no number; read until the connection closes"},
		},
		"response to HEAD": {
			request: "HEAD / HTTP/1.1\r\n\r\n" + next, response: "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno",
			want: []string{"HEAD / 0", "GET /next 0", "200 0 HEAD /", "404 2 GET /next"},
		},
		"204 and 304 with lengths": {
			request: next + next + next, response: "HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\nHTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n" + ok,
			want: []string{"GET /next 0", "GET /next 0", "GET /next 0", "204 0 GET /next", "304 0 GET /next", "200 5 GET /next"},
		},
		"a response that is none": {
			request: next + next, response: "ICY 200 OK\r\n\r\n" + ok,
			want:      []string{"GET /next 0", "GET /next 0", "200 5 GET /next"},
			anomalies: []string{"http_unexpected_bytes: before the first message of the side"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := sessiontest.Text("", test.request, test.response)
			s.Segments[1].Fin = true
			requests, responses, anomalies, _ := read(t, New(), s)
			if diff := cmp.Diff(test.want, summary(requests, responses)); diff != "" {
				t.Errorf("messages (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.anomalies, anomalies); diff != "" {
				t.Errorf("anomalies (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFields(t *testing.T) {
	for name, test := range map[string]struct {
		lines string
		want  []Header
	}{
		"white space around a value": {"A: b\r\nC:d\r\nE:\t f \t\r\nG:\r\n", []Header{{"A", "b"}, {"C", "d"}, {"E", "f"}, {"G", ""}}},
		"case kept":                  {"hOST: EXample\r\n", []Header{{"hOST", "EXample"}}},
		"several of a name":          {"Via: 1\r\nX: 2\r\nvia: 3\r\n", []Header{{"Via", "1"}, {"X", "2"}, {"via", "3"}}},
		"folded":                     {"A: b\r\n  c\r\n\td  \r\nE:\r\n f\r\n", []Header{{"A", "b c d"}, {"E", "f"}}},
		"colons":                     {"A: b:c: d\r\n:x\r\nno colon\r\n", []Header{{"A", "b:c: d"}, {"", ":x"}, {"", "no colon"}}},
		"not UTF-8":                  {"A: \xff\xfe\r\nB: \u00e9\r\n", []Header{{"A", "\xff\xfe"}, {"B", "\u00e9"}}},
		"secrets": {
			"Authorization: Basic dXNlcjpwYXNz\r\ncookie: a=b\r\nSET-COOKIE: a=b\r\nProxy-Authorization: x\r\nX-Authorization: y\r\n",
			[]Header{{"Authorization", redacted}, {"cookie", redacted}, {"SET-COOKIE", redacted}, {"Proxy-Authorization", redacted}, {"X-Authorization", "y"}},
		},
		"secrets that hide": {
			"Cookie : a=b\r\nX: y\rCookie: a=b\r\nCookie: a\r\n b\r\nCookie a=b\r\nX: y\rz\r\n",
			[]Header{{"Cookie", redacted}, {"X", redacted}, {"Cookie", redacted}, {"", redacted}, {"X", "y\rz"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			requests, _, _, _ := read(t, New(), sessiontest.Text("", "GET / HTTP/1.1\r\n"+test.lines+"\r\n"))
			if len(requests) != 1 {
				t.Fatalf("%d requests", len(requests))
			}
			if diff := cmp.Diff(test.want, requests[0].Headers); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestSecretsOnDemand(t *testing.T) {
	f := testFactory(t, func(c *Config) { c.Secrets = []string{"cookie", "Authorization"} })
	requests, _, _, _ := read(t, f, sessiontest.Text("", "GET / HTTP/1.1\r\nCookie: a=b\r\nAuthorization: c\r\nSet-Cookie: d\r\n\r\n"))
	want := []Header{{"Cookie", "a=b"}, {"Authorization", "c"}, {"Set-Cookie", redacted}}
	if diff := cmp.Diff(want, requests[0].Headers); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if _, err := New().WithConfig(&Config{Secrets: []string{"host"}}); err == nil || !strings.Contains(err.Error(), "host") {
		t.Errorf("a name that is none: %v", err)
	}
}

func TestTrailersAndInterims(t *testing.T) {
	_, responses, _, _ := read(t, New(), sessiontest.Text("", get,
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\nSet-Cookie: s\r\n\r\n"+
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nExpires: never\r\nSet-Cookie: a\r\n\r\n"))
	if len(responses) != 1 {
		t.Fatalf("%d responses", len(responses))
	}
	r := responses[0]
	if diff := cmp.Diff([]Header{{"Expires", "never"}, {"Set-Cookie", redacted}}, r.Trailers); diff != "" {
		t.Errorf("trailers (-want +got):\n%s", diff)
	}
	want := []Interim{{Status: 100, Reason: "Continue"}, {Status: 103, Reason: "Early Hints", Headers: []Header{{"Link", "</a>"}, {"Set-Cookie", redacted}}}}
	if diff := cmp.Diff(want, r.Interim); diff != "" {
		t.Errorf("interim responses (-want +got):\n%s", diff)
	}
	_, responses, _, run := read(t, New(), sessiontest.Text("", get, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n"))
	if len(responses) != 1 || responses[0].Status != 103 || len(responses[0].Interim) != 1 || !run.Emissions[1].Truncated || responses[0].Request == nil {
		t.Errorf("interim responses alone: %+v", responses)
	}
}

// TestEnds has messages that are cut off, and where the protocol ends.
func TestEnds(t *testing.T) {
	get := func(more ...sessiontest.Segment) []sessiontest.Segment {
		return append([]sessiontest.Segment{{Data: []byte(get)}}, more...)
	}
	answer := func(text string) sessiontest.Segment {
		return sessiontest.Segment{Side: session.Responder, Data: []byte(text)}
	}
	fin := sessiontest.Segment{Side: session.Responder, Fin: true}
	rst := sessiontest.Segment{Side: session.Responder, Rst: true}
	const target = " GET /index.html?q=1"
	tests := map[string]struct {
		segments  []sessiontest.Segment
		want      []string
		truncated []bool
		done      bool
	}{
		"body cut by FIN": {get(answer("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"), fin), []string{"200 3" + target}, []bool{true}, false},
		"body cut by RST": {get(answer("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"), rst), []string{"200 3" + target}, []bool{true}, false},
		"body cut by the end": {
			get(answer("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")),
			[]string{"200 3" + target},
			[]bool{true},
			false,
		},
		"until FIN":    {get(answer("HTTP/1.1 200 OK\r\n\r\nabc"), fin), []string{"200 3" + target}, []bool{false}, false},
		"until RST":    {get(answer("HTTP/1.1 200 OK\r\n\r\nabc"), rst), []string{"200 3" + target}, []bool{true}, false},
		"head cut":     {get(answer("HTTP/1.1 200 OK\r\nServer: x\r\nContent-Le"), fin), []string{"200 0" + target}, []bool{true}, false},
		"chunks cut":   {get(answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"), fin), []string{"200 2" + target}, []bool{true}, false},
		"trailers cut": {get(answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX: y\r\n"), rst), []string{"200 2" + target}, []bool{true}, false},
		"upgrade":      {get(answer("HTTP/1.1 101 Switching Protocols\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")), []string{"101 0" + target}, []bool{false}, true},
		"known gap":    {get(answer("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"), sessiontest.Segment{Side: session.Responder, Gap: 5, Data: []byte("yz" + ok)}), []string{"200 10" + target, "200 5 ?"}, []bool{true, false}, false},
		"gap to the end": {
			get(answer("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"), sessiontest.Segment{Side: session.Responder, Gap: 7, Data: []byte(ok)}),
			[]string{"200 10" + target, "200 5 ?"},
			[]bool{true, false},
			false,
		},
		"gap beyond the body": {
			get(answer("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"), sessiontest.Segment{Side: session.Responder, Gap: 20, Data: []byte("der: x\r\n\r\n" + ok)}),
			[]string{"200 10" + target, "200 5 ?"},
			[]bool{true, false},
			false,
		},
		"gap in a chunk": {
			get(answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nabc"), sessiontest.Segment{Side: session.Responder, Gap: 7, Data: []byte("\r\n0\r\n\r\n" + ok)}),
			[]string{"200 10" + target, "200 5 ?"},
			[]bool{true, false},
			false,
		},
		"gap over chunks": {
			get(answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nabc"), sessiontest.Segment{Side: session.Responder, Gap: 9, Data: []byte("0\r\n\r\n" + ok)}),
			[]string{"200 3" + target, "200 5 ?"},
			[]bool{true, false},
			false,
		},
		"unknown gap": {
			get(answer("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"), sessiontest.Segment{Side: session.Responder, Gap: -1, Data: []byte("fgh\r\n" + ok)}),
			[]string{"200 3" + target, "200 5 ?"},
			[]bool{true, false},
			false,
		},
		"gap in a body until close": {
			get(answer("HTTP/1.1 200 OK\r\n\r\nabc"), sessiontest.Segment{Side: session.Responder, Gap: 7, Data: []byte("x"), Fin: true}),
			[]string{"200 11" + target},
			[]bool{true},
			false,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, responses, _, run := read(t, New(), sessiontest.Stream{Segments: test.segments})
			if diff := cmp.Diff(test.want, summary(nil, responses)); diff != "" {
				t.Errorf("responses (-want +got):\n%s", diff)
			}
			var truncated []bool
			for _, e := range run.Emissions {
				if e.Kind == "response" {
					truncated = append(truncated, e.Truncated)
				}
			}
			if diff := cmp.Diff(test.truncated, truncated); diff != "" {
				t.Errorf("truncated (-want +got):\n%s", diff)
			}
			if (run.Ended == session.ErrDone) != test.done {
				t.Errorf("ended with %v", run.Ended)
			}
		})
	}
}

// TestKeepAlive picks a connection up at a keep-alive probe, whose octet stands
// where the next request begins (RFC 9293 section 3.8.4).
func TestKeepAlive(t *testing.T) {
	s := sessiontest.Stream{Midstream: true, Segments: []sessiontest.Segment{{Data: []byte{0}}, {Data: []byte("GET / HTTP/1.1\r\n\r\n")}}}
	requests, _, _, _ := read(t, New(), s)
	if got := summary(requests, nil); len(got) != 1 || got[0] != "GET / 0" {
		t.Errorf("%q", got)
	}
	if v := New().Probe(&session.Sample{Data: []byte("\x00GET / HTTP/1.1\r\n\r\n"), Midstream: true, Transport: session.TCP}); v != session.Match {
		t.Errorf("verdict %d", v)
	}
}

// TestCutRequestLine has request lines that a capture does not hold to their end.
func TestCutRequestLine(t *testing.T) {
	for line, want := range map[string]string{
		"GET /a.gif":                 "/a.gif ",
		"GET /a.gif ":                "/a.gif ",
		"GET /a.gif H":               "/a.gif ",
		"GET /a.gif HTTP/1.":         "/a.gif ",
		"GET /a.gif HTTP/1.1":        "/a.gif HTTP/1.1",
		"GET /a.gif HTTP/1.1\r":      "/a.gif HTTP/1.1",
		"GET /a b HTTP/1.0\r\nHost:": "/a b HTTP/1.0",
		"GET /a Hello":               "/a Hello ",
	} {
		requests, _, _, _ := read(t, New(), sessiontest.Text("", line))
		if len(requests) != 1 || requests[0].Target+" "+requests[0].Version != want {
			t.Errorf("%q is read as %q, want %s", line, summary(requests, nil), want)
		}
	}
}

// TestPairing has losses: a response must never be given another's request.
func TestPairing(t *testing.T) {
	request := func(n int) []byte { return fmt.Appendf(nil, "GET /%d HTTP/1.1\r\n\r\n", n) }
	response := func(n int) []byte { return fmt.Appendf(nil, "HTTP/1.1 200 %d\r\nContent-Length: 0\r\n\r\n", n) }
	type segments = []sessiontest.Segment
	r := session.Responder
	tests := map[string]struct {
		segments segments
		want     []string
	}{
		"in turn":   {segments{{Data: request(1)}, {Side: r, Data: response(1)}, {Data: request(2)}, {Side: r, Data: response(2)}}, []string{"1 /1", "2 /2"}},
		"pipelined": {segments{{Data: append(request(1), request(2)...)}, {Side: r, Data: response(1)}, {Side: r, Data: response(2)}}, []string{"1 /1", "2 /2"}},
		"a request was missed": {segments{
			{Data: request(1)}, {Side: r, Data: response(1)}, {Side: r, Data: response(2)}, {Gap: 20, Data: request(3)}, {Side: r, Data: response(3)},
		}, []string{"1 /1", "2 ?", "3 /3"}},
		"a response was missed": {segments{
			{Data: request(1)}, {Data: request(2)}, {Side: r, Gap: 20, Data: response(2)}, {Data: request(3)}, {Side: r, Data: response(3)},
		}, []string{"2 ?", "3 ?"}},
		"a response was missed, in turn": {segments{
			{Data: request(1)}, {Side: r, Data: response(1)}, {Data: request(2)}, {Side: r, Gap: 20}, {Data: request(3)}, {Side: r, Data: response(3)},
		}, []string{"1 /1", "3 /3"}},
		"a pipelined request was missed": {segments{
			{Data: request(1)}, {Gap: 20, Data: request(3)}, {Side: r, Data: response(1)}, {Side: r, Data: response(2)}, {Side: r, Data: response(3)},
		}, []string{"1 ?", "2 ?", "3 ?"}},
		"no requests": {segments{{Side: r, Data: response(1)}, {Side: r, Data: response(2)}}, []string{"1 ?", "2 ?"}},
		"the responder asks": {segments{
			{Side: r, Data: request(1)}, {Data: response(1)},
		}, []string{"1 /1"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, responses, _, _ := read(t, New(), sessiontest.Stream{Segments: test.segments})
			var got []string
			for _, r := range responses {
				of := "?"
				if r.Request != nil {
					of = r.Request.Target
				}
				got = append(got, r.Reason+" "+of)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestDepth(t *testing.T) {
	requests, responses, _, _ := read(t, New(), sessiontest.Text("", get+get, ok+ok, get, ok))
	for i := range 3 {
		if requests[i].Depth != uint32(i+1) || responses[i].Depth != uint32(i+1) {
			t.Errorf("exchange %d: depths %d and %d", i, requests[i].Depth, responses[i].Depth)
		}
	}
}

// TestLimits sends more than the configuration takes.
func TestLimits(t *testing.T) {
	f := testFactory(t, func(c *Config) { c.MaxHeadBytes, c.MaxHeaders = minHeadBytes, 4 })
	pad := strings.Repeat("a", 2*minHeadBytes)
	tests := map[string]struct {
		request   string
		fields    int
		truncated bool
	}{
		"few":                  {"GET / HTTP/1.1\r\nA: b\r\nHost: h\r\n\r\n", 2, false},
		"many fields":          {"GET / HTTP/1.1\r\nA: b\r\nHost: h\r\nA: b\r\nA: b\r\nContent-Length: 3\r\n\r\nabc", 4, true},
		"a long field":         {"GET / HTTP/1.1\r\nHost: h\r\nA: " + pad + "\r\nContent-Length: 3\r\n\r\nabc", 1, true},
		"the length comes far": {"GET / HTTP/1.1\r\nHost: h\r\nA: " + pad + "\r\nA: " + pad + "\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 1, true},
		"a long target":        {"GET /" + pad + " HTTP/1.1\r\nHost: h\r\n\r\n", 0, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			requests, _, anomalies, run := read(t, f, sessiontest.Text("", test.request+get))
			if len(requests) != 2 || requests[1].Target != "/index.html?q=1" {
				t.Fatalf("requests %+v", requests)
			}
			if n := len(requests[0].Headers); n != test.fields || run.Emissions[0].Truncated != test.truncated {
				t.Errorf("%d fields, truncated %v", n, run.Emissions[0].Truncated)
			}
			if strings.Contains(test.request, "abc") && requests[0].BodySize != 3 {
				t.Errorf("body of %d bytes", requests[0].BodySize)
			}
			if test.truncated != (len(anomalies) > 0) {
				t.Errorf("anomalies %q", anomalies)
			}
		})
	}
}

// TestMemory holds open heads and bodies on many connections.
func TestMemory(t *testing.T) {
	f := testFactory(t, func(c *Config) { c.MaxMemory, c.BodyBytes = minMemory, maxBodyBytes })
	keeper := f.shared.keeper
	open := func(text string) (parsers []*parser) {
		out := session.NewOutput(&sessiontest.Discard{})
		for range 100 {
			p := newParser(f.shared)
			out.Begin(1, session.Initiator, false)
			_, _ = p.FeedInitiator([]byte(text), out)
			parsers = append(parsers, p)
		}
		return parsers
	}
	var all []*parser
	all = append(all, open("GET / HTTP/1.1\r\nX: "+strings.Repeat("x", 60000))...)
	all = append(all, open("POST / HTTP/1.1\r\nContent-Length: 400000\r\n\r\n"+strings.Repeat("x", 300000))...)
	all = append(all, open(strings.Repeat("GET /"+strings.Repeat("y", 300)+" HTTP/1.1\r\n\r\n", 200))...)
	slack := len(all) * (waitingSize*256 + 20*spanSize) // what is counted after the fact
	if keeper.held < minMemory/2 || keeper.held > minMemory+slack {
		t.Errorf("%d bytes held, want up to %d", keeper.held, minMemory)
	}
	out := session.NewOutput(&sessiontest.Discard{})
	for _, p := range all {
		out.Begin(2, session.Initiator, false)
		p.Close(session.Idle, out)
		p.Reset()
	}
	if keeper.held != 0 {
		t.Errorf("%d bytes held by nobody", keeper.held)
	}
}
