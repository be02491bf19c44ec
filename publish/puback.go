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

// What the server says of its own state with codes that mean the message.
const (
	errAccountResources = 10002 // resource limits exceeded for account: room may be made
	errStreamSealed     = 10109 // another stream may take its place
)

// permanent says that sending the same again cannot succeed.
func (e *ackError) permanent() bool {
	if e.ErrCode == errAccountResources || e.ErrCode == errStreamSealed {
		return false
	}
	switch e.Code {
	case http.StatusRequestTimeout, http.StatusNotFound, http.StatusTooManyRequests:
		return false
	case http.StatusConflict: // a cluster is about to store the same id
		return false
	}
	return e.Code >= 400 && e.Code < 500
}

// maxAck bounds the answers that are looked at, in bytes.
const maxAck = 64 << 10

// parseAck reads an answer.
func parseAck(data []byte, a *pubAck) error {
	if len(data) > maxAck {
		return fmt.Errorf("answer of %d bytes", len(data))
	}
	*a = pubAck{}
	if err := json.Unmarshal(data, a); err != nil {
		return fmt.Errorf("answer is no acknowledgement: %w", err)
	}
	if a.Error == nil && a.Stream == "" {
		return fmt.Errorf("answer is no acknowledgement: it names no stream")
	}
	return nil
}

// usualAck reads the usual answer, {"stream":"S","seq":7}, without unpacking JSON
// in general; prefix is what it begins with.
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
