package integration

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"flowscope/flow"
	"flowscope/parsers"
	"flowscope/parsers/dns"
	"flowscope/publish"
	"flowscope/publish/embedded"
	"flowscope/session"
)

// TestConsumersOfTheDocument runs the consumers that docs/consuming.md shows
// against a stream with single events, batches, and what is no event.
func TestConsumersOfTheDocument(t *testing.T) {
	text, err := os.ReadFile("../docs/consuming.md")
	if err != nil {
		t.Fatal(err)
	}
	url, want := streamToConsume(t)
	dir := t.TempDir()
	write := func(language, name string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(programOf(t, string(text), language)), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Run("go", func(t *testing.T) {
		program := filepath.Join(dir, "consumer")
		output(t.Context(), t, exec.Command("go", "build", "-o", program, write("go", "main.go")))
		consume(t, url, want, true, program)
	})
	t.Run("python", func(t *testing.T) {
		program := write("python", "consumer.py")
		for _, python := range []string{"python3", "/usr/bin/python3"} { // the first may be one without Debian's packages
			if exec.Command(python, "-c", "import msgpack").Run() == nil {
				consume(t, url, want, false, python, program)
				return
			}
		}
		if os.Getenv("CI") == "true" {
			t.Fatal("python3 with msgpack is missing (Debian: python3-msgpack)")
		}
		t.Skip("python3 with msgpack is missing (Debian: python3-msgpack)")
	})
}

// TestJavaScriptOfTheDocument parses the consumer in JavaScript. It does not run:
// Debian has no msgpack for Node.js.
func TestJavaScriptOfTheDocument(t *testing.T) {
	text, err := os.ReadFile("../docs/consuming.md")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := exec.LookPath("node"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("node is missing (Debian: nodejs)")
		}
		t.Skip("node is missing (Debian: nodejs)")
	}
	check := func(program string) ([]byte, error) {
		path := filepath.Join(t.TempDir(), "consumer.mjs")
		if err := os.WriteFile(path, []byte(program), 0o600); err != nil {
			t.Fatal(err)
		}
		return exec.Command("node", "--check", path).CombinedOutput()
	}
	program := programOf(t, string(text), "javascript")
	if out, err := check(program); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if _, err := check(strings.Replace(program, "{", "", 1)); err == nil {
		t.Error("a program without one of its braces passes")
	}
}

// programOf is the document's program in a language.
func programOf(t *testing.T, text, language string) string {
	t.Helper()
	block := regexp.MustCompile("(?ms)^```" + language + "\n(.*?)^```$").FindStringSubmatch(text)
	if block == nil {
		t.Fatalf("docs/consuming.md has no program in %s", language)
	}
	return block[1]
}

// streamToConsume fills the stream of a server of its own, and returns the lines
// that a consumer prints.
func streamToConsume(t *testing.T) (url string, want []string) {
	t.Helper()
	registry, err := session.NewRegistry(parsers.All()...)
	if err != nil {
		t.Fatal(err)
	}
	server, err := embedded.Start(embedded.Config{Store: t.TempDir(), Listen: "127.0.0.1:0", User: "reader", Password: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	seq := uint64(0)
	for _, batch := range []int{0, 4 << 10} {
		nc, err := server.Connect()
		if err != nil {
			t.Fatal(err)
		}
		cfg := publish.DefaultConfig()
		cfg.BatchBytes = batch
		transport, err := publish.NewJetStream(t.Context(), nc, cfg)
		if err != nil {
			t.Fatal(err)
		}
		p, err := publish.New(cfg, publish.Options{Sensor: "docs", Run: fmt.Sprint("run", batch), Registry: registry, Workers: 1}, transport)
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- p.Run(context.WithoutCancel(t.Context())) }()
		sink := p.Sink(0)
		info := &flow.Info{ID: flow.ID{0: 7}, Transport: flow.UDP}
		for range 50 {
			name := fmt.Sprintf("host%d.example", seq)
			for _, kind := range []string{"query", "closed"} {
				topic, _ := registry.TopicOf("dns", kind)
				ev := &session.SessionEvent{
					Type: registry.Topics()[topic].Type, Topic: topic, Protocol: "dns", Kind: kind, Time: 1, Seq: seq, Flow: info,
				}
				line := fmt.Sprintf("%s dns %s", ev.ID(), kind)
				if kind == "query" {
					q := &dns.Query{}
					q.Questions = []dns.Question{{Name: name, Type: "A", Class: "IN"}}
					ev.Message = q
					line += " " + name
				}
				sink.HandleEvent(ev)
				want = append(want, line)
				seq++
			}
		}
		sink.Close()
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		if nc, err = server.Connect(); err != nil {
			t.Fatal(err)
		}
		for _, hostile := range []string{"\xdd\x7f\xff\xff\xff", "text", "\x81\xa1v\x02", ""} {
			if _, err := nc.Request("flowscope.dns.query", []byte(hostile), 5*time.Second); err != nil {
				t.Fatal(err)
			}
		}
		nc.Close()
	}
	slices.Sort(want)
	return strings.Replace(server.URL(), "nats://", "nats://reader:secret@", 1), want
}

// consume runs a consumer and compares what it prints. One that waits for more is
// interrupted when it has printed enough.
func consume(t *testing.T, url string, want []string, waits bool, command ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "NATS_URL="+url)
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	var notes strings.Builder
	cmd.Stdout, cmd.Stderr = out, &notes
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if waits {
		drained(t, url)
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, notes.String())
	}
	text, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Split(strings.TrimSpace(string(text)), "\n")
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s\n%s", diff, notes.String())
	}
	// An empty payload holds no event, and is none of the hostile ones.
	if n := strings.Count(notes.String(), "flowscope.dns.query"); n < 6 {
		t.Errorf("%d messages were refused, want 6:\n%s", n, notes.String())
	}
}

// drained waits until the durable consumer of the program in Go has nothing left.
func drained(t *testing.T, url string) {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	for begin := time.Now(); time.Since(begin) < time.Minute; time.Sleep(50 * time.Millisecond) {
		m, err := nc.Request("$JS.API.CONSUMER.INFO.FLOWSCOPE.go-example", nil, 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		info := string(m.Data)
		if strings.Contains(info, `"num_pending":0`) && strings.Contains(info, `"num_ack_pending":0`) {
			return
		}
	}
	t.Fatal("the consumer does not come to the end")
}
