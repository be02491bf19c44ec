package integration

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestComposeLive starts the profile live of docker-compose.yml with images that are
// built here, on an interface of this machine behind which a server is, asks that
// server, and finds the events in the stream.
func TestComposeLive(t *testing.T) {
	withoutRace(t)
	if os.Getenv("FLOWSCOPE_DOCKER") != "1" {
		t.Skip("needs a container engine: FLOWSCOPE_DOCKER is not 1")
	}
	ctx, cancel := context.WithTimeout(t.Context(), engineTime)
	defer cancel()
	const here, there, asked = "10.79.0.1", "10.79.0.2", 20
	s := &site{t: t, far: "fs-compose-" + strconv.FormatInt(time.Now().UnixNano(), 36)}
	iface := fmt.Sprintf("fsc%d", os.Getpid())
	s.run("ip", "netns", "add", s.far)
	t.Cleanup(func() { s.run("ip", "netns", "del", s.far) }) // and both ends with it
	s.run("ip", "link", "add", iface, "type", "veth", "peer", "name", "f0", "netns", s.far)
	s.run("ip", "address", "add", here+"/24", "dev", iface)
	s.run("ip", "link", "set", iface, "up")
	s.run("ip", "-n", s.far, "address", "add", there+"/24", "dev", "f0")
	s.run("ip", "-n", s.far, "link", "set", "f0", "up")
	traffic := filepath.Join(t.TempDir(), "traffic")
	output(ctx, t, exec.Command("go", "build", "-o", traffic, "flowscope/integration/traffic"))
	serving := &watched{until: "serving", found: make(chan struct{})}
	server := in(s.far, traffic, "serve")
	server.Stdout = serving
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = server.Process.Kill(), server.Wait() })
	<-serving.found

	port := strconv.Itoa(freePort(t))
	project := composeUp(ctx, t, "COMPOSE_PROFILES=live", "IFACE="+iface, "NATS_PORT="+port)
	id := project.compose(ctx, t, "ps", "-q", "sensor")
	if id == "" {
		t.Fatal("compose made no container for the sensor")
	}
	t.Cleanup(func() {
		if t.Failed() {
			out, _ := exec.Command("docker", "logs", id).CombinedOutput()
			t.Logf("sensor: %s", tailOf(string(out)))
		}
	})
	awaitTrue(t, "the sensor to publish", func() bool { return strings.Contains(containerLog(ctx, t, id), "publishing begins") })
	pid, err := strconv.Atoi(output(ctx, t, exec.CommandContext(ctx, "docker", "inspect", "--format", "{{.State.Pid}}", id)))
	if err != nil {
		t.Fatal(err)
	}
	checkConfined(t, pid)

	output(ctx, t, exec.CommandContext(ctx, traffic, "ask", there, fmt.Sprint(asked)))
	project.compose(ctx, t, "stop", "sensor")
	if status := output(ctx, t, exec.CommandContext(ctx, "docker", "wait", id)); status != "130" {
		t.Errorf("the sensor ended with status %s", status)
	}
	stored := storedSubjects(ctx, t, "nats://127.0.0.1:"+port)
	for _, kind := range []string{"http.request", "http.response", "tls.client_hello", "tls.server_hello"} {
		if n := stored["flowscope."+kind]; n != asked {
			t.Errorf("%d %s, want %d", n, kind, asked)
		}
	}
	if stored["flowscope.sensor.ledger"] == 0 {
		t.Errorf("no ledger: %v", stored)
	}
}

// TestComposeConfig holds docker-compose.yml, with all its profiles, to what compose
// makes of it, and to the specification that compose v2 follows. It pulls nothing.
func TestComposeConfig(t *testing.T) {
	command, err := exec.LookPath("docker-compose")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("docker-compose is not installed")
	}
	env := append(os.Environ(), "COMPOSE_PROFILES=live,monitoring")
	file, err := filepath.Abs(filepath.Join("..", "docker-compose.yml"))
	if err != nil {
		t.Fatal(err)
	}
	services := func(cmd *exec.Cmd) string {
		cmd.Env = env
		return strings.Join(slices.Sorted(slices.Values(strings.Fields(output(t.Context(), t, cmd)))), " ")
	}
	const want = "flowscope grafana nats prometheus sensor"
	if got := services(exec.Command(command, "-f", file, "config", "--services")); got != want {
		t.Errorf("docker-compose 1 finds %q, want %q", got, want)
	}
	checker := composeChecker(t)
	if got := services(exec.Command(checker, file)); got != want {
		t.Errorf("compose 2 finds %q, want %q", got, want)
	}
	// It must also find fault.
	wrong := writeFile(t, t.TempDir(), "docker-compose.yml", "services:\n  nats:\n    image: nats\n    cap_drops: [ALL]\n")
	if out, err := exec.Command(checker, wrong).CombinedOutput(); err == nil || !strings.Contains(string(out), "cap_drops") {
		t.Errorf("a wrong file passes: %v %s", err, out)
	}
}

// composeChecker builds a program that reads compose files as compose v2 does.
func composeChecker(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "composecheck")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".")
	build.Dir = filepath.Join("testdata", "composecheck")
	build.Env = append(os.Environ(), "GOWORK=off")
	output(t.Context(), t, build)
	return program
}
