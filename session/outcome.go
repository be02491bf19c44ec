package session

import (
	"errors"
	"slices"
	"unicode/utf8"
)

// The reasons of parser_closed.
const (
	parserError = iota
	parserDone
	parserGap
	parserOverflow
	parserPanicked
)

var parserReasons = [...]string{"parse_error", "done", "gap", "buffer_overflow", "panic"}

// ParserReasons returns all reasons of parser_closed.
func ParserReasons() []string { return slices.Clone(parserReasons[:]) }

// outcome says why a parser ended, and counts it.
func (d *Driver) outcome(c *candidate, err error) (reason, detail string) {
	count := c.count
	_, panicked := err.(*parserPanic)
	switch {
	case errors.Is(err, ErrDone):
		return parserReasons[parserDone], ""
	case err == errGap:
		return parserReasons[parserGap], ""
	case panicked:
		d.counters.ParserPanics++
		count.Panics++
		return parserReasons[parserPanicked], clip(err.Error())
	}
	d.counters.ParserErrors++
	count.Errors++
	if err == errBuffer || err == errBufferTotal {
		return parserReasons[parserOverflow], err.Error()
	}
	return parserReasons[parserError], clip(err.Error())
}

// maxDetail bounds the details that events carry, in bytes.
const maxDetail = 256

func clip(s string) string {
	if len(s) <= maxDetail {
		return s
	}
	n := maxDetail
	for n > maxDetail-utf8.UTFMax && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
