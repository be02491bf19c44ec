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

	"github.com/moby/moby/api/types/container"
	"github.com/nats-io/nats.go"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/network"
	"github.com/testcontainers/testcontainers-go/wait"

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
	if os.Getenv("FLOWSCOPE_DOCKER") != "1" {
		t.Skip("needs a container engine: FLOWSCOPE_DOCKER is not 1")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	const asked = 20
	natsImage := imageOf(ctx, t, "NATS_IMAGE", "github.com/nats-io/nats-server/v2")
	sensorImage := imageOf(ctx, t, "FLOWSCOPE_IMAGE", "flowscope/cmd/flowscope")
	trafficImage := imageOf(ctx, t, "TRAFFIC_IMAGE", "flowscope/integration/traffic")

	net, err := network.New(ctx)
	testcontainers.CleanupNetwork(t, net)
	if err != nil {
		t.Fatal(err)
	}
	broker := runContainer(ctx, t, testcontainers.ContainerRequest{
		Image: natsImage, Cmd: []string{"-js", "-sd", "/data"}, Networks: []string{net.Name},
		ExposedPorts: []string{"4222/tcp"}, WaitingFor: wait.ForLog("Server is ready"),
	})
	server := runContainer(ctx, t, testcontainers.ContainerRequest{
		Image: trafficImage, Cmd: []string{"serve"}, Networks: []string{net.Name}, WaitingFor: wait.ForLog("serving"),
	})
	brokerIP, err := broker.ContainerIP(ctx)
	if err != nil {
		t.Fatal(err)
	}
	serverIP, err := server.ContainerIP(ctx)
	if err != nil {
		t.Fatal(err)
	}
	sensor := runContainer(ctx, t, testcontainers.ContainerRequest{
		Image: sensorImage, Cmd: []string{"run", "--config", "/run.yml", "--iface", "eth0"},
		Env: map[string]string{"FLOWSCOPE_PUBLISH_SERVERS": "nats://" + brokerIP + ":4222"},
		Files: []testcontainers.ContainerFile{{
			Reader:            strings.NewReader("sensor: {name: box}\nworkers: 2\nsecurity: {user: \"65534\"}\npublish: {stream: {mode: create}}\n"),
			ContainerFilePath: "/run.yml", FileMode: 0o644,
		}},
		HostConfigModifier: func(h *container.HostConfig) {
			h.NetworkMode = container.NetworkMode("container:" + server.GetContainerID())
			h.CapDrop, h.CapAdd = []string{"ALL"}, []string{"NET_RAW", "SETUID", "SETGID"}
		},
		WaitingFor: wait.ForLog("msg=confined"),
	})
	inside, err := sensor.Inspect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	checkConfined(t, inside.State.Pid)
	runContainer(ctx, t, testcontainers.ContainerRequest{
		Image: trafficImage, Cmd: []string{"ask", serverIP, fmt.Sprint(asked)}, Networks: []string{net.Name},
		WaitingFor: wait.ForExit(),
	})
	timeout := time.Minute
	if err := sensor.Stop(ctx, &timeout); err != nil {
		t.Fatal(err)
	}

	url, err := broker.PortEndpoint(ctx, "4222/tcp", "nats")
	if err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	stored := readStream(ctx, t, nc)
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
	js, err := nc.JetStream()
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
