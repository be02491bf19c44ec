package integration

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/testcontainers/testcontainers-go"
)

// TestClusterInContainers captures between containers into a stream of three
// copies, and kills the node that leads it. Nothing acknowledged is lost, and who
// reads meanwhile receives everything.
func TestClusterInContainers(t *testing.T) {
	b := newBoxes(t)
	image := imageOf(b.ctx, t, "NATS_IMAGE", "github.com/nats-io/nats-server/v2")
	names := []string{"n0", "n1", "n2"}
	const routes = "nats://n0:6222,nats://n1:6222,nats://n2:6222"
	var nodes []testcontainers.Container
	var urls []string
	for _, name := range names {
		node := b.broker(image, name, 0, nil, "--cluster_name", "boxes", "--cluster", "nats://0.0.0.0:6222", "--routes", routes)
		nodes, urls = append(nodes, node), append(urls, b.url(node))
	}
	b.sense("nats://n0:4222,nats://n1:4222,nats://n2:4222", "publish: {ack_timeout: 2s, stream: {mode: create, replicas: 3}}\n")
	b.goOnAsking(20)
	r := b.read(3, urls...)
	b.awaitMore(r, 50)

	js, err := jetstream.New(r.nc)
	if err != nil {
		t.Fatal(err)
	}
	leader := func() int {
		ctx, cancel := context.WithTimeout(b.ctx, time.Second)
		defer cancel()
		stream, err := js.Stream(ctx, "FLOWSCOPE")
		if err != nil || stream.CachedInfo().Cluster == nil {
			return -1
		}
		return slices.Index(names, stream.CachedInfo().Cluster.Leader)
	}
	lead := -1
	awaitTrue(t, "a leader", func() bool { lead = leader(); return lead >= 0 })
	b.kill(nodes[lead])
	awaitTrue(t, "another leader", func() bool { now := leader(); return now >= 0 && now != lead })
	b.awaitMore(r, 100)

	info, err := js.Stream(b.ctx, "FLOWSCOPE")
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(info.CachedInfo().Config.Replicas, len(info.CachedInfo().Cluster.Replicas)); got != "3 2" {
		t.Errorf("copies and followers of the stream: %s, want 3 2", got)
	}
	b.settle(r, urls[(lead+1)%3])
}
