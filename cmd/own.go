package cmd

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"flowscope/ingest"
)

const (
	// lookupTimeout bounds how long a server's name is looked up.
	lookupTimeout = 2 * time.Second
	// followInterval is how often they are looked up again.
	followInterval = 30 * time.Second
)

// defaultPorts are those of URLs that name none.
var defaultPorts = map[string]string{"nats": "4222", "tls": "4222", "ws": "80", "wss": "443"}

// ownExpression is the expression of our connections to the configured servers, ""
// if they are to be captured or there are none. Servers that these announce are
// not in it.
func (l *live) ownExpression(ctx context.Context, captured bool) string {
	if captured {
		return ""
	}
	var list []string
	for _, server := range l.Publish.Servers {
		u, err := url.Parse(server)
		if err != nil {
			continue
		}
		port := u.Port()
		if port == "" {
			port = defaultPorts[u.Scheme]
		}
		ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
		addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", u.Hostname())
		cancel()
		if err != nil {
			l.log.Warn("cannot leave out the connection to a server", "server", u.Host, "error", err)
			continue
		}
		for _, a := range addrs {
			list = append(list, fmt.Sprintf("tcp and host %s and port %s", a.Unmap().WithZone(""), port))
		}
	}
	if len(list) == 0 {
		return ""
	}
	slices.Sort(list)
	return "(" + strings.Join(slices.Compact(list), ") or (") + ")"
}

// follow keeps the filter up to date while names of servers change their
// addresses.
func (l *live) follow(ctx context.Context) {
	ticker := time.NewTicker(followInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := l.refilter(ctx, nil); err != nil {
			l.log.Warn("cannot change the filter", "error", err)
		}
	}
}

// refilter looks up our own connections again and, if that or the configuration
// changes the expression, gives it to the capture. A filter that does not compile
// changes nothing.
func (l *live) refilter(ctx context.Context, cfg *ingest.Config) error {
	l.mu.Lock()
	before := [2]string{l.filter, l.own}
	wanted, captured := l.filter, l.ownTraffic
	l.mu.Unlock()
	if cfg != nil {
		wanted, captured = cfg.Filter, cfg.OwnTraffic
	}
	own := l.ownExpression(ctx, captured)
	if own == "" && !captured && cfg == nil {
		own = before[1] // the names were not found just now
	}
	if ctx.Err() != nil || before == [2]string{wanted, own} {
		return nil
	}
	l.setFilter(wanted, own, captured)
	if err := l.capture.Refilter(l.filterFor); err != nil {
		l.setFilter(before[0], before[1], captured)
		return err
	}
	return nil
}

func (l *live) setFilter(wanted, own string, captured bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.filter, l.own, l.ownTraffic = wanted, own, captured
}
