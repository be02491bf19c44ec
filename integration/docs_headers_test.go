package integration

import (
	"context"
	"maps"
	"slices"
	"testing"

	"flowscope/publish"
	"flowscope/publish/embedded"
	"flowscope/session"
)

// headerTable lists the headers of an event as it comes out of a stream. A header
// whose value is always the same stands there with it.
func headerTable(t *testing.T, registry *session.Registry) *docTable {
	t.Helper()
	header := deliverOne(t, registry).Header
	table := &docTable{name: "headers", head: []string{"Header", "Meaning"}, written: true}
	for _, name := range slices.Sorted(maps.Keys(header)) {
		cell := backquoted(name)
		if name == "Content-Type" {
			cell = backquoted(name + ": " + header[name][0])
		}
		table.rows = append(table.rows, []string{cell})
	}
	return table
}

// deliverOne publishes two events in one message to a server and reads it back.
func deliverOne(t *testing.T, registry *session.Registry) *publish.Delivery {
	t.Helper()
	server, err := embedded.Start(embedded.Config{Store: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	}()
	nc, err := server.Connect()
	if err != nil {
		t.Fatal(err)
	}
	cfg := publish.DefaultConfig()
	cfg.BatchBytes = 16 << 10
	transport, err := publish.NewJetStream(t.Context(), nc, cfg)
	if err != nil {
		t.Fatal(err)
	}
	options := publish.Options{Sensor: "docs", Run: "run-1", Registry: registry, Workers: 1}
	publisher, err := publish.New(cfg, options, transport)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- publisher.Run(context.WithoutCancel(t.Context())) }()
	sink := publisher.Sink(0)
	topic, _ := registry.TopicOf(session.FlowProtocol, "started")
	for range 2 {
		sink.HandleEvent(&session.SessionEvent{
			Type: session.Started, Topic: topic, Protocol: session.FlowProtocol, Kind: "started", Time: 1,
		})
	}
	sink.Close()
	if err := publisher.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	reader, err := server.Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	want := publish.SubscribeConfig{Subjects: []string{"flowscope.>"}, Count: 1, UntilCaughtUp: true}
	for delivery, err := range publish.Subscribe(t.Context(), reader, want) {
		if err != nil {
			t.Fatal(err)
		}
		return delivery
	}
	t.Fatal("the stream holds nothing")
	return nil
}
