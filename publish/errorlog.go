package publish

import (
	"log/slog"
	"time"
)

// The bounds of what is logged of the server's errors: a missing permission, for
// instance, is reported for each single message.
const (
	errorInterval = 10 * time.Second
	maxErrors     = 20 // different ones in an interval
)

// errorLog logs errors that the client's library reports, each once in an interval.
// The library calls from one goroutine.
type errorLog struct {
	log    *slog.Logger
	since  time.Time
	told   map[string]bool
	untold int // since the latest line
}

func (l *errorLog) tell(err error) {
	if now := time.Now(); now.Sub(l.since) >= errorInterval {
		l.since, l.told = now, map[string]bool{}
	}
	text := err.Error()
	if l.told[text] || len(l.told) >= maxErrors {
		l.untold++
		return
	}
	l.told[text] = true
	l.log.Warn("NATS reports an error", "error", err, "untold_before", l.untold)
	l.untold = 0
}
