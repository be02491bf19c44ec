package pipeline

import (
	"context"
	"fmt"

	"flowscope/flow"
	"flowscope/ingest"
	"flowscope/publish"
	"flowscope/session"
)

// Config is what the stages need.
type Config struct {
	// Sensor is the sensor's name, Run the id of this run.
	Sensor, Run string
	// Workers is the number of workers, at least 1; the publisher has as many
	// sinks.
	Workers int
	// Flow.MaxFlows is for all workers together.
	Flow    flow.Config
	Session session.Config
	// Registry holds the protocols that are parsed.
	Registry *session.Registry
}

// Pipeline is everything between a source and a publisher.
type Pipeline struct {
	runner    *ingest.Runner
	tables    []*flow.Table
	drivers   []*session.Driver
	publisher *publish.Publisher
}

// New builds the stages. The source stays the caller's to close, and so does the
// publisher.
func New(cfg Config, src ingest.Source, p *publish.Publisher) (*Pipeline, error) {
	if cfg.Workers < 1 {
		return nil, fmt.Errorf("pipeline: %d workers: want at least 1", cfg.Workers)
	}
	l := &Pipeline{publisher: p}
	handlers := make([]ingest.Handler, cfg.Workers)
	share := cfg.Flow
	share.MaxFlows = max(1, cfg.Flow.MaxFlows/cfg.Workers)
	identity := session.Identity{Sensor: cfg.Sensor, Run: cfg.Run}
	for i := range handlers {
		driver, err := session.NewDriver(cfg.Session, cfg.Registry, identity, p.Sink(i))
		if err != nil {
			return nil, err
		}
		table, err := flow.NewTable(share, cfg.Sensor, driver)
		if err != nil {
			return nil, err
		}
		l.drivers = append(l.drivers, driver)
		l.tables = append(l.tables, table)
		handlers[i] = table
	}
	l.runner = ingest.NewRunner(src, flow.NewSpreader().Spread, handlers)
	return l, nil
}

// Run reads the source to its end, or until ctx ends, and returns when all
// workers have closed their sinks. The error is what ended the input other than
// its regular end: the context's error or what is wrong with the source.
func (l *Pipeline) Run(ctx context.Context) error { return l.runner.Run(ctx) }
