package pipeline

import (
	"context"
	"fmt"
	"sync"

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
	Flow flow.Config
	// Session.BufferTotal is for all workers together.
	Session session.Config
	// Stuck is told of a parser that does not return, and has to end the
	// process: no more comes of Run. It is called from another goroutine. nil:
	// nobody looks.
	Stuck func(error)
	// Registry holds the protocols that are parsed.
	Registry *session.Registry
}

// Pipeline is everything between a source and a publisher.
type Pipeline struct {
	runner    runner
	gates     []*gate // of live capture
	shedder   shedder
	tables    []*flow.Table
	drivers   []*session.Driver
	publisher *publish.Publisher
	watchdog  *session.Watchdog
	stuck     func(error)
}

// runner reads the input: an ingest.Runner or an ingest.Group.
type runner interface {
	Run(ctx context.Context) error
	Stats() ingest.Stats
	Losses() ingest.Losses
}

// New builds the stages behind one source, whose packets are divided over the
// workers. The source stays the caller's to close, and so does the publisher.
func New(cfg Config, src ingest.Source, p *publish.Publisher) (*Pipeline, error) {
	l, handlers, err := build(cfg, p)
	if err != nil {
		return nil, err
	}
	l.runner = ingest.NewRunner(src, flow.NewSpreader().Spread, handlers)
	return l, nil
}

// NewLive builds the stages behind a source for each worker, to which the kernel
// has divided the packets by flow.SpreadProgram.
func NewLive(cfg Config, sources []ingest.Source, p *publish.Publisher) (*Pipeline, error) {
	l, handlers, err := build(cfg, p)
	if err != nil {
		return nil, err
	}
	for i, h := range handlers {
		g := &gate{next: h, worker: uint64(i), workers: uint64(cfg.Workers)}
		l.gates = append(l.gates, g)
		handlers[i] = g
	}
	l.runner, err = ingest.NewGroup(sources, handlers)
	if err != nil {
		return nil, err
	}
	return l, nil
}

// build makes what stands behind the sources, from the last stage to the first.
func build(cfg Config, p *publish.Publisher) (*Pipeline, []ingest.Handler, error) {
	if cfg.Workers < 1 {
		return nil, nil, fmt.Errorf("pipeline: %d workers: want at least 1", cfg.Workers)
	}
	l := &Pipeline{publisher: p, stuck: cfg.Stuck}
	handlers := make([]ingest.Handler, cfg.Workers)
	share, limits := cfg.Flow.Share(cfg.Workers), cfg.Session.Share(cfg.Workers)
	identity := session.Identity{Sensor: cfg.Sensor, Run: cfg.Run}
	for i := range handlers {
		driver, err := session.NewDriver(limits, cfg.Registry, identity, p.Sink(i))
		if err != nil {
			return nil, nil, err
		}
		table, err := flow.NewTable(share, cfg.Sensor, driver)
		if err != nil {
			return nil, nil, err
		}
		l.drivers = append(l.drivers, driver)
		l.tables = append(l.tables, table)
		handlers[i] = table
	}
	l.watchdog = session.NewWatchdog(cfg.Session.Watchdog, l.drivers...)
	return l, handlers, nil
}

// Run reads the source to its end, or until ctx ends, and returns when all
// workers have closed their sinks. The error is what ended the input other than
// its regular end: the context's error or what is wrong with the source.
func (l *Pipeline) Run(ctx context.Context) error {
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	var watch sync.WaitGroup
	if l.stuck != nil {
		watch.Go(func() {
			if err := l.watchdog.Run(watching); err != nil {
				l.stuck(err)
			}
		})
	}
	if l.gates != nil {
		watch.Go(func() { l.watchQueue(watching) })
	}
	err := l.runner.Run(ctx)
	stop()
	watch.Wait()
	return err
}
