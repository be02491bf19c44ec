package http

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"io"
)

// unpackers are made once per worker and used again.
type unpackers struct {
	in   bytes.Reader
	gzip *gzip.Reader
	zlib io.ReadCloser
	raw  io.ReadCloser
}

// unpack decodes what was kept of a body (RFC 9110 section 8.4.1), up to limit
// bytes: neither what goes in nor what comes out is ever more, whatever the body
// claims. It returns nil if nothing can be decoded.
func (u *unpackers) unpack(to, body, encoding []byte, limit int) []byte {
	u.in.Reset(body)
	var r io.Reader
	var err error
	switch {
	case equalFold(encoding, "gzip"), equalFold(encoding, "x-gzip"):
		r, err = u.gunzip()
	case equalFold(encoding, "deflate"):
		r, err = u.inflate(body)
	default:
		return nil
	}
	if err != nil {
		return nil
	}
	if cap(to) < limit {
		to = make([]byte, limit)
	}
	n, _ := io.ReadFull(r, to[:limit]) // what came before an error counts
	return to[:n]
}

func (u *unpackers) gunzip() (io.Reader, error) {
	if u.gzip == nil {
		r, err := gzip.NewReader(&u.in)
		u.gzip = r
		return r, err
	}
	return u.gzip, u.gzip.Reset(&u.in)
}

// inflate reads zlib's format, and the bare one that some senders mean.
func (u *unpackers) inflate(body []byte) (io.Reader, error) {
	if len(body) >= 2 && body[0]&0x0f == 8 && (int(body[0])<<8|int(body[1]))%31 == 0 {
		if u.zlib == nil {
			r, err := zlib.NewReader(&u.in)
			u.zlib = r
			return r, err
		}
		return u.zlib, u.zlib.(zlib.Resetter).Reset(&u.in, nil)
	}
	if u.raw == nil {
		u.raw = flate.NewReader(&u.in)
		return u.raw, nil
	}
	return u.raw, u.raw.(flate.Resetter).Reset(&u.in, nil)
}
