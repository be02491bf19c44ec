//go:build linux

package integration

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// proxy is a TCP proxy in front of a server that does what networks do.
type proxy struct {
	listener net.Listener
	target   string
	delay    atomic.Int64 // of each piece, both ways
	mute     atomic.Bool  // what the server says is swallowed
	refuse   atomic.Bool  // new connections end at once
	mu       sync.Mutex
	conns    map[*net.TCPConn]*net.TCPConn // client → server
	wait     sync.WaitGroup
}

func startProxy(t *testing.T, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveProxy(t, l, target)
}

func serveProxy(t *testing.T, l net.Listener, target string) *proxy {
	t.Helper()
	p := &proxy{listener: l, target: target, conns: map[*net.TCPConn]*net.TCPConn{}}
	p.wait.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close()
		p.refuse.Store(true)
		p.cut()
		p.wait.Wait()
	})
	return p
}

func (p *proxy) url() string { return "nats://" + p.listener.Addr().String() }

func (p *proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		if p.refuse.Load() {
			_ = c.Close()
			continue
		}
		s, err := net.DialTimeout("tcp", p.target, time.Second)
		if err != nil {
			_ = c.Close()
			continue
		}
		client, server := c.(*net.TCPConn), s.(*net.TCPConn)
		p.mu.Lock()
		p.conns[client] = server
		p.mu.Unlock()
		p.wait.Go(func() {
			var both sync.WaitGroup
			both.Go(func() { p.pump(server, client, nil) })
			both.Go(func() { p.pump(client, server, &p.mute) })
			both.Wait()
			p.mu.Lock()
			delete(p.conns, client)
			p.mu.Unlock()
			_, _ = client.Close(), server.Close()
		})
	}
}

// pump copies one way until that way ends.
func (p *proxy) pump(to, from *net.TCPConn, mute *atomic.Bool) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if d := p.delay.Load(); d > 0 {
			<-time.After(time.Duration(d))
		}
		if n > 0 && (mute == nil || !mute.Load()) {
			if _, err := to.Write(buf[:n]); err != nil {
				_ = from.Close()
				return
			}
		}
		if err != nil {
			_ = to.CloseWrite()
			return
		}
	}
}

func (p *proxy) each(f func(client, server *net.TCPConn)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c, s := range p.conns {
		f(c, s)
	}
}

// cut breaks all connections with a reset.
func (p *proxy) cut() {
	p.each(func(c, s *net.TCPConn) {
		_, _ = c.SetLinger(0), s.SetLinger(0)
		_, _ = c.Close(), s.Close()
	})
}

// halfClose ends one direction of each connection.
func (p *proxy) halfClose(towardsServer bool) {
	p.each(func(c, s *net.TCPConn) {
		if towardsServer {
			_ = s.CloseWrite()
		} else {
			_ = c.CloseWrite()
		}
	})
}
