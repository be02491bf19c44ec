package publish

import (
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// unreachedInterval is how often the log says again that no server is reached.
const unreachedInterval = 5 * time.Minute

// reach knows why no server is reached. Its zero value knows what the connection knows.
type reach struct {
	// dialed is why the latest attempt failed; the client's library keeps no error of
	// an attempt that found nobody listening.
	dialed atomic.Pointer[error]

	// since is when there was no connection first, of those that follow each other, and
	// next when to say so; zero while there is one. They are of one goroutine.
	since, next time.Time
}

// option has the connection tell of attempts that fail.
func (r *reach) option() nats.Option {
	return nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { r.dialed.Store(&err) })
}

// why says which servers are not reached, and what the latest attempt met.
func (r *reach) why(nc *nats.Conn, servers []string) error {
	err := nc.LastError()
	if dialed := r.dialed.Load(); err == nil && dialed != nil {
		err = *dialed
	}
	// A configuration with a login in a URL is refused, so that there is none here.
	urls := strings.Join(servers, ",")
	switch {
	case urls == "" && err == nil:
		return nats.ErrDisconnected
	case urls == "":
		return fmt.Errorf("%w: %w", nats.ErrDisconnected, err)
	case err == nil:
		return fmt.Errorf("%w: %s is not reached", nats.ErrDisconnected, urls)
	}
	return fmt.Errorf("%w: %s is not reached: %w", nats.ErrDisconnected, urls, err)
}

// look takes note of whether there is a connection. That there is none is logged once it
// has lasted for patience, and rarely from then on.
func (r *reach) look(now time.Time, connected bool, patience time.Duration, log *slog.Logger, why func() error) {
	switch {
	case connected:
		r.since = time.Time{}
	case r.since.IsZero():
		r.since, r.next = now, now.Add(patience)
	case !now.Before(r.next):
		log.Warn("no NATS server is reached: events are held back", "error", why(), "for", now.Sub(r.since).Round(time.Second))
		r.next = now.Add(unreachedInterval)
	}
}
