package publish

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"flowscope/publish/embedded"
)

func TestOlderThan(t *testing.T) {
	for version, older := range map[string]bool{
		"2.11.9": true, "2.13.99": true, "1.99.0": true, "2.2.0": true,
		"2.14.0": false, "2.14.0-RC.1": false, "2.15.2": false, "3.0.0": false,
		"": false, "dev": false,
	} {
		if got := olderThan(version, 2, 14); got != older {
			t.Errorf("%q is older than 2.14: %v", version, got)
		}
	}
}

// elaborate is a stream with every option other than by default.
func elaborate() Config {
	cfg := DefaultConfig()
	cfg.Prefix, cfg.Mode = "acme.{sensor}.flows", ModeFast
	cfg.Stream = Stream{
		Name: "ACME", Mode: StreamCreate, Storage: "memory", Replicas: 1,
		MaxBytes: 10 << 20, MaxAge: 36 * time.Hour, DuplicateWindow: 90 * time.Second,
	}
	return cfg
}

// The stream is made as it was configured.
func TestStreamIsMadeAsConfigured(t *testing.T) {
	srv := startServer(t, embedded.Config{})
	tr := newJetStreamFor(t, srv, elaborate())
	defer tr.close()
	stream, err := jetStreamOf(t, srv).Stream(t.Context(), "ACME")
	if err != nil {
		t.Fatal(err)
	}
	have := stream.CachedInfo().Config
	have = jetstream.StreamConfig{
		Name: have.Name, Subjects: have.Subjects, Storage: have.Storage, Replicas: have.Replicas, Retention: have.Retention, Discard: have.Discard,
		MaxBytes: have.MaxBytes, MaxAge: have.MaxAge, Duplicates: have.Duplicates, AllowBatchPublish: have.AllowBatchPublish,
	}
	want := jetstream.StreamConfig{
		Name: "ACME", Subjects: []string{"acme.*.flows.>"}, Storage: jetstream.MemoryStorage, Replicas: 1,
		MaxBytes: 10 << 20, MaxAge: 36 * time.Hour, Duplicates: 90 * time.Second, AllowBatchPublish: true,
	}
	if d := cmp.Diff(want, have); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if got := streamConfig(func() Config { c := elaborate(); c.Stream.Replicas = 3; return c }()).Replicas; got != 3 {
		t.Errorf("%d replicas, want 3", got) // which a single server refuses
	}
}

// A stream that is there keeps every one of its options.
func TestStreamIsNotChanged(t *testing.T) {
	srv := startServer(t, embedded.Config{})
	js := jetStreamOf(t, srv)
	made, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "ACME", Subjects: []string{"acme.>"}, MaxMsgs: 7, MaxAge: time.Hour, Discard: jetstream.DiscardNew, AllowBatchPublish: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, mode := range []string{StreamCreate, StreamVerify, StreamOff} {
		cfg := elaborate()
		cfg.Stream.Mode = mode
		tr := newJetStreamFor(t, srv, cfg)
		if err := tr.close(); err != nil {
			t.Error(err)
		}
		stream, err := js.Stream(t.Context(), "ACME")
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(made.CachedInfo().Config, stream.CachedInfo().Config); d != "" {
			t.Errorf("%s: (-before +after):\n%s", mode, d)
		}
	}
}

// The commands have the options of nats 0.5.1.
func TestStreamCommand(t *testing.T) {
	cfg := elaborate()
	cfg.Stream.Replicas = 3
	want := "nats stream add ACME --subjects 'acme.*.flows.>' --storage memory --replicas 3 --retention limits --discard old " +
		"--dupe-window 1m30s --max-bytes 10485760 --max-age 36h --allow-fast --defaults"
	if got := StreamCommand(cfg); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	srv := startServer(t, embedded.Config{})
	if _, err := jetStreamOf(t, srv).CreateStream(t.Context(), jetstream.StreamConfig{Name: "ACME", Subjects: []string{"acme.>"}}); err != nil {
		t.Fatal(err)
	}
	_, err := NewJetStream(t.Context(), connect(t, srv), elaborate())
	var wrong *StreamError
	if !errors.As(err, &wrong) || wrong.Command != "nats stream edit ACME --allow-fast" {
		t.Errorf("a stream without fast ingest: %v", err)
	}
}
