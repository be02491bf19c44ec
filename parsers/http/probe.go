package http

import (
	"bytes"

	"flowscope/session"
)

// Probe implements session.Factory: a request line or a status line of HTTP/1 at
// the start of a side, or at the start of any line of a stream whose own start
// was not seen.
func (f *Factory) Probe(s *session.Sample) session.Verdict {
	if s.Transport != session.TCP {
		return session.No
	}
	data := skipEmpty(s.Data)
	if bytes.HasPrefix(data, preface) {
		return session.No
	}
	switch v := begins(data, false); {
	case v != session.No:
		return v
	case s.Midstream:
		// In the middle of a body nothing tells but the port.
		if found(s.Data) || found(s.Other) || s.OnPort(&f.description) {
			return session.Match
		}
		return session.More
	case almost(data) || len(s.Other) > 0 && begins(skipEmpty(s.Other), false) != session.No:
		return session.More // a server may still answer it
	default:
		return session.No
	}
}

// preface begins a connection of HTTP/2 (RFC 9113 section 3.4).
var preface = []byte("PRI * HTTP/2")

// almost says whether the first line of b is a request line with a mistake in it:
// it begins with a common method, or ends in something like a version.
func almost(b []byte) bool {
	line := b[:min(len(b), maxJudged)]
	if nl := bytes.IndexByte(line, '\n'); nl >= 0 {
		line = line[:nl]
	}
	if i := bytes.LastIndex(line, []byte("HTTP/")); i > 0 {
		return i+len("HTTP/1.1\r") >= len(line)
	}
	n := 0
	for n < len(line) && n <= maxProbedMethod && line[n] >= 'A' && line[n] <= 'Z' {
		n++
	}
	return commonMethods[string(line[:n])] && (n == len(line) || line[n] == '/' || line[n] == '\r')
}

// found says whether a message begins in any line of b.
func found(b []byte) bool {
	for len(b) > 0 {
		if b = bytes.TrimLeft(b, "\x00"); begins(b, true) == session.Match { // see seek
			return true
		}
		nl := bytes.IndexByte(b, '\n')
		line := b
		if nl >= 0 {
			line = b[:nl]
		}
		if _, v := foundInLine(line, b); v == session.Match {
			return true
		}
		if nl < 0 {
			return false
		}
		b = b[nl+1:]
	}
	return false
}

// maxInLine bounds what is looked at of a response within a line.
const maxInLine = 256

// versionStart is how a response begins.
var versionStart = []byte("HTTP/1.")

// foundInLine returns where in a line a response begins, or may begin if more
// comes; b is the line and what follows it.
func foundInLine(line, b []byte) (at int, v session.Verdict) {
	for {
		i := bytes.Index(line[at:], versionStart)
		if i < 0 {
			break
		}
		at += i
		if v, _ := beginsInLine(b[at:]); v != session.No {
			return at, v
		}
		at++
	}
	if len(line) < len(b) { // the line has its end
		return 0, session.No
	}
	for n := min(len(versionStart)-1, len(line)); n > 0; n-- {
		if bytes.HasSuffix(line, versionStart[:n]) {
			return len(line) - n, session.More
		}
	}
	return 0, session.No
}

// beginsInLine judges whether b begins with a response and where the part ends
// that shows it. Bodies quote status lines: what is not at a line's start must be
// a whole one, and followed by a field or by the end of the head.
func beginsInLine(b []byte) (v session.Verdict, end int) {
	const fixed = len("HTTP/1.1 200")
	switch v := beginsResponse(b); {
	case v != session.Match:
		return v, 0
	case b[fixed-3] < '1' || b[fixed-3] > '5':
		return session.No, 0
	}
	b = b[:min(len(b), maxInLine)]
	i := fixed
	for i < len(b) && (b[i] >= ' ' && b[i] != 0x7f || b[i] == '\t') {
		i++
	}
	for _, c := range []byte("\r\n") {
		switch {
		case i == len(b):
			return moreInLine(b), 0
		case b[i] != c:
			return session.No, 0
		}
		i++
	}
	for name := i; i < len(b); i++ {
		switch c := b[i]; {
		case c == '\r' && i == name, c == ':' && i > name:
			return session.Match, i + 1
		case notToken[c] != 0:
			return session.No, 0
		}
	}
	return moreInLine(b), 0
}

func moreInLine(b []byte) session.Verdict {
	if len(b) == maxInLine {
		return session.No
	}
	return session.More
}

// skipEmpty skips empty lines before a message (RFC 9112 section 2.2).
func skipEmpty(b []byte) []byte {
	for len(b) > 0 && (b[0] == '\r' || b[0] == '\n') {
		b = b[1:]
	}
	return b
}

// maxJudged bounds how much of a line is looked at.
const maxJudged = 8192

// begins judges whether b begins with a message. With strict a request must have
// its whole line; else a common method and the start of a target are enough.
func begins(b []byte, strict bool) session.Verdict {
	v := beginsResponse(b)
	if v == session.No {
		v = beginsRequest(b, strict)
	}
	return v
}

// beginsResponse wants HTTP/1, a minor version and a status code. Of the other
// protocols with such lines (RTSP, SIP, ICY) none begins with HTTP.
func beginsResponse(b []byte) session.Verdict {
	const pattern = "HTTP/1.0 000"
	for i := range len(pattern) {
		if i == len(b) {
			return session.More
		}
		if c := b[i]; c != pattern[i] && (pattern[i] != '0' || !isDigit(c)) {
			return session.No
		}
	}
	if len(b) == len(pattern) {
		return session.More
	}
	switch b[len(pattern)] {
	case ' ', '\r', '\n':
		return session.Match
	default:
		return session.No
	}
}

// maxProbedMethod is the longest method of a flow that is taken for HTTP.
const maxProbedMethod = 32

func beginsRequest(b []byte, strict bool) session.Verdict {
	sp := 0
	for sp < len(b) && sp <= maxProbedMethod && notToken[b[sp]] == 0 {
		sp++
	}
	if sp == len(b) && sp <= maxProbedMethod {
		return session.More
	}
	if sp == 0 || sp > maxProbedMethod || b[sp] != ' ' {
		return session.No
	}
	line := b[:min(len(b), maxJudged)]
	nl := bytes.IndexByte(line, '\n')
	if nl >= 0 {
		line = line[:nl]
	}
	for _, c := range line[sp+1:] {
		if c < ' ' && c != '\r' || c == 0x7f {
			return session.No
		}
	}
	if nl >= 0 {
		line = bytes.TrimSuffix(line, carriageReturn)
		return verdict(isRequestLine(line, sp) || !strict && withoutVersion(line, sp))
	}
	switch {
	case len(line) == maxJudged && strict:
		return session.No
	case strict || len(line) < sp+2:
		return session.More
	case withoutVersion(line, sp):
		return session.Match
	case len(line) == maxJudged:
		return session.No
	default:
		return session.More
	}
}

// isRequestLine says whether a line ends in HTTP/1, with a target or without.
func isRequestLine(line []byte, sp int) bool {
	n := len(line)
	return n >= sp+9 && string(line[n-9:n-1]) == " HTTP/1." && isDigit(line[n-1]) && line[sp+1] > ' '
}

// commonMethods need no version to be believed. Of those RTSP and SIP share some,
// whose targets begin with a scheme.
var commonMethods = map[string]bool{
	"GET": true, "POST": true, "HEAD": true, "PUT": true, "DELETE": true, "OPTIONS": true, "PATCH": true,
	"PROPFIND": true, "PROPPATCH": true, "MKCOL": true, "COPY": true, "MOVE": true, "LOCK": true, "UNLOCK": true,
	"REPORT": true, "SEARCH": true, "TRACE": true, "MKACTIVITY": true, "CHECKOUT": true, "MERGE": true, "CONNECT": true,
}

func verdict(match bool) session.Verdict {
	if match {
		return session.Match
	}
	return session.No
}
