package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/testcontainers/testcontainers-go"

	"flowscope/parsers"
	parsedns "flowscope/parsers/dns"
	"flowscope/publish"
	"flowscope/session"
)

// imageOf returns the image that a variable names, or builds one.
func imageOf(ctx context.Context, t *testing.T, variable, pkg string) string {
	t.Helper()
	if name := os.Getenv(variable); name != "" {
		return name
	}
	tag := fmt.Sprintf("flowscope-test-%d:%s", time.Now().UnixNano(), strings.ToLower(variable))
	staticImage(ctx, t, tag, pkg)
	return tag
}

// runContainer starts a container, which the end of the test removes.
func runContainer(ctx context.Context, t *testing.T, r testcontainers.ContainerRequest) testcontainers.Container {
	t.Helper()
	c, err := testcontainers.GenericContainer(ctx, testcontainers.GenericContainerRequest{ContainerRequest: r, Started: true})
	testcontainers.CleanupContainer(t, c)
	if err != nil {
		log := ""
		if c != nil {
			if rc, logErr := c.Logs(ctx); logErr == nil {
				b, _ := io.ReadAll(rc)
				log = string(b)
			}
		}
		t.Fatalf("container of %s: %v\n%s", r.Image, err, log)
	}
	return c
}

// TestCaptureBetweenContainers has a sensor in the network of a server, a client
// that asks it, a NATS server, and a consumer that asserts typed events.
func TestCaptureBetweenContainers(t *testing.T) {
	b := newBoxes(t)
	const asked = 20
	broker := b.broker(imageOf(b.ctx, t, "NATS_IMAGE", "github.com/nats-io/nats-server/v2"), "nats", 0, nil)
	b.sense("nats://nats:4222", "publish: {stream: {mode: create}}\n")
	b.ask(asked)
	b.stop(b.sensor)

	nc, err := nats.Connect(b.url(broker), nats.Timeout(30*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	stored := readStream(b.ctx, t, nc)
	if len(stored.names) != asked || !slices.Contains(stored.names, "name0.example.org") {
		t.Errorf("queries for %v", stored.names)
	}
	for _, kind := range []string{"dns.response", "http.request", "http.response", "tls.client_hello", "tls.server_hello"} {
		if stored.kinds[kind] != asked {
			t.Errorf("%d %s, want %d", stored.kinds[kind], kind, asked)
		}
	}
	if stored.ledger == nil {
		t.Fatal("no ledger")
	}
	if err := stored.ledger.Balance(); err != nil {
		t.Error(err)
	}
	if l := stored.ledger; l.Events.Pending != 0 || l.Packets.DroppedKernel != 0 || l.Subjects["flowscope.dns.query"] != asked {
		t.Errorf("%+v", l)
	}
}

// streamContents are what a stream holds.
type streamContents struct {
	kinds  map[string]int
	names  []string // of queries
	ledger *publish.Ledger
}

// ledgerOf reads the ledger out of an event about the sensor.
func ledgerOf(t *testing.T, data []byte) *publish.Ledger {
	t.Helper()
	text, err := publish.AppendJSON(nil, data)
	if err != nil {
		t.Fatal(err)
	}
	var e struct {
		Message *publish.Ledger `json:"message"`
	}
	if err := json.Unmarshal(text, &e); err != nil {
		t.Fatal(err)
	}
	return e.Message
}

// readStream reads a stream up to the last ledger, into typed events.
func readStream(ctx context.Context, t *testing.T, nc *nats.Conn) (c streamContents) {
	t.Helper()
	registry, err := session.NewRegistry(parsers.All()...)
	if err != nil {
		t.Fatal(err)
	}
	js, err := nc.JetStream(nats.MaxWait(30 * time.Second))
	if err != nil {
		t.Fatal(err)
	}
	sub, err := js.SubscribeSync("flowscope.>", nats.OrderedConsumer(), nats.DeliverAll())
	if err != nil {
		t.Fatal(err)
	}
	info, err := js.StreamInfo("FLOWSCOPE", nats.Context(ctx))
	if err != nil {
		t.Fatal(err)
	}
	c.kinds = map[string]int{}
	for range info.State.Msgs {
		m, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			t.Fatal(err)
		}
		e, err := publish.Decode(m.Data, registry)
		if err != nil {
			t.Fatal(err)
		}
		if e.Type == session.Application {
			c.kinds[e.Protocol+"."+e.Kind]++
		}
		switch message := e.Message.(type) {
		case *parsedns.Query:
			c.names = append(c.names, message.Questions[0].Name)
		}
		if e.Protocol == session.SensorProtocol && e.Kind == "ledger" {
			c.ledger = ledgerOf(t, m.Data)
		}
	}
	return c
}
