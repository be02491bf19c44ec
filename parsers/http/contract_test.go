package http

import (
	"strings"
	"testing"

	"flowscope/session"
	"flowscope/session/sessiontest"
)

const (
	get = "GET /index.html?q=1 HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: test/1.0\r\nAccept: */*\r\n\r\n"
	ok  = "HTTP/1.1 200 OK\r\nServer: example\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
)

// contractStreams has each kind of framing, each end, and each kind of damage.
func contractStreams() []sessiontest.Stream {
	list := []sessiontest.Stream{
		sessiontest.Text("plain", get, ok, get, ok),
		sessiontest.Text("post", "POST /form HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\nCookie: a=b\r\n\r\nname=value&x", ok),
		sessiontest.Text("chunked with trailers",
			"PUT /up HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: Digest\r\n\r\n5;ext=\"a\"\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\nDigest: xyz\r\nSet-Cookie: s\r\n\r\n",
			"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\nLocation: /up/1\r\n\r\n1\r\nx\r\n0\r\n\r\n", get, ok),
		sessiontest.Text("pipelined", get+"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n"+get,
			ok+"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"+ok),
		sessiontest.Text("interim", "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n",
			"HTTP/1.1 100 Continue\r\n\r\n", "abc", "HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n"+ok),
		sessiontest.Text("no bodies", get, "HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\n", get, "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", get, ok),
		sessiontest.Text("connect", "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\nProxy-Authorization: Basic x\r\n\r\n", "HTTP/1.1 407 Authenticate\r\nContent-Length: 0\r\n\r\n",
			"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n", "HTTP/1.1 200 Established\r\n\r\n\x16\x03\x01", "\x16\x03\x01"),
		sessiontest.Text("upgrade", "GET /chat HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
			"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81\x05hello", "\x81\x85....."),
		sessiontest.Text("lines", "GET / HTTP/1.1\nHost: h\nX: 1\r\n y\n\tz\r\nA : b\r\nnocolon\r\nB: c\rd\r\n\r\n", "HTTP/1.0 200\nContent-Length: 2\n\nok"),
		sessiontest.Text("junk", get+"hello\r\nGET /a HTTP/1.1\r\n\r\n\x00\x01\x02\nGET /b HTTP/1.1\r\n\r\n", ok+"extra bytes\nmore\r\n"+ok),
		sessiontest.Text("control characters", get+"\x01\r\nGET /a\x00b HTTP/1.1\r\n\r\n"+get, ok+ok),
		sessiontest.Text("lengths", "POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcPOST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
			ok, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n"+get, ok),
		sessiontest.Text("bad chunk", get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nabc\r\n"+ok, get, ok),
		sessiontest.Text("not UTF-8", "GET /caf\xe9 HTTP/1.1\r\nHost: \xff\r\nX: caf\u00e9\r\n\r\n", ok),
		{Name: "until close", Segments: []sessiontest.Segment{
			{Data: []byte(get)},
			{Side: session.Responder, Data: []byte("HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\nall that follows\r\nHTTP/1.1 200 OK\r\n\r\n"), Fin: true},
			{Fin: true},
		}},
		{Name: "responses only", Segments: []sessiontest.Segment{
			{Side: session.Responder, Data: []byte(ok + ok)}, {Side: session.Responder, Data: []byte(ok), Fin: true},
		}},
		{Name: "asked by the responder", Midstream: true, Segments: []sessiontest.Segment{
			{Side: session.Responder, Data: []byte(get)}, {Data: []byte(ok), Fin: true},
		}},
		{Name: "gap in a body", Segments: []sessiontest.Segment{
			{Data: []byte(get)},
			{Side: session.Responder, Data: []byte("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")},
			{Side: session.Responder, Gap: 4, Data: []byte("xyz" + ok)},
			{Side: session.Responder, Gap: -1, Data: []byte("rest\r\n\r\n" + ok)},
		}},
		{Name: "after a keep-alive", Midstream: true, Segments: []sessiontest.Segment{{Data: []byte("\x00")}, {Data: []byte(get)}}},
		{Name: "gap before a response within a line", Segments: []sessiontest.Segment{
			{Data: []byte(get)},
			{Side: session.Responder, Data: []byte("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")},
			{Side: session.Responder, Gap: 20, Data: []byte("HTTP/1.HTTP/1.1 2HTTP/1.1 200 no\r\n\nend</html>" + ok)},
			{Side: session.Responder, Gap: -1, Data: []byte("a HTTP/1.1 200 OK\r\n HTTP/1.1 404 No\r\nX HTTP/1.1 204 \r\n\r\n" + ok)},
		}},
		sessiontest.Text("long head", "GET /long HTTP/1.1\r\n"+strings.Repeat("X-Field: some value\r\n", 80)+"Content-Length: 3\r\n\r\nabc"+get, ok+ok),
	}
	return list
}

func testFactory(tb testing.TB, change func(*Config)) *Factory {
	tb.Helper()
	c := DefaultConfig()
	if change != nil {
		change(&c)
	}
	f, err := New().WithConfig(&c)
	if err != nil {
		tb.Fatal(err)
	}
	return f.(*Factory)
}

func TestContract(t *testing.T) {
	for name, f := range map[string]*Factory{
		"default": New(),
		"small":   testFactory(t, func(c *Config) { c.MaxHeadBytes, c.MaxHeaders, c.MaxPending = minHeadBytes, 3, 1 }),
		"bodies":  testFactory(t, func(c *Config) { c.BodyBytes, c.DecodeBodies, c.Secrets = 100, true, []string{"Cookie"} }),
	} {
		t.Run(name, func(t *testing.T) { sessiontest.TestSessionParser(t, f, 2, contractStreams()...) })
	}
}
