package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"flowscope/config"
	"flowscope/ingest/filter"
	"flowscope/publish"
	"flowscope/session"
)

// The exit statuses.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

// process is what a command sees of the process that it runs in.
type process struct {
	factories []session.Factory
	args      []string
	environ   []string
	stdin     *os.File
	stdout    *os.File
	stderr    *os.File
	// soft ends at the first interrupt, hard at the second.
	soft, hard context.Context
}

// Main runs the command line of the process with these protocols and returns its
// exit status.
func Main(factories ...session.Factory) int {
	soft, hard, release := catchSignals()
	defer release()
	p := &process{
		factories: factories, args: os.Args[1:], environ: os.Environ(),
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, soft: soft, hard: hard,
	}
	err := p.dispatch()
	var reported *reportedError
	if err != nil && !errors.As(err, &reported) {
		complain(p.stderr, err)
	}
	return exitStatus(err)
}

// exitStatus is the exit status that stands for an error.
func exitStatus(err error) int {
	var (
		usage    *usageError
		problems config.Problems
		reported *reportedError
		link     *filter.LinkError
	)
	switch {
	case errors.As(err, &reported):
		return exitStatus(reported.err)
	case err == nil, errors.Is(err, publish.ErrClosedPipe):
		return exitOK
	case errors.As(err, &usage), errors.As(err, &problems), errors.As(err, &link):
		return exitUsage
	case err == errInterrupted:
		return exitInterrupted
	default:
		return exitFailed
	}
}

// complain writes an error, each of its lines with our name.
func complain(w io.Writer, err error) {
	if err == nil || err == errInterrupted || errors.Is(err, publish.ErrClosedPipe) {
		return
	}
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintf(w, "flowscope: %s\n", strings.TrimRight(line, "\n"))
	}
}

// reportedError is an error that the user has been told already.
type reportedError struct{ err error }

func (e *reportedError) Error() string { return e.err.Error() }
func (e *reportedError) Unwrap() error { return e.err }

// usageError is wrong use of the command line.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...)}
}

// notAvailable refuses what other versions may have.
func notAvailable(what string) error {
	return usagef("%s is not available in this version", what)
}

// errInterrupted says that the user has stopped a command, and all is well
// otherwise.
var errInterrupted = errors.New("interrupted")
