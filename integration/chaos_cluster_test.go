//go:build linux

package integration

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// cluster is three servers; every route of the third one goes through a proxy.
type cluster struct {
	t       *testing.T
	nodes   []*natsProcess
	proxies []*proxy
}

func startCluster(t *testing.T, built programs) *cluster {
	t.Helper()
	c := &cluster{t: t}
	var routes []string // where each listens for routes
	for range 3 {
		routes = append(routes, freeAddress(t))
	}
	through := func(target string) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		c.proxies = append(c.proxies, serveProxy(t, l, target))
		return l.Addr().String()
	}
	toA, toB, toC := through(routes[0]), through(routes[1]), through(routes[2])
	for i, peers := range [][]string{{routes[1]}, {routes[0]}, {toA, toB}} {
		var urls []string
		for _, p := range peers {
			urls = append(urls, fmt.Sprintf("%q", "nats-route://"+p))
		}
		advertise := ""
		if i == 2 { // the others are told to reach it through its proxy
			advertise = fmt.Sprintf("advertise: %q", toC)
		}
		extra := fmt.Sprintf("cluster { name: chaos, listen: %q, routes: [%s], %s }", routes[i], strings.Join(urls, ", "), advertise)
		c.nodes = append(c.nodes, newNATS(t, built.server, t.TempDir(), fmt.Sprintf("n%d", i), freeAddress(t), extra))
	}
	for _, n := range c.nodes {
		n.start()
	}
	return c
}

func (c *cluster) urls() string {
	var urls []string
	for _, n := range c.nodes {
		urls = append(urls, n.url())
	}
	return strings.Join(urls, ",")
}

// leader returns which node leads the stream, -1 if none is known.
func (c *cluster) leader(js jetstream.JetStream) int {
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Second)
	defer cancel()
	stream, err := js.Stream(ctx, "FLOWSCOPE")
	if err != nil || stream.CachedInfo().Cluster == nil {
		return -1
	}
	for i := range c.nodes {
		if stream.CachedInfo().Cluster.Leader == fmt.Sprintf("n%d", i) {
			return i
		}
	}
	return -1
}

// partition cuts the third node off the others, or joins it to them again.
func (c *cluster) partition(apart bool) {
	for _, p := range c.proxies {
		p.refuse.Store(apart)
		if apart {
			p.cut()
		}
	}
}

// A cluster loses its leader, and one of its nodes behind a partition, while
// events are published. What is acknowledged is in all of it once, and reaches those
// who consume meanwhile.
func testCluster(t *testing.T, built programs) {
	c := startCluster(t, built)
	nc, err := nats.Connect(c.urls(), nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond), nats.RetryOnFailedConnect(true))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	awaitTrue(t, "the cluster", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		_, err := js.CreateStream(ctx, jetstream.StreamConfig{
			Name: "FLOWSCOPE", Subjects: []string{"flowscope.>"}, Replicas: 3, Duplicates: 2 * time.Minute,
		})
		return err == nil
	})
	rounds := chaosRounds()
	flows := 2000 * (rounds + 1)
	capture := filepath.Join(t.TempDir(), "cluster.pcap")
	writeCapture(t, capture, flows, time.Duration(rounds+1)*4*time.Second, 0, 0)
	settle := listen(t, c.urls(), listeners())
	r := startReplay(t, built.flowscope, c.urls(), capture, "")
	awaitTrue(t, "the first events", func() bool {
		stream, err := js.Stream(t.Context(), "FLOWSCOPE")
		return err == nil && stream.CachedInfo().State.Msgs > 100
	})
	for round := range rounds {
		if round%2 == 0 {
			lead := -1
			awaitTrue(t, "a leader", func() bool { lead = c.leader(js); return lead >= 0 })
			c.nodes[lead].kill()
			awaitTrue(t, "another leader", func() bool { l := c.leader(js); return l >= 0 && l != lead })
			c.nodes[lead].start()
			c.nodes[lead].await()
			continue
		}
		c.partition(true)
		<-time.After(5 * time.Second)
		c.partition(false)
		<-time.After(time.Second)
	}
	l, status := r.end(3 * time.Minute)
	r.check(l, status, uint64(eventsPerFlow*flows))
	if got := audited(t, c.nodes[0].url(), true); got != l.Events.Acknowledged {
		t.Errorf("the stream holds %d events, %d are acknowledged", got, l.Events.Acknowledged)
	}
	var last uint64
	awaitTrue(t, "a leader", func() bool {
		stream, err := js.Stream(t.Context(), "FLOWSCOPE")
		if err == nil {
			last = stream.CachedInfo().State.LastSeq
		}
		return err == nil
	})
	settle(last)
	t.Logf("%d faults, %d events: %d resent, %d duplicates, %.1f s", rounds, l.Events.Made, l.Events.Resent, l.Events.Duplicates, l.Seconds)
}
