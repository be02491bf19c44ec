package http

import (
	"slices"
	"unsafe"

	"flowscope/session/pack"
)

// Keys are written with their msgpack header: a fixstr of their length.
const (
	keyMethod        = "\xa6method"
	keyTarget        = "\xa6target"
	keyVersion       = "\xa7version"
	keyContentType   = "\xaccontent_type"
	keyContentLength = "\xaecontent_length"
	keyHeaders       = "\xa7headers"
	keyTrailers      = "\xa8trailers"
	keyBodySize      = "\xa9body_size"
	keyBodyMissing   = "\xacbody_missing"
	keyBody          = "\xa4body"
	keyBodyDecoded   = "\xacbody_decoded"
	keyDepth         = "\xa5depth"
	keyHost          = "\xa4host"
	keyUserAgent     = "\xaauser_agent"
	keyReferer       = "\xa7referer"
	keyStatus        = "\xa6status"
	keyReason        = "\xa6reason"
	keyServer        = "\xa6server"
	keyLocation      = "\xa8location"
	keyRequest       = "\xa7request"
	keyElapsed       = "\xaaelapsed_ns"
	keyInterim       = "\xa7interim"

	msgpackTrue = 0xc3
	pairHeader  = 0x92 // an array of two
)

func count(present bool) int {
	if present {
		return 1
	}
	return 0
}

// text appends wire text; ascii says that it is known to be ASCII.
func text(b []byte, s string, ascii bool) []byte {
	if !ascii {
		return pack.TextString(b, s)
	}
	if len(s) > 31 {
		return pack.String(b, s)
	}
	return short(b, s)
}

// short appends a string of up to 31 bytes: two copies that overlap instead of a
// call.
func short(b []byte, s string) []byte {
	size, n := len(s), len(b)
	if cap(b)-n < 32 {
		b = slices.Grow(b, 32)
	}
	b = b[:n+1+size]
	b[n] = 0xa0 | byte(size)
	from, to := unsafe.Pointer(unsafe.StringData(s)), unsafe.Pointer(&b[n])
	to = unsafe.Add(to, 1)
	switch {
	case size >= 16:
		first, last := *(*[16]byte)(from), *(*[16]byte)(unsafe.Add(from, size-16))
		*(*[16]byte)(to) = first
		*(*[16]byte)(unsafe.Add(to, size-16)) = last
	case size >= 8:
		first, last := *(*[8]byte)(from), *(*[8]byte)(unsafe.Add(from, size-8))
		*(*[8]byte)(to) = first
		*(*[8]byte)(unsafe.Add(to, size-8)) = last
	case size >= 4:
		first, last := *(*[4]byte)(from), *(*[4]byte)(unsafe.Add(from, size-4))
		*(*[4]byte)(to) = first
		*(*[4]byte)(unsafe.Add(to, size-4)) = last
	default:
		copy(b[n+1:], s)
	}
	return b
}

// optional appends a pair if there is a value.
func optional(b []byte, key, s string, ascii bool) []byte {
	if s == "" {
		return b
	}
	return text(append(b, key...), s, ascii)
}

func appendHeaders(b []byte, key string, headers []Header, ascii bool) []byte {
	b = pack.ArrayHeader(append(b, key...), len(headers))
	if !ascii {
		for i := range headers {
			b = pack.TextString(append(b, pairHeader), headers[i][0])
			b = pack.TextString(b, headers[i][1])
		}
		return b
	}
	for i := range headers { // as text does it, but for the calls
		b = append(b, pairHeader)
		for _, s := range &headers[i] {
			if len(s) > 31 {
				b = pack.String(b, s)
			} else {
				b = short(b, s)
			}
		}
	}
	return b
}

// AppendMsgpack implements session.Message.
func (r *Request) AppendMsgpack(b []byte) []byte {
	b = pack.MapHeader(b, 2+r.pairs()+count(r.Host != "")+count(r.UserAgent != "")+count(r.Referer != ""))
	b = text(append(b, keyMethod...), r.Method, r.ascii)
	b = text(append(b, keyTarget...), r.Target, r.ascii)
	b = r.appendPairs(b)
	b = optional(b, keyHost, r.Host, r.ascii)
	b = optional(b, keyUserAgent, r.UserAgent, r.ascii)
	return optional(b, keyReferer, r.Referer, r.ascii)
}

// AppendMsgpack implements session.Message.
func (r *Response) AppendMsgpack(b []byte) []byte {
	b = pack.MapHeader(b, 1+r.pairs()+count(r.Reason != "")+count(r.Server != "")+count(r.Location != "")+
		count(r.Request != nil)+count(r.Elapsed != nil)+count(len(r.Interim) > 0))
	b = pack.Uint(append(b, keyStatus...), uint64(r.Status))
	b = optional(b, keyReason, r.Reason, r.ascii)
	b = r.appendPairs(b)
	b = optional(b, keyServer, r.Server, r.ascii)
	b = optional(b, keyLocation, r.Location, r.ascii)
	if r.Request != nil {
		b = r.Request.append(append(b, keyRequest...), r.asked)
	}
	if r.Elapsed != nil {
		b = pack.Int(append(b, keyElapsed...), *r.Elapsed)
	}
	if len(r.Interim) > 0 {
		b = pack.ArrayHeader(append(b, keyInterim...), len(r.Interim))
		for i := range r.Interim {
			b = r.Interim[i].append(b)
		}
	}
	return b
}

// pairs is how many pairs appendPairs appends.
func (m *Message) pairs() int {
	return 2 + count(m.Version != "") + count(m.ContentType != "") + count(m.ContentLength != nil) +
		count(len(m.Headers) > 0) + count(len(m.Trailers) > 0) + count(m.BodyMissing != 0) +
		count(len(m.Body) > 0) + count(m.BodyDecoded)
}

func (m *Message) appendPairs(b []byte) []byte {
	b = optional(b, keyVersion, m.Version, m.ascii)
	b = optional(b, keyContentType, m.ContentType, m.ascii)
	if m.ContentLength != nil {
		b = pack.Uint(append(b, keyContentLength...), *m.ContentLength)
	}
	if len(m.Headers) > 0 {
		b = appendHeaders(b, keyHeaders, m.Headers, m.ascii)
	}
	if len(m.Trailers) > 0 {
		b = appendHeaders(b, keyTrailers, m.Trailers, false)
	}
	b = pack.Uint(append(b, keyBodySize...), m.BodySize)
	if m.BodyMissing != 0 {
		b = pack.Uint(append(b, keyBodyMissing...), m.BodyMissing)
	}
	if len(m.Body) > 0 {
		b = pack.Bytes(append(b, keyBody...), m.Body)
	}
	if m.BodyDecoded {
		b = append(append(b, keyBodyDecoded...), msgpackTrue)
	}
	return pack.Uint(append(b, keyDepth...), uint64(m.Depth))
}

func (l *RequestLine) append(b []byte, ascii bool) []byte {
	b = pack.MapHeader(b, 1+count(l.Target != "")+count(l.Host != ""))
	b = text(append(b, keyMethod...), l.Method, ascii)
	b = optional(b, keyTarget, l.Target, ascii)
	return optional(b, keyHost, l.Host, ascii)
}

func (i *Interim) append(b []byte) []byte {
	b = pack.MapHeader(b, 1+count(i.Reason != "")+count(len(i.Headers) > 0))
	b = pack.Uint(append(b, keyStatus...), uint64(i.Status))
	b = optional(b, keyReason, i.Reason, false)
	if len(i.Headers) > 0 {
		b = appendHeaders(b, keyHeaders, i.Headers, false)
	}
	return b
}
