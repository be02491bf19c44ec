package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// TestCompose runs docker-compose.yml as it stands, with images that are built
// here from static binaries, and compares what the stream then holds with what
// flowscope said that it sent, and with what dig saw when the sample was recorded.
func TestCompose(t *testing.T) {
	if os.Getenv("FLOWSCOPE_DOCKER") != "1" {
		t.Skip("needs a container engine: FLOWSCOPE_DOCKER is not 1")
	}
	ctx, cancel := context.WithTimeout(t.Context(), engineTime)
	defer cancel()

	project := composeUp(ctx, t)
	id := project.compose(ctx, t, "ps", "-q", "flowscope")
	if id == "" {
		t.Fatal("compose made no container for flowscope")
	}
	code := output(ctx, t, exec.CommandContext(ctx, "docker", "wait", id))
	logs := containerLog(ctx, t, id)
	if code != "0" {
		t.Fatalf("flowscope ended with status %s:\n%s", code, logs)
	}

	stored := storedSubjects(ctx, t, "nats://"+project.compose(ctx, t, "port", "nats", "4222"))
	report := lastReport(t, logs)
	var events uint64
	for subject, n := range stored {
		if !strings.HasPrefix(subject, "flowscope.sensor.") {
			events += n
		}
	}
	if events == 0 || events != report.Events.Acknowledged {
		t.Errorf("the stream holds %d events, flowscope had %d acknowledged", events, report.Events.Acknowledged)
	}
	// Subjects about the sensor go on after the report, so they are not compared.
	ofSensor := func(subject string, _ uint64) bool { return strings.HasPrefix(subject, "flowscope.sensor.") }
	maps.DeleteFunc(stored, ofSensor)
	maps.DeleteFunc(report.Subjects, ofSensor)
	if diff := cmp.Diff(report.Subjects, stored); diff != "" {
		t.Errorf("events by subject (-reported +stored):\n%s", diff)
	}
	if want := digResponses(t); stored["flowscope.dns.response"] < want {
		t.Errorf("the stream holds %d DNS responses; dig alone got %d over UDP", stored["flowscope.dns.response"], want)
	}
}

// engineTime is what a test with containers may take, most of which is, on a busy
// machine, that programs are built for images from nothing.
const engineTime = 15 * time.Minute

// composeProject is one run of the compose file under a name of its own.
type composeProject struct {
	command []string // docker-compose or docker compose
	env     []string
}

// composeUp builds the images, starts the project and has it taken down. env is more
// of the file's variables.
func composeUp(ctx context.Context, t *testing.T, env ...string) *composeProject {
	t.Helper()
	name := fmt.Sprintf("flowscope-test-%d-%d", os.Getpid(), time.Now().UnixNano())
	natsImage, flowscopeImage := name+":nats", name+":flowscope"
	staticImage(ctx, t, natsImage, "github.com/nats-io/nats-server/v2")
	staticImage(ctx, t, flowscopeImage, "flowscope/cmd/flowscope")

	command := []string{"docker-compose"}
	if _, err := exec.LookPath(command[0]); err != nil {
		command = []string{"docker", "compose"}
	}
	p := &composeProject{
		command: append(command, "-p", name, "-f", filepath.Join("..", "docker-compose.yml")),
		env:     append(append(os.Environ(), "NATS_IMAGE="+natsImage, "FLOWSCOPE_IMAGE="+flowscopeImage, "NATS_PORT=0"), env...),
	}
	t.Cleanup(func() { // the test's own context is over by now
		down, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		p.compose(down, t, "down", "--volumes", "--remove-orphans", "--timeout", "5")
	})
	p.compose(ctx, t, "up", "--detach", "--no-build")
	return p
}

// compose runs one compose command and returns what it prints.
func (p *composeProject) compose(ctx context.Context, t *testing.T, args ...string) string {
	t.Helper()
	all := append(p.command[1:len(p.command):len(p.command)], args...)
	cmd := exec.CommandContext(ctx, p.command[0], all...)
	cmd.Env = p.env
	return output(ctx, t, cmd)
}

// staticImage builds a program without cgo, and an image that holds nothing else.
func staticImage(ctx context.Context, t *testing.T, tag, pkg string) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "program")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, pkg)
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	output(ctx, t, build)
	imageOfProgram(ctx, t, tag, program)
}

// imageOfProgram builds an image that holds a static program and nothing else. The
// folder of the program should hold nothing else either.
func imageOfProgram(ctx context.Context, t *testing.T, tag, program string) {
	t.Helper()
	dir := filepath.Dir(program)
	dockerfile := fmt.Sprintf("FROM scratch\nCOPY %s /program\nENTRYPOINT [\"/program\"]\n", filepath.Base(program))
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(dockerfile), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		remove, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if out, err := exec.CommandContext(remove, "docker", "rmi", "--force", tag).CombinedOutput(); err != nil {
			t.Logf("remove image %s: %v\n%s", tag, err, out)
		}
	})
	output(ctx, t, exec.CommandContext(ctx, "docker", "build", "--quiet", "--tag", tag, dir))
}

// output runs a command and returns its standard output without white space
// around it; a failure ends the test with what the command said.
func output(ctx context.Context, t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v (%v)\n%s%s", strings.Join(cmd.Args, " "), err, context.Cause(ctx), stdout.String(), stderr.String())
	}
	return strings.TrimSpace(stdout.String())
}

// containerLog returns what a container wrote to either stream.
func containerLog(ctx context.Context, t *testing.T, id string) string {
	t.Helper()
	out, err := exec.CommandContext(ctx, "docker", "logs", id).CombinedOutput()
	if err != nil {
		t.Fatalf("docker logs: %v\n%s", err, out)
	}
	return string(out)
}

// storedSubjects counts what the stream that covers our events holds.
func storedSubjects(ctx context.Context, t *testing.T, url string) map[string]uint64 {
	t.Helper()
	conn, err := nats.Connect(url)
	if err != nil {
		t.Fatalf("connect to %s: %v", url, err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	name, err := js.StreamNameBySubject(ctx, "flowscope.>")
	if err != nil {
		t.Fatalf("find the stream: %v", err)
	}
	stream, err := js.Stream(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(">"))
	if err != nil {
		t.Fatal(err)
	}
	return info.State.Subjects
}

// report is what the test reads of a run's report.
type report struct {
	Events struct {
		Acknowledged uint64 `json:"acknowledged"`
	} `json:"events"`
	Subjects map[string]uint64 `json:"subjects"`
}

// lastReport reads the report on the last line of a log.
func lastReport(t *testing.T, log string) report {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(log), "\n")
	var r report
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &r); err != nil {
		t.Fatalf("the last line of the log is no report: %v\n%s", err, log)
	}
	return r
}

// digResponses counts the responses that dig says it got over UDP.
func digResponses(t *testing.T) uint64 {
	t.Helper()
	file, err := os.Open(filepath.Join("testdata", "dns.facts.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var n uint64
	for decoder, line := json.NewDecoder(file), 1; decoder.More(); line++ {
		var fact struct{ Message, Transport string }
		if err := decoder.Decode(&fact); err != nil {
			t.Fatalf("%s:%d: %v", file.Name(), line, err)
		}
		if fact.Message == "response" && fact.Transport == "udp" {
			n++
		}
	}
	if n == 0 {
		t.Fatal("dns.facts.jsonl holds no response over UDP")
	}
	return n
}
