package integration

import (
	"fmt"
	"strings"

	"flowscope/parsers/http"
)

// judgeSuricataHTTP judges a check of one of Suricata's tests on its HTTP log: a
// line per exchange.
func judgeSuricataHTTP(e *evidence, f *fact) verdict {
	if f.num("count") == 0 {
		return notYet("eve:http: that something is missing from a run with other options")
	}
	want := suricataWant(f, "suricata eve:http ")
	n := int64(0)
	var candidates []differences
	for _, x := range e.http {
		d := differ(suricataHTTPValues(x), want)
		if len(d) == 0 {
			n++
		}
		candidates = append(candidates, d)
	}
	return counted(n, f, candidates)
}

func suricataWant(f *fact, prefix string) map[string]string {
	want := map[string]string{}
	for key, value := range f.match() {
		if uncomparedFields[prefix+key] == "" {
			want[key] = asText(value)
		}
	}
	return want
}

func counted(n int64, f *fact, candidates []differences) verdict {
	switch {
	case n == f.num("count"):
		return found
	case n == 0:
		return fewest(candidates, "nothing at all")
	default:
		return missing("%d have these values, want %d", n, f.num("count"))
	}
}

// suricataHTTPValues is an exchange as Suricata's log has it.
func suricataHTTPValues(x *httpExchange) map[string]string {
	q, r := x.req(), x.resp()
	contentType, _, _ := strings.Cut(r.ContentType, ";")
	client, server := x.clientAddr(), x.serverAddr()
	v := texts(map[string]any{
		"proto": "TCP", "src_ip": client.Addr(), "src_port": client.Port(), "dest_ip": server.Addr(), "dest_port": server.Port(),
		"http.hostname": strings.ToLower(hostOnly(q.Host)), "http.url": q.Target, "http.http_user_agent": q.UserAgent,
		"http.http_content_type": contentType, "http.http_refer": q.Referer, "http.http_method": q.Method,
		"http.protocol": q.Version, "http.status": r.Status, "http.length": r.BodySize, "tx_id": x.depth() - 1,
		"http.request_headers.__len": len(q.Headers), "http.response_headers.__len": len(r.Headers),
	})
	for name, headers := range map[string][]http.Header{"request": q.Headers, "response": r.Headers} {
		for i, h := range headers {
			v[fmt.Sprintf("http.%s_headers[%d].name", name, i)] = h.Name()
			v[fmt.Sprintf("http.%s_headers[%d].value", name, i)] = h.Value()
		}
	}
	return v
}

// judgeSuricataFile judges a check on Suricata's log of files: bodies.
func judgeSuricataFile(e *evidence, f *fact) verdict {
	if f.num("count") == 0 {
		return notYet("eve:fileinfo: that something is missing from a run with other options")
	}
	want := suricataWant(f, "suricata eve:fileinfo ")
	n := int64(0)
	var candidates []differences
	for _, x := range e.httpBodies() {
		for _, body := range []*http.Message{&x.req().Message, &x.resp().Message} {
			if body.BodySize == 0 {
				continue
			}
			d := differ(suricataFileValues(x, body), want)
			if len(d) == 0 {
				n++
			}
			candidates = append(candidates, d)
		}
	}
	return counted(n, f, candidates)
}

// suricataFileValues is a body as Suricata's log of files has it; the ends are
// those of the packets that carried it.
func suricataFileValues(x *httpExchange, body *http.Message) map[string]string {
	v := suricataHTTPValues(x)
	if body == &x.resp().Message {
		v["src_ip"], v["dest_ip"] = v["dest_ip"], v["src_ip"]
		v["src_port"], v["dest_port"] = v["dest_port"], v["src_port"]
	}
	size := int(body.BodySize)
	if body.BodyDecoded { // Suricata counts what a compressed body holds
		size = len(body.Body)
	}
	v["app_proto"] = "http"
	v["fileinfo.filename"] = x.req().Target
	v["fileinfo.size"] = fmt.Sprint(size)
	v["fileinfo.gaps"] = fmt.Sprint(body.BodyMissing > 0)
	v["fileinfo.state"] = "CLOSED"
	if body.BodyMissing > 0 {
		v["fileinfo.state"] = "TRUNCATED"
	}
	v["fileinfo.tx_id"] = v["tx_id"]
	return v
}
