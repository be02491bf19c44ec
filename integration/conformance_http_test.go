package integration

import (
	"net/netip"
	"net/url"
	"strings"

	"flowscope/flow"
	"flowscope/ingest"
	"flowscope/parsers/http"
	"flowscope/session"
)

// httpExchange is a request and its response, or one of them alone.
type httpExchange struct {
	flow     *flowRecord
	client   flow.Side
	request  *http.Request
	response *http.Response
}

// httpExchanges puts requests and responses together as the events say.
func httpExchanges(rec *recording) []*httpExchange {
	var all []*httpExchange
	for _, f := range rec.flows {
		open := map[uint32]*httpExchange{}
		for _, ev := range f.events {
			switch m := ev.Message.(type) {
			case *http.Request:
				x := open[m.Depth]
				if x == nil || x.request != nil {
					x = &httpExchange{flow: f, client: ev.Side}
					all = append(all, x)
				}
				x.request = m
				open[m.Depth] = x
			case *http.Response:
				var x *httpExchange
				if m.Request != nil {
					x = open[m.Depth]
				}
				if x == nil || x.response != nil { // unpaired, or it came before its request had ended
					x = &httpExchange{flow: f, client: ev.Side.Opposite()}
					all = append(all, x)
					if m.Request != nil {
						open[m.Depth] = x
					}
				}
				x.response = m
			}
		}
	}
	return all
}

// bodiesRegistry has the HTTP parser publish bodies, unpacked.
var bodiesRegistry = func() *session.Registry {
	c := http.DefaultConfig()
	c.BodyBytes, c.DecodeBodies = 1<<19, true
	f, err := http.New().WithConfig(&c)
	if err != nil {
		panic(err)
	}
	r, err := session.NewRegistry(f)
	if err != nil {
		panic(err)
	}
	return r
}()

// httpBodies are the exchanges of the capture with their bodies.
func (e *evidence) httpBodies() []*httpExchange {
	if e.unpacked == nil {
		src, err := ingest.Open(e.path)
		if err != nil {
			e.tb.Fatal(err)
		}
		defer src.Close()
		e.unpacked = httpExchanges(recordWith(e.tb, e.path, src, 1, bodiesRegistry))
	}
	return e.unpacked
}

// between says whether an exchange is one between a client and a server.
func (x *httpExchange) between(client, server netip.AddrPort) bool {
	return x.clientAddr() == client && x.serverAddr() == server
}

func (x *httpExchange) clientAddr() netip.AddrPort {
	if x.client == session.Initiator {
		return x.flow.info.Src
	}
	return x.flow.info.Dst
}

func (x *httpExchange) serverAddr() netip.AddrPort {
	if x.client == session.Initiator {
		return x.flow.info.Dst
	}
	return x.flow.info.Src
}

// req and resp are never nil.
func (x *httpExchange) req() *http.Request {
	if x.request != nil {
		return x.request
	}
	return &http.Request{}
}

func (x *httpExchange) resp() *http.Response {
	if x.response != nil {
		return x.response
	}
	return &http.Response{}
}

func (x *httpExchange) depth() uint32 {
	if x.request != nil {
		return x.request.Depth
	}
	return x.response.Depth
}

// hostOnly leaves the port out.
func hostOnly(host string) string {
	host, _, _ = strings.Cut(host, ":")
	return host
}

// unescaped decodes percent escapes, if they are right.
func percentDecoded(target string) string {
	if s, err := url.PathUnescape(target); err == nil {
		return s
	}
	return target
}

func headerNames(headers []http.Header) []string {
	var names []string
	for _, h := range headers {
		names = append(names, h.Name())
	}
	return names
}

// judgeZeekHTTP judges a line of Zeek's http.log: an exchange.
func judgeZeekHTTP(e *evidence, f *fact) verdict {
	client, ok1 := endpoint(f.str("id.orig_h"), f.str("id.orig_p"))
	server, ok2 := endpoint(f.str("id.resp_h"), f.str("id.resp_p"))
	if !ok1 || !ok2 {
		return missing("endpoints that cannot be read")
	}
	var candidates []differences
	for _, x := range e.httpBodies() {
		if !x.between(client, server) {
			continue
		}
		d := zeekHTTPDifferences(x, f)
		if len(d) == 0 && e.claim(f, x) {
			return found
		}
		candidates = append(candidates, d)
	}
	return fewest(candidates, "no exchange at all")
}

func zeekHTTPDifferences(x *httpExchange, f *fact) (d differences) {
	q, r := x.req(), x.resp()
	text := func(what, got string) {
		want := f.str(what)
		if want == "(empty)" || want == "<empty>" {
			want = ""
		}
		d.check(what, got, want)
	}
	text("method", q.Method)
	text("uri", percentDecoded(q.Target))
	text("host", hostOnly(q.Host))
	text("user_agent", q.UserAgent)
	text("referrer", q.Referer)
	d.check("request_body_len", q.BodySize, f.str("request_body_len"))
	d.check("trans_depth", x.depth(), f.str("trans_depth"))
	if f.str("version") == "0.9" && q.Version == "" {
		// A request without a version is HTTP/0.9 to Zeek, and its response then a
		// body and nothing else: it does not read the status line that is there.
		return d
	}
	text("status_msg", r.Reason)
	d.check("status_code", r.Status, f.str("status_code"))
	// Zeek counts what a compressed body holds.
	if size := r.BodySize; r.BodyDecoded {
		d.check("response_body_len", len(r.Body), f.str("response_body_len"))
	} else {
		d.check("response_body_len", size, f.str("response_body_len"))
	}
	// The response's version replaces the request's in Zeek's log.
	version := q.Version
	if x.response != nil {
		version = r.Version
	}
	d.check("version", strings.TrimPrefix(version, "HTTP/"), f.str("version"))
	for key, headers := range map[string][]http.Header{"client_header_names": q.Headers, "server_header_names": r.Headers} {
		if f.F[key] != nil {
			d.check(key, strings.ToUpper(strings.Join(headerNames(headers), ",")), f.str(key))
		}
	}
	return d
}
