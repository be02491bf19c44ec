package publish

import (
	"log/slog"
	"sync"
	"time"
)

// The bounds of what is logged of errors that may come with each single message, as that
// of a missing permission does.
const (
	errorInterval = 10 * time.Second
	maxErrors     = 20 // different ones in an interval
)

// errorLog logs errors, each once in an interval.
type errorLog struct {
	log     *slog.Logger
	message string

	mu     sync.Mutex
	since  time.Time
	told   map[string]bool
	untold int // since the latest line
}

func (l *errorLog) tell(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); now.Sub(l.since) >= errorInterval {
		l.since, l.told = now, map[string]bool{}
	}
	text := err.Error()
	if l.told[text] || len(l.told) >= maxErrors {
		l.untold++
		return
	}
	l.told[text] = true
	l.log.Warn(l.message, "error", err, "untold_before", l.untold)
	l.untold = 0
}
