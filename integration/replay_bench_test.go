package integration

import (
	"context"
	"testing"

	"flowscope/flow"
	"flowscope/ingest"
	"flowscope/parsers"
	"flowscope/publish"
	"flowscope/session"
)

// BenchmarkReplay is the whole path with one worker, from capture file to encoded
// events that are then thrown away: what `replay --to discard` does.
func BenchmarkReplay(b *testing.B) {
	registry, err := session.NewRegistry(parsers.All()...)
	if err != nil {
		b.Fatal(err)
	}
	packets := uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		packets += replayDiscard(b, registry, "testdata/dns.pcap")
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(packets), "ns/packet")
}

func replayDiscard(tb testing.TB, registry *session.Registry, path string) uint64 {
	id := session.Identity{Sensor: "bench", Run: "bench"}
	publisher, err := publish.New(publish.DefaultConfig(), publish.Options{Sensor: id.Sensor, Run: id.Run, Registry: registry, Workers: 1}, publish.NewDiscard())
	if err != nil {
		tb.Fatal(err)
	}
	running := make(chan error, 1)
	go func() { running <- publisher.Run(context.Background()) }()
	driver, err := session.NewDriver(session.DefaultConfig(), registry, id, publisher.Sink(0))
	if err != nil {
		tb.Fatal(err)
	}
	table, err := flow.NewTable(flow.DefaultConfig(), id.Sensor, driver)
	if err != nil {
		tb.Fatal(err)
	}
	src, err := ingest.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	defer src.Close()
	runner := ingest.NewRunner(src, nil, []ingest.Handler{table})
	if err := runner.Run(context.Background()); err != nil {
		tb.Fatal(err)
	}
	if err := publisher.Close(context.Background()); err != nil {
		tb.Fatal(err)
	}
	if err := <-running; err != nil {
		tb.Fatal(err)
	}
	return runner.Stats().Packets
}
