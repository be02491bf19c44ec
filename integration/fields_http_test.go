package integration

import (
	"slices"
	"strings"
)

// httpFields compares HTTP/1. To tshark an interim response is a message of its
// own, and what it cannot make sense of is HTTP too.
func httpFields() protocolFields {
	return protocolFields{
		protocols: []string{"http"}, layers: []string{"http"}, transports: []string{"tcp"},
		identity: "start",
		// A head that follows a body in the same segment is only found by way of that
		// body, and a body only where segments are put in order.
		options: []string{"-o", "http.desegment_body:TRUE", "-o", "tcp.reassemble_out_of_order:TRUE"},
		whole:   true,
		split: func(l *tsharkNode) []*tsharkNode {
			code := l.first("http.response.code")
			if l.first("http.request.method") == "" && code == "" || strings.HasPrefix(code, "1") && code != "101" {
				return nil
			}
			return []*tsharkNode{l}
		},
		rules: []fieldRule{
			{
				key: "start",
				ours: func(m *ourMessage) []string {
					if m.event.Kind == "request" {
						return []string{strings.Join(append(valuesAt(m.message, "method"), valuesAt(m.message, "target")...), " ")}
					}
					return valuesAt(m.message, "status")
				},
				theirs: func(l *tsharkNode) []string {
					if code := l.first("http.response.code"); code != "" {
						return []string{code}
					}
					return []string{l.first("http.request.method") + " " + l.first("http.request.uri")}
				},
			},
			httpRule("method", "http.request.method"),
			httpRule("target", "http.request.uri"),
			httpRule("version", "http.request.version", "http.response.version"),
			httpRule("host", "http.host"),
			httpRule("user_agent", "http.user_agent"),
			httpRule("referer", "http.referer"),
			httpRule("content_type", "http.content_type"),
			httpRule("content_length", "http.content_length_header"),
			httpRule("status", "http.response.code"),
			httpRule("reason", "http.response.phrase"),
			httpRule("server", "http.server"),
			httpRule("location", "http.location"),
			{
				key: "headers",
				ours: func(m *ourMessage) (lines []string) {
					list, _ := m.message["headers"].([]any)
					for _, h := range list {
						if pair := leafTexts(h); pair[0] != "" { // tshark lists no line without a name
							lines = append(lines, strings.Join(pair, ": "))
						}
					}
					return lines
				},
				theirs: func(l *tsharkNode) []string {
					return tidied(slices.Concat(l.all("http.request.line"), l.all("http.response.line")), tsharkHeader)
				},
			},
		},
	}
}

// httpRule compares the first value of a key with that of the first of the fields
// that is there; what is empty is not there.
func httpRule(key string, fields ...string) fieldRule {
	one := func(v string) []string {
		if v == "" {
			return nil
		}
		return []string{v}
	}
	return fieldRule{
		key: key,
		ours: func(m *ourMessage) []string {
			return one(strings.Join(valuesAt(m.message, key), ""))
		},
		theirs: func(l *tsharkNode) []string {
			for _, f := range fields {
				if v := l.first(f); v != "" {
					return one(strings.TrimSpace(v))
				}
			}
			return nil
		},
	}
}

// tsharkHeader writes a line of a head as a field of ours.
func tsharkHeader(line string) string {
	name, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
	if !ok {
		return absent
	}
	name, value = strings.TrimSpace(name), strings.Trim(value, " \t")
	switch strings.ToLower(name) {
	case "authorization", "proxy-authorization", "cookie", "set-cookie":
		value = "[redacted]"
	}
	return name + ": " + value
}
