package integration

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/wait"

	"flowscope/publish"
)

// olderNATS is what is upgraded from: the newest release without fast ingest.
const olderNATS = "v2.12.15"

// olderImage returns the image that NATS_OLD_IMAGE names, or builds one of olderNATS
// from its own module, which has nothing to do with ours.
func olderImage(ctx context.Context, t *testing.T) string {
	t.Helper()
	if name := os.Getenv("NATS_OLD_IMAGE"); name != "" {
		return name
	}
	dir := t.TempDir()
	install := exec.CommandContext(ctx, "go", "install", "-trimpath", "-ldflags", "-s -w", "github.com/nats-io/nats-server/v2@"+olderNATS)
	install.Env = append(os.Environ(), "CGO_ENABLED=0", "GOBIN="+dir, "GOFLAGS=")
	install.Dir = dir
	output(ctx, t, install)
	tag := fmt.Sprintf("flowscope-test-%d:nats_old", time.Now().UnixNano())
	imageOfProgram(ctx, t, tag, filepath.Join(dir, "nats-server"))
	return tag
}

// TestServerUpgrade replaces the server by a newer one, on the same store, while the
// sensor goes on capturing.
func TestServerUpgrade(t *testing.T) {
	for _, mode := range []string{"jetstream", "fast"} {
		t.Run(mode, func(t *testing.T) { testServerUpgrade(t, mode) })
	}
}

func testServerUpgrade(t *testing.T, mode string) {
	b := newBoxes(t)
	older, newer := olderImage(b.ctx, t), imageOf(b.ctx, t, "NATS_IMAGE", "github.com/nats-io/nats-server/v2")
	port := freePort(t)
	volume := fmt.Sprintf("flowscope-test-%d", time.Now().UnixNano())
	t.Cleanup(func() { // after the containers
		if out, err := exec.Command("docker", "volume", "rm", "--force", volume).CombinedOutput(); err != nil {
			t.Errorf("remove volume: %v: %s", err, out)
		}
	})
	store := func(r *testcontainers.ContainerRequest) {
		r.Mounts = testcontainers.Mounts(testcontainers.VolumeMount(volume, "/data"))
	}

	broker := b.broker(older, "nats", port, store)
	before := b.log(broker)
	b.sense("nats://nats:4222", fmt.Sprintf("publish: {mode: %s, ack_timeout: 2s, stream: {mode: create}}\n", mode))
	b.goOnAsking(20)
	var r *reader
	if mode == "fast" {
		// What the old server cannot do is said, and events wait for one that can.
		err := wait.ForLog("fast ingest needs a server 2.14 or later, this one is 2.12").WithStartupTimeout(time.Minute).WaitUntilReady(b.ctx, b.sensor)
		if err != nil {
			t.Fatalf("%v\n%s", err, b.log(b.sensor))
		}
		<-time.After(2 * time.Second) // of traffic
	} else {
		r = b.read(0, b.url(broker))
		b.awaitMore(r, 50)
	}
	b.stop(broker)
	<-time.After(2 * time.Second) // the sensor captures into its queue
	if err := broker.Terminate(b.ctx); err != nil {
		t.Fatal(err)
	}
	broker = b.broker(newer, "nats", port, store)
	if after := b.log(broker); versionOf(before) == "" || versionOf(before) == versionOf(after) {
		t.Errorf("from version %q to version %q", versionOf(before), versionOf(after))
	}
	if r == nil {
		r = b.read(0, b.url(broker))
	}
	b.awaitMore(r, 100)
	b.settle(r, b.url(broker))
	text, err := publish.AppendJSON(nil, r.ledger)
	if err != nil {
		t.Fatal(err)
	}
	if fast := strings.Contains(string(text), `"duplicates":null`); fast != (mode == "fast") {
		t.Errorf("mode %s, and the ledger is %s", mode, text)
	}
}

// versionOf is what a server's log calls its version.
func versionOf(log string) string {
	_, rest, _ := strings.Cut(log, "Version:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return ""
	}
	return fields[0]
}
