package embedded

import (
	"fmt"
	"log/slog"
	"sync"

	"github.com/nats-io/nats-server/v2/server"
)

// logger passes the server's warnings and errors on, and remembers the first
// error: it is mostly why the server does not start.
type logger struct {
	log *slog.Logger
	mu  sync.Mutex
	err string
}

var _ server.Logger = (*logger)(nil)

func newLogger(log *slog.Logger) *logger {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &logger{log: log}
}

func (l *logger) first() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

func (l *logger) fail(format string, v []any) {
	s := fmt.Sprintf(format, v...)
	l.log.Error("embedded NATS server", "says", s)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == "" {
		l.err = s
	}
}

// Noticef, Debugf and Tracef are not wanted.
func (l *logger) Noticef(string, ...any) {}

// Debugf drops the line.
func (l *logger) Debugf(string, ...any) {}

// Tracef drops the line.
func (l *logger) Tracef(string, ...any) {}

// Warnf logs a warning.
func (l *logger) Warnf(format string, v ...any) {
	l.log.Warn("embedded NATS server", "says", fmt.Sprintf(format, v...))
}

// Errorf logs and remembers an error.
func (l *logger) Errorf(format string, v ...any) { l.fail(format, v) }

// Fatalf logs and remembers an error; the server stops by itself.
func (l *logger) Fatalf(format string, v ...any) { l.fail(format, v) }
