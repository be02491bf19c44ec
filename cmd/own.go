package cmd

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
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

// leafPort is that of a hub whose URL names none.
const leafPort = "7422"

// ownExpression is the expression of our connections to servers, "" if they are to be
// captured or there are none: to those that are configured, those that these have
// told of, those that we are connected to, and to the hubs of the embedded server.
func (l *live) ownExpression(ctx context.Context, captured bool) string {
	if captured {
		return ""
	}
	var list []string
	for _, server := range slices.Concat(l.Publish.Servers, l.dest.peers.urls(), l.hubs()) {
		u, err := url.Parse(server)
		if err != nil {
			continue
		}
		port := cmp.Or(u.Port(), defaultPorts[u.Scheme])
		for _, a := range l.lookUp(ctx, u.Hostname()) {
			list = append(list, between(l.source(ctx, net.JoinHostPort(a.Unmap().String(), port)), a, port))
		}
	}
	if len(list) == 0 {
		return ""
	}
	slices.Sort(list)
	return "(" + strings.Join(slices.Compact(list), ") or (") + ")"
}

// between is the expression of a connection from here to a port of a server: those of
// others to it are to be captured. Where it is not known from which address it would
// be, there are none of others.
func between(here, server netip.Addr, port string) string {
	s := server.Unmap().WithZone("")
	if !here.IsValid() {
		return fmt.Sprintf("tcp and host %s and port %s", s, port)
	}
	h := here.Unmap().WithZone("")
	return fmt.Sprintf("tcp and ((src host %s and dst host %s and dst port %s) or (src host %s and src port %s and dst host %s))", h, s, port, s, port, h)
}

// sourceAddress is the address that a connection from here to another would be from.
// Nothing is sent.
func sourceAddress(ctx context.Context, to string) netip.Addr {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "udp", to)
	if err != nil {
		return netip.Addr{}
	}
	defer conn.Close()
	a, err := netip.ParseAddrPort(conn.LocalAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr()
}

// hubs are the servers that the embedded one connects to.
func (l *live) hubs() (urls []string) {
	if len(l.Publish.Servers) > 0 {
		return nil
	}
	for _, server := range l.Publish.Embedded.Leaf.Servers {
		u, err := url.Parse(server)
		if err == nil && u.Port() == "" && (u.Scheme == "nats" || u.Scheme == "tls") {
			u.Host += ":" + leafPort
			server = u.String()
		}
		urls = append(urls, server)
	}
	return urls
}

// lookUp returns the addresses of a server; if they are not to be had now, those that
// it had.
func (l *live) lookUp(ctx context.Context, host string) []netip.Addr {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		if l.addresses[host] == nil {
			l.log.Warn("cannot leave out the connection to a server", "server", host, "error", err)
		}
		return l.addresses[host]
	}
	if l.addresses == nil {
		l.addresses = map[string][]netip.Addr{}
	}
	l.addresses[host] = addrs
	return addrs
}

// follow keeps the filter up to date while servers come and go, and their names change
// their addresses.
func (l *live) follow(ctx context.Context) {
	ticker := time.NewTicker(followInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-l.dest.peers.changed:
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
	l.refiltering.Lock()
	defer l.refiltering.Unlock()
	before := l.captured()
	after := before
	if cfg != nil {
		after.filter, after.ownTraffic = cfg.Filter, cfg.OwnTraffic
	}
	after.own = l.ownExpression(ctx, after.ownTraffic)
	if ctx.Err() != nil {
		return nil
	}
	l.setCaptured(after)
	if after.expression() == before.expression() {
		return nil
	}
	if err := l.capture.Refilter(l.filterFor); err != nil {
		l.setCaptured(before)
		return err
	}
	if after.own != before.own {
		l.tellOwn(after.own)
	}
	return nil
}

// tellOwn logs which connections are left out of the capture.
func (l *live) tellOwn(expression string) {
	l.log.Info("own connections left out of the capture", "expression", expression)
}

// captured says what is to be captured.
type captured struct {
	// filter is the configured expression, own what leaves out our connections to
	// servers; with ownTraffic nothing does.
	filter, own string
	ownTraffic  bool
}

// expression is the whole of it.
func (c *captured) expression() string { return joined(c.filter, c.own) }

func (l *live) captured() captured {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.capturing
}

func (l *live) setCaptured(c captured) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.capturing = c
}
