package cmd

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	// lookupTimeout bounds how long a server's name is looked up.
	lookupTimeout = 2 * time.Second
	// followInterval is how often they are looked up again.
	followInterval = 30 * time.Second
)

// defaultPorts are those of URLs that name none.
var defaultPorts = map[string]string{"nats": "4222", "tls": "4222", "ws": "80", "wss": "443"}

// ownTraffic is the expression of our connections to the configured servers, ""
// if they are to be captured or there are none. Servers that these announce are
// not in it.
func (l *live) ownTraffic(ctx context.Context) string {
	if l.Capture.OwnTraffic {
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
		now := l.ownTraffic(ctx)
		if now == l.own || now == "" || ctx.Err() != nil {
			continue
		}
		l.own = now
		if err := l.capture.Refilter(l.filterFor); err != nil {
			l.log.Warn("cannot change the filter", "error", err)
		}
	}
}
