package integration

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"flowscope/parsers/http"
)

// arkimeUncompared are the keys of Arkime's view of a session that are not
// compared, with the reason.
var arkimeUncompared = map[string]string{
	"bodyMagic": "bodies are not published", "md5": "as bodyMagic", "sha256": "as bodyMagic", "requestBody": "as bodyMagic",
	"cookieKey": "cookies are redacted", "cookieValue": "as cookieKey",
	"key": "Arkime's own reading of queries", "value": "as key",
	"requestHeaderField": "which fields stand here Arkime's configuration says; all are in requestHeader", "requestHeaderValue": "as requestHeaderField",
	"responseHeaderField": "as requestHeaderField", "responseHeaderValue": "as requestHeaderField",
}

// judgeArkimeHTTP judges what Arkime says of HTTP in a session: sets of what
// stood in all its exchanges.
func judgeArkimeHTTP(e *evidence, f *fact) verdict {
	src, ok1 := endpoint(f.str("src"), f.str("sport"))
	dst, ok2 := endpoint(f.str("dst"), f.str("dport"))
	if !ok1 || !ok2 {
		return missing("addresses that cannot be read")
	}
	if v, _ := f.F["v"].(map[string]any); v["method"] == nil && v["statuscode"] == nil && v["requestHeader"] == nil {
		return notYet("http: host names that Arkime has from TLS and QUIC")
	} else if text := fmt.Sprint(v["clientVersion"]); strings.Contains(text, "2.0") {
		return notYet("http: no HTTP/2 parser")
	}
	for _, other := range e.facts {
		if other.project == "arkime" && other.Kind == "socks" && other.str("sport") == f.str("sport") {
			return notYet("http: inside SOCKS, no SOCKS parser")
		}
	}
	// Arkime puts what follows on the same addresses and ports into one session,
	// or not, by its time-outs.
	byFlow := map[*flowRecord][]*httpExchange{}
	var all []*httpExchange
	for _, x := range e.http {
		if x.between(src, dst) || x.between(dst, src) {
			all = append(all, x)
			byFlow[x.flow] = append(byFlow[x.flow], x)
		}
	}
	if len(all) == 0 {
		return missing("no exchange at all")
	}
	candidates := []differences{arkimeHTTPDifferences(f, all)}
	for _, r := range e.rec.flows {
		if list := byFlow[r]; list != nil && len(byFlow) > 1 {
			d := arkimeHTTPDifferences(f, list)
			if len(d) == 0 && !e.claim(f, r) {
				continue
			}
			candidates = append(candidates, d)
		}
	}
	return fewest(candidates, "")
}

// arkimeSets gathers what Arkime keeps of each exchange.
func arkimeSets(exchanges []*httpExchange) (sets map[string]map[string]bool, methods map[string]int) {
	sets, methods = map[string]map[string]bool{}, map[string]int{}
	add := func(key string, values ...string) {
		for _, v := range values {
			if v == "" {
				continue
			}
			if sets[key] == nil {
				sets[key] = map[string]bool{}
			}
			sets[key][v] = true
		}
	}
	for _, x := range exchanges {
		if q := x.request; q != nil {
			methods[q.Method]++
			path, _, _ := strings.Cut(q.Target, "?")
			add("method", q.Method)
			add("host", strings.ToLower(q.Host), strings.ToLower(hostOnly(q.Host)))
			add("clientVersion", strings.TrimPrefix(q.Version, "HTTP/"))
			add("useragent", q.UserAgent)
			add("request-referer", q.Referer)
			add("path", path)
			add("uri", q.Host+q.Target)
			add("requestHeader", lowerNames(q.Headers)...)
		}
		if r := x.response; r != nil {
			add("statuscode", fmt.Sprint(r.Status))
			add("serverVersion", strings.TrimPrefix(r.Version, "HTTP/"))
			add("response-location", r.Location)
			add("responseHeader", lowerNames(r.Headers)...)
			for _, i := range r.Interim {
				add("statuscode", fmt.Sprint(i.Status))
				add("responseHeader", lowerNames(i.Headers)...)
			}
		}
	}
	return sets, methods
}

func arkimeHTTPDifferences(f *fact, exchanges []*httpExchange) (d differences) {
	sets, methods := arkimeSets(exchanges)
	v, _ := f.F["v"].(map[string]any)
	for _, key := range slices.Sorted(maps.Keys(v)) {
		name := strings.TrimSuffix(key, "Cnt")
		switch {
		case arkimeUncompared[name] != "":
		case strings.HasPrefix(key, "method-"):
			d.check(key, methods[strings.TrimPrefix(key, "method-")], asText(v[key]))
		case name != key:
			d.check(key, len(sets[name]), asText(v[key]))
		default:
			values, _ := v[key].([]any)
			var want []string
			for _, w := range values {
				want = append(want, asText(w))
			}
			slices.Sort(want)
			d.check(key, slices.Sorted(maps.Keys(sets[key])), slices.Compact(want))
		}
	}
	return d
}

func lowerNames(headers []http.Header) []string {
	names := headerNames(headers)
	for i := range names {
		names[i] = strings.ToLower(names[i])
	}
	return names
}
