package publish

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
)

// pubAck is the server's answer to one stored message.
type pubAck struct {
	Stream    string    `json:"stream"`
	Domain    string    `json:"domain"`
	Seq       uint64    `json:"seq"`
	Duplicate bool      `json:"duplicate"`
	Error     *ackError `json:"error"`
}

// ackError is a refusal; Code is like HTTP's.
type ackError struct {
	Code        int    `json:"code"`
	ErrCode     int    `json:"err_code"`
	Description string `json:"description"`
}

// Error gives the server's words and codes.
func (e *ackError) Error() string {
	return fmt.Sprintf("the server refuses: %s (code %d, error %d)", e.Description, e.Code, e.ErrCode)
}

// errAccountResources is the server's "resource limits exceeded for account".
const errAccountResources = 10002

// permanent says that sending the same again cannot succeed.
func (e *ackError) permanent() bool {
	if e.ErrCode == errAccountResources {
		return false // room may be made
	}
	switch e.Code {
	case http.StatusRequestTimeout, http.StatusNotFound, http.StatusTooManyRequests:
		return false
	}
	return e.Code >= 400 && e.Code < 500
}

// maxAck bounds the answers that are looked at, in bytes.
const maxAck = 64 << 10

// parseAck reads an answer. The usual one, {"stream":"S","seq":7} or the same
// with ,"duplicate": true, is read without unpacking JSON in general; prefix is
// what it begins with.
func parseAck(data, prefix []byte, a *pubAck) error {
	*a = pubAck{}
	if seq, ok := usualAck(data, prefix); ok {
		a.Seq = seq
		return nil
	}
	if len(data) > maxAck {
		return fmt.Errorf("answer of %d bytes", len(data))
	}
	if err := json.Unmarshal(data, a); err != nil {
		return fmt.Errorf("answer is no acknowledgement: %w", err)
	}
	if a.Error == nil && a.Stream == "" {
		return fmt.Errorf("answer is no acknowledgement: it names no stream")
	}
	return nil
}

func usualAck(data, prefix []byte) (uint64, bool) {
	rest, ok := bytes.CutPrefix(data, prefix)
	if !ok {
		return 0, false
	}
	rest = bytes.TrimLeft(rest, " ")
	if rest, ok = bytes.CutPrefix(rest, []byte(`"seq":`)); !ok {
		return 0, false
	}
	rest = bytes.TrimLeft(rest, " ")
	var seq uint64
	digits := 0
	for digits < len(rest) && digits < 19 && rest[digits]-'0' <= 9 {
		seq = seq*10 + uint64(rest[digits]-'0')
		digits++
	}
	return seq, digits > 0 && string(rest[digits:]) == "}"
}
