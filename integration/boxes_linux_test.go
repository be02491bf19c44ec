package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	dockernet "github.com/moby/moby/api/types/network"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/network"
	"github.com/testcontainers/testcontainers-go/wait"

	"flowscope/parsers"
	"flowscope/publish"
	"flowscope/session"
)

// boxes are containers in a network of their own: a server of DNS, HTTP and TLS, a
// sensor at its interface, a client, and whatever brokers a test starts.
type boxes struct {
	ctx                  context.Context
	t                    *testing.T
	network              string
	trafficImage         string
	server, sensor, load testcontainers.Container
}

func newBoxes(t *testing.T) *boxes {
	t.Helper()
	withoutRace(t)
	if os.Getenv("FLOWSCOPE_DOCKER") != "1" {
		t.Skip("needs a container engine: FLOWSCOPE_DOCKER is not 1")
	}
	ctx, cancel := context.WithTimeout(t.Context(), engineTime)
	t.Cleanup(cancel)
	b := &boxes{ctx: ctx, t: t, trafficImage: imageOf(ctx, t, "TRAFFIC_IMAGE", "flowscope/integration/traffic")}
	net, err := network.New(ctx)
	testcontainers.CleanupNetwork(t, net)
	if err != nil {
		t.Fatal(err)
	}
	b.network = net.Name
	b.server = runContainer(ctx, t, testcontainers.ContainerRequest{
		Image: b.trafficImage, Cmd: []string{"serve"}, Networks: []string{b.network}, WaitingFor: wait.ForLog("serving"),
	})
	return b
}

// broker starts a NATS server that is known by a name in the network, and at a port
// of this machine, 0 for any.
func (b *boxes) broker(image, name string, port int, change func(*testcontainers.ContainerRequest), flags ...string) testcontainers.Container {
	b.t.Helper()
	r := testcontainers.ContainerRequest{
		Image: image, Cmd: append([]string{"-js", "-sd", "/data", "-n", name}, flags...),
		Networks: []string{b.network}, NetworkAliases: map[string][]string{b.network: {name}},
		ExposedPorts: []string{"4222/tcp"}, WaitingFor: wait.ForLog("Server is ready"),
	}
	if port != 0 {
		r.HostConfigModifier = func(h *container.HostConfig) {
			h.PortBindings = dockernet.PortMap{dockernet.MustParsePort("4222/tcp"): {{HostPort: strconv.Itoa(port)}}}
		}
	}
	if change != nil {
		change(&r)
	}
	return runContainer(b.ctx, b.t, r)
}

// url is where a broker is reached from here.
func (b *boxes) url(broker testcontainers.Container) string {
	b.t.Helper()
	url, err := broker.PortEndpoint(b.ctx, "4222/tcp", "nats")
	if err != nil {
		b.t.Fatal(err)
	}
	return url
}

// sense starts the sensor at the server's interface, with the privileges that the
// documentation asks for.
func (b *boxes) sense(servers, config string) {
	b.t.Helper()
	b.sensor = runContainer(b.ctx, b.t, testcontainers.ContainerRequest{
		Image: imageOf(b.ctx, b.t, "FLOWSCOPE_IMAGE", "flowscope/cmd/flowscope"),
		Cmd:   []string{"run", "--config", "/run.yml", "--iface", "eth0"},
		Env:   map[string]string{"FLOWSCOPE_PUBLISH_SERVERS": servers},
		Files: []testcontainers.ContainerFile{{
			Reader:            strings.NewReader("sensor: {name: box}\nworkers: 2\nsecurity: {user: \"65534\"}\n" + config),
			ContainerFilePath: "/run.yml", FileMode: 0o644,
		}},
		HostConfigModifier: func(h *container.HostConfig) {
			h.NetworkMode = container.NetworkMode("container:" + b.server.GetContainerID())
			h.CapDrop, h.CapAdd = []string{"ALL"}, []string{"NET_RAW", "SETUID", "SETGID"}
		},
		WaitingFor: wait.ForLog("msg=confined"),
	})
	inside, err := b.sensor.Inspect(b.ctx)
	if err != nil {
		b.t.Fatal(err)
	}
	checkConfined(b.t, inside.State.Pid)
}

func (b *boxes) serverIP() string {
	b.t.Helper()
	ip, err := b.server.ContainerIP(b.ctx)
	if err != nil {
		b.t.Fatal(err)
	}
	return ip
}

// ask has a client ask each server n times.
func (b *boxes) ask(n int) {
	b.t.Helper()
	runContainer(b.ctx, b.t, testcontainers.ContainerRequest{
		Image: b.trafficImage, Cmd: []string{"ask", b.serverIP(), fmt.Sprint(n)}, Networks: []string{b.network},
		WaitingFor: wait.ForExit(),
	})
}

// goOnAsking has a client ask each server at a rate, until stopAsking, which
// returns how often that was.
func (b *boxes) goOnAsking(rate int) {
	b.t.Helper()
	b.load = runContainer(b.ctx, b.t, testcontainers.ContainerRequest{
		Image: b.trafficImage, Cmd: []string{"load", b.serverIP(), fmt.Sprint(rate)}, Networks: []string{b.network},
		WaitingFor: wait.ForLog("asking"),
	})
}

func (b *boxes) stopAsking() int {
	b.t.Helper()
	b.stop(b.load)
	said := b.log(b.load)
	fields := strings.Fields(said)
	n, err := strconv.Atoi(fields[len(fields)-1])
	if err != nil || n == 0 {
		b.t.Fatalf("the client says %q", said)
	}
	return n
}

// stop ends a container as docker stop does.
func (b *boxes) stop(c testcontainers.Container) {
	b.t.Helper()
	timeout := time.Minute
	if err := c.Stop(b.ctx, &timeout); err != nil {
		b.t.Fatal(err)
	}
}

func (b *boxes) kill(c testcontainers.Container) {
	b.t.Helper()
	output(b.ctx, b.t, exec.CommandContext(b.ctx, "docker", "kill", c.GetContainerID()))
}

// log is what a container wrote.
func (b *boxes) log(c testcontainers.Container) string {
	b.t.Helper()
	r, err := c.Logs(b.ctx)
	if err != nil {
		b.t.Fatal(err)
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		b.t.Fatal(err)
	}
	return string(text)
}

// reader is a durable consumer of the stream, in this process. It goes on reading
// while brokers go and come.
type reader struct {
	nc     *nats.Conn
	mu     sync.Mutex
	seen   map[uint64]bool // by their numbers in the stream
	kinds  map[string]int
	ledger []byte // the last one
	err    error
}

// read begins to read at the beginning of the stream.
func (b *boxes) read(replicas int, urls ...string) *reader {
	b.t.Helper()
	registry, err := session.NewRegistry(parsers.All()...)
	if err != nil {
		b.t.Fatal(err)
	}
	nc, err := nats.Connect(strings.Join(urls, ","), nats.Timeout(30*time.Second), nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond), nats.IgnoreDiscoveredServers())
	if err != nil {
		b.t.Fatal(err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		b.t.Fatal(err)
	}
	var consumer jetstream.Consumer
	awaitTrue(b.t, "a consumer of the stream", func() bool {
		ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
		defer cancel()
		consumer, err = js.CreateOrUpdateConsumer(ctx, "FLOWSCOPE", jetstream.ConsumerConfig{
			Durable: "reader", AckPolicy: jetstream.AckExplicitPolicy, AckWait: 5 * time.Second, Replicas: replicas,
		})
		return err == nil
	})
	r := &reader{nc: nc, seen: map[uint64]bool{}, kinds: map[string]int{}}
	reading, stop := context.WithCancel(b.ctx)
	var done sync.WaitGroup
	done.Go(func() {
		for reading.Err() == nil {
			batch, err := consumer.Fetch(200, jetstream.FetchMaxWait(500*time.Millisecond))
			if err != nil { // no broker, or no leader: it will come
				<-time.After(50 * time.Millisecond)
				continue
			}
			for m := range batch.Messages() {
				r.take(m, registry)
			}
		}
	})
	b.t.Cleanup(func() {
		stop()
		done.Wait()
		nc.Close()
	})
	return r
}

// take counts a message, which may come more than once.
func (r *reader) take(m jetstream.Msg, registry *session.Registry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	about, err := m.Metadata()
	if err != nil {
		r.err = err
		return
	}
	_ = m.Ack() // it comes again, then
	if r.seen[about.Sequence.Stream] {
		return
	}
	r.seen[about.Sequence.Stream] = true
	e, err := publish.Decode(m.Data(), registry)
	if err != nil {
		r.err = err
		return
	}
	if e.Type == session.Application && e.Message == nil {
		r.err = fmt.Errorf("%s has no message", m.Subject())
	}
	r.kinds[e.Protocol+"."+e.Kind]++
	if e.Protocol == session.SensorProtocol && e.Kind == "ledger" {
		r.ledger = m.Data()
	}
}

func (r *reader) count(kind string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.kinds[kind]
}

// awaitMore waits until n more queries have been received.
func (b *boxes) awaitMore(r *reader, n int) {
	b.t.Helper()
	begin := r.count("dns.query")
	awaitTrue(b.t, "more queries", func() bool { return r.count("dns.query") >= begin+n })
}

// settle stops the client and the sensor, waits until the reader has everything, and
// holds it against the ledger, the audit and what was asked. url is any broker left.
func (b *boxes) settle(r *reader, url string) {
	b.t.Helper()
	t, asked := b.t, b.stopAsking()
	b.stop(b.sensor)
	stored := audited(t, url, true)
	awaitTrue(t, "the reader to have what is stored", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		n := uint64(0)
		for kind, of := range r.kinds {
			if !strings.HasPrefix(kind, session.SensorProtocol+".") {
				n += uint64(of)
			}
		}
		return n >= stored
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		t.Error(r.err)
	}
	// A question may be asked again on a busy machine.
	for _, kind := range []string{"dns.query", "dns.response", "http.request", "http.response", "tls.client_hello", "tls.server_hello"} {
		if r.kinds[kind] < asked {
			t.Errorf("%d %s, want %d: %v", r.kinds[kind], kind, asked, r.kinds)
		}
	}
	if r.ledger == nil {
		t.Fatal("no ledger")
	}
	l := ledgerOf(t, r.ledger)
	if err := l.Balance(); err != nil {
		t.Error(err)
	}
	if e := &l.Events; e.Pending != 0 || e.Dropped.Sum() != 0 || e.Acknowledged != e.Made || e.Acknowledged != stored || l.Packets.DroppedKernel != 0 {
		text, _ := json.Marshal(l)
		t.Errorf("the stream holds %d events: %s", stored, text)
	}
	t.Logf("%d rounds, %d events: %d resent, %d duplicates; %v", asked, l.Events.Made, l.Events.Resent, l.Events.Duplicates, r.kinds)
	if t.Failed() {
		t.Logf("sensor: %s", tailOf(b.log(b.sensor)))
	}
}
