package cmd

import (
	"slices"
	"sync"

	"github.com/nats-io/nats.go"
)

// peers knows which servers connections are made to, or may be made to because
// another server has told of them.
type peers struct {
	// changed is told when there may be others.
	changed chan struct{}

	mu    sync.Mutex
	conns []*nats.Conn
}

func newPeers() *peers { return &peers{changed: make(chan struct{}, 1)} }

// moved takes in what a connection knows; see publish.ConnectionOptions.
func (p *peers) moved(nc *nats.Conn) {
	p.mu.Lock()
	if !slices.Contains(p.conns, nc) {
		p.conns = append(p.conns, nc)
	}
	p.mu.Unlock()
	select {
	case p.changed <- struct{}{}:
	default: // an earlier change has yet to be seen
	}
}

// urls are those of the servers, some of them more than once.
func (p *peers) urls() (urls []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns = slices.DeleteFunc(p.conns, (*nats.Conn).IsClosed)
	for _, nc := range p.conns {
		urls = append(urls, nc.DiscoveredServers()...)
		if addr := nc.ConnectedAddr(); addr != "" {
			urls = append(urls, "nats://"+addr)
		}
	}
	return urls
}
