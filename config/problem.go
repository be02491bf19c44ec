package config

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
)

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	// Origin is where the value comes from: a file's path, the name of an
	// environment variable or of a flag, "" for a default.
	Origin string
	// Line and Column count from 1 and are 0 outside of files.
	Line, Column int
	// Key is the path of the key, such as publish.stream.mode; "" if the
	// problem is with no key.
	Key string
	// Text says what is wrong and what would be right.
	Text string
}

// Error is origin, line, column, key and text, as far as there are any.
func (p *Problem) Error() string {
	var b strings.Builder
	if p.Origin != "" {
		b.WriteString(p.Origin)
		if p.Line > 0 {
			b.WriteString(":" + strconv.Itoa(p.Line) + ":" + strconv.Itoa(p.Column))
		}
		b.WriteString(": ")
	}
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	b.WriteString(p.Text)
	return mask(b.String())
}

// Problems are all things that are wrong, in the order in which they were found.
type Problems []*Problem

// Error has one line for each problem.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.Error()
	}
	return strings.Join(lines, "\n")
}

// orNil keeps a list without problems from becoming an error.
func (p Problems) orNil() error {
	if len(p) == 0 {
		return nil
	}
	return p
}

// login is the part of a URL that may hold a password or a token.
var login = regexp.MustCompile(`://[^/?#\s"']*@`)

const masked = "[masked]"

// mask hides the logins of URLs.
func mask(s string) string { return login.ReplaceAllLiteralString(s, "://"+masked+"@") }

// leaves returns the errors that were joined.
func leaves(err error) []error {
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) {
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, leaves(e)...)
	}
	return all
}
