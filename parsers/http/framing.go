package http

import (
	"bytes"

	"flowscope/session"
)

// Framing: how the end of a body is found, RFC 9112 section 6.3. Where a message
// leaves that open, recipients differ, which is what request smuggling lives on:
// an anomaly says so and names the reading that was chosen.
//
//	Content-Length and Transfer-Encoding      Transfer-Encoding (section 6.3 item 3)
//	Content-Length twice, same number         that number
//	Content-Length twice, different numbers   the first that is one
//	Content-Length that is no number          as if it was not there
//	Transfer-Encoding in HTTP/1.0             as in HTTP/1.1
//	Transfer-Encoding: identity               as if it was not there (RFC 2616)
//	chunked, and not as the last coding, or twice, or no coding that is known:
//	  in a request                            Content-Length if there is one, else no body
//	  in a response                           until the connection closes

// framing is how the end of a body is found.
type framing uint8

const (
	noBody framing = iota
	byLength
	chunked
	untilClose
)

// lengths is what a head says about its body's length.
type lengths struct {
	length    uint64
	hasLength bool // length holds
	coding    coding
	faults    lengthFaults
}

// coding is the last transfer coding.
type coding uint8

const (
	noCoding coding = iota
	chunkedCoding
	otherCoding
)

// lengthFaults are what is wrong with them.
type lengthFaults uint8

const (
	lengthTwice    lengthFaults = 1 << iota // the same number more than once
	lengthConflict                          // different numbers
	lengthBad                               // no number
	codingBad                               // not plain chunked
	codingIdentity
)

// add takes a Content-Length or a Transfer-Encoding field into account.
func (l *lengths) add(kind fieldKind, value []byte) {
	for first := true; first || len(value) > 0; first = false {
		item := value
		if i := bytes.IndexByte(value, ','); i >= 0 {
			item, value = value[:i], value[i+1:]
		} else {
			value = nil
		}
		from, to := trim(item, 0, len(item))
		if kind == contentLengthField {
			l.addLength(item[from:to])
		} else {
			l.addCoding(item[from:to])
		}
	}
}

// addLength takes one number (RFC 9110 section 8.6).
func (l *lengths) addLength(digits []byte) {
	var n uint64
	ok := len(digits) > 0 && len(digits) <= 18
	for _, c := range digits {
		if !isDigit(c) {
			ok = false
			break
		}
		n = n*10 + uint64(c-'0')
	}
	switch {
	case !ok:
		l.faults |= lengthBad
	case !l.hasLength:
		l.length, l.hasLength = n, true
	case l.length == n:
		l.faults |= lengthTwice
	default:
		l.faults |= lengthConflict
	}
}

// addCoding takes one transfer coding (RFC 9112 section 7).
func (l *lengths) addCoding(name []byte) {
	if i := bytes.IndexByte(name, ';'); i >= 0 {
		_, to := trim(name, 0, i)
		name = name[:to]
	}
	if equalFold(name, "identity") {
		l.faults |= codingIdentity
		return
	}
	if l.coding == chunkedCoding { // nothing may follow it
		l.faults |= codingBad
	}
	switch {
	case equalFold(name, "chunked"):
		l.coding = chunkedCoding
	case equalFold(name, "gzip"), equalFold(name, "x-gzip"), equalFold(name, "deflate"), equalFold(name, "compress"), equalFold(name, "x-compress"):
		l.coding = otherCoding
	default:
		l.coding = otherCoding
		l.faults |= codingBad
	}
}

// frame decides how the body ends, and says what is doubtful about it, "" if
// nothing is.
func (h *head) frame(asked methodClass) (f framing, doubt string) {
	l := &h.lengths
	if h.response {
		if h.status < 200 || h.status == 204 || h.status == 304 || asked == headMethod {
			return noBody, ""
		}
		if asked == connectMethod && h.status < 300 {
			return noBody, ""
		}
	}
	switch l.coding {
	case chunkedCoding:
		f = chunked
		if l.faults&codingBad != 0 { // chunked twice, or after something unknown
			doubt = "Transfer-Encoding is not just chunked; read as chunked"
		}
	case otherCoding:
		f, doubt = h.unknownCoding()
	default:
		f = h.plain()
	}
	if doubt != "" {
		return f, doubt
	}
	return f, h.doubt(f)
}

func (h *head) plain() framing {
	switch {
	case h.lengths.hasLength:
		return byLength
	case h.response:
		return untilClose
	default:
		return noBody
	}
}

func (h *head) unknownCoding() (framing, string) {
	switch {
	case h.response && h.lengths.faults&(codingBad|lengthBad) == 0 && !h.lengths.hasLength:
		return untilClose, "" // section 6.3 item 4
	case h.response:
		return untilClose, "Transfer-Encoding does not end in chunked; read until the connection closes"
	case h.lengths.hasLength:
		return byLength, "Transfer-Encoding does not end in chunked; read by Content-Length"
	default:
		return noBody, "Transfer-Encoding does not end in chunked; read as without a body"
	}
}

// doubt says what is doubtful although a reading was found.
func (h *head) doubt(f framing) string {
	l := &h.lengths
	switch {
	case f == chunked && (l.hasLength || l.faults&lengthBad != 0):
		return "Content-Length and Transfer-Encoding; read as chunked"
	case l.faults&lengthConflict != 0:
		return "Content-Length with different numbers; read by the first"
	case l.faults&lengthBad != 0 && l.hasLength:
		return "one Content-Length is no number; read by the other"
	case l.faults&lengthBad != 0 && h.response:
		return "Content-Length is no number; read until the connection closes"
	case l.faults&lengthBad != 0:
		return "Content-Length is no number; read as without a body"
	case l.faults&lengthTwice != 0:
		return "Content-Length more than once with the same number; read by it"
	case f == chunked && h.minor == 0:
		return "Transfer-Encoding in HTTP/1.0; read as chunked"
	case l.faults&codingIdentity != 0:
		return "Transfer-Encoding identity; read as if it was not there"
	default:
		return ""
	}
}

// flaws are what is wrong with a head beside its lengths.
type flaws uint16

const (
	flawStart flaws = 1 << iota
	flawField
	flawSpaceColon
	flawFold
	flawBareCR
	flawBareLF
	flawLong
)

// The anomalies.
var (
	ambiguousLength = session.AnomalyType{
		Name: "http_ambiguous_length", Severity: session.Warning,
		Meaning:   "the end of a message can be read in more than one way, as request smuggling does; the detail has the reading chosen",
		Reference: "RFC 9112 section 6.3",
	}
	badChunk = session.AnomalyType{
		Name: "http_bad_chunk", Severity: session.Warning,
		Meaning:   "a chunked body does not follow its format, a smuggling risk; the message is published as far as it was read",
		Reference: "RFC 9112 section 7.1",
	}
	badStartLine = session.AnomalyType{
		Name: "http_bad_start_line", Severity: session.Warning,
		Meaning:   "a request line or status line does not follow its format and was read all the same",
		Reference: "RFC 9112 sections 3 and 4",
	}
	badField = session.AnomalyType{
		Name: "http_bad_field", Severity: session.Warning,
		Meaning:   "a header field has no colon, a name that is no token, or a NUL, a smuggling risk",
		Reference: "RFC 9112 section 5",
	}
	spaceBeforeColon = session.AnomalyType{
		Name: "http_space_before_colon", Severity: session.Warning,
		Meaning:   "white space between a field's name and its colon, a smuggling risk; read as if it was not there",
		Reference: "RFC 9112 section 5.1",
	}
	obsFold = session.AnomalyType{
		Name: "http_obs_fold", Severity: session.Warning,
		Meaning:   "a field goes on in another line, a smuggling risk; read as one line",
		Reference: "RFC 9112 section 5.2",
	}
	bareCarriageReturn = session.AnomalyType{
		Name: "http_bare_cr", Severity: session.Warning,
		Meaning:   "a carriage return without a line feed in a head, a smuggling risk; read as part of the line",
		Reference: "RFC 9112 section 2.2",
	}
	bareLineFeed = session.AnomalyType{
		Name: "http_bare_lf", Severity: session.Info,
		Meaning:   "a line that ends in a line feed alone; read as the end of the line",
		Reference: "RFC 9112 section 2.2",
	}
	longHead = session.AnomalyType{
		Name: "http_long_head", Severity: session.Warning,
		Meaning:   "a head or trailers longer than max_head_bytes, with more than max_headers fields, or beyond max_memory; the rest is not published",
		Reference: "RFC 9112 section 5.4",
	}
	skipped = session.AnomalyType{
		Name: "http_unexpected_bytes", Severity: session.Info,
		Meaning:   "bytes where a message should begin, and that begin none; skipped until a line that does",
		Reference: "RFC 9112 section 2.2",
	}
)

func anomalies() []*session.AnomalyType {
	return []*session.AnomalyType{
		&ambiguousLength, &badChunk, &badStartLine, &badField, &spaceBeforeColon, &obsFold,
		&bareCarriageReturn, &bareLineFeed, &longHead, &skipped,
	}
}

// flawAnomalies are the anomalies of flaws.
var flawAnomalies = [...]struct {
	flaw flaws
	typ  *session.AnomalyType
}{
	{flawStart, &badStartLine},
	{flawField, &badField},
	{flawSpaceColon, &spaceBeforeColon},
	{flawFold, &obsFold},
	{flawBareCR, &bareCarriageReturn},
	{flawBareLF, &bareLineFeed},
	{flawLong, &longHead},
}

// report raises an anomaly for each flaw.
func (f flaws) report(where string, out *session.Output) {
	for i := range flawAnomalies {
		if x := &flawAnomalies[i]; f&x.flaw != 0 {
			out.Anomaly(x.typ, where)
		}
	}
}
