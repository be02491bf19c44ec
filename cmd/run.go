package cmd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/net/bpf"

	"flowscope/cmd/internal/monitor"
	"flowscope/cmd/internal/pipeline"
	"flowscope/cmd/internal/status"
	"flowscope/cmd/internal/systemd"
	"flowscope/config"
	"flowscope/flow"
	"flowscope/ingest"
	"flowscope/ingest/filter"
	"flowscope/publish"
)

// runCommand captures live, as a service.
type runCommand struct {
	Config string   `required:"" placeholder:"FILE" help:"Configuration file."`
	Iface  []string `placeholder:"NAME" help:"Network interface to capture on; may be given several times. Default: capture.interfaces of the configuration."`
}

// Run captures until it is stopped.
func (c *runCommand) Run(p *process) error {
	s, err := c.settle(p)
	if err != nil {
		return err
	}
	l := &live{
		settled: s, process: p, sources: c.sources(p), run: newRun(), began: time.Now(), source: sourceAddress,
		log: slog.New(slog.NewTextHandler(p.stderr, nil)),
	}
	l.log = l.log.With("sensor", s.Sensor.Name, "run", l.run)
	if !s.Monitor.Pprof {
		// Nobody can ask for the profile of the heap: its table, which grows by each
		// place of the program that a sample is taken at, up to megabytes, is not kept.
		runtime.MemProfileRate = 0
	}
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	if err := l.open(); err != nil {
		return l.unlessInterrupted(errors.Join(err, l.close()))
	}
	if err := l.confine(); err != nil {
		return errors.Join(err, l.close())
	}
	return l.serve(hangups)
}

// sources are what the configuration is read from, now and at each reload.
func (c *runCommand) sources(p *process) config.Sources {
	s := config.Sources{Factories: p.factories, File: c.Config, Environ: p.environ}
	if len(c.Iface) > 0 {
		s.Flags = append(s.Flags, config.Flag{Name: "--iface", Key: "capture.interfaces", Value: strings.Join(c.Iface, ",")})
	}
	return s
}

// settle reads the configuration.
func (c *runCommand) settle(p *process) (*settled, error) {
	sources := c.sources(p)
	sources.Check = sensorHere // not at a reload: a confined process sees little of the machine
	loaded, err := config.Load(sources)
	if err != nil {
		return nil, err
	}
	complete := *loaded
	s := &settled{live: true, loaded: loaded, Config: &complete}
	if len(s.Capture.Interfaces) == 0 {
		return nil, usagef("no interface to capture on: give --iface NAME, or capture.interfaces in %s", c.Config)
	}
	s.to = toEmbedded
	if len(s.Publish.Servers) > 0 {
		s.to = toNATS
	}
	return s, s.complete()
}

// live is one run of a sensor. Its parts are opened by open, from the last stage
// to the first, run by serve, and closed by close, whatever there is of them.
type live struct {
	*settled
	*process
	sources config.Sources
	run     string
	began   time.Time
	log     *slog.Logger

	dest      *destination
	publisher *publish.Publisher
	capture   *ingest.Capture
	pipeline  *pipeline.Pipeline
	monitor   *monitor.Server // nil for none
	notifier  *systemd.Notifier

	mu        sync.Mutex
	state     string
	capturing captured

	refiltering sync.Mutex // guards addresses, and one change of the filter at a time
	addresses   map[string][]netip.Addr
	source      func(ctx context.Context, to string) netip.Addr // sourceAddress
}

// The values of status.Status.State.
const (
	stateStarting  = "starting"
	stateCapturing = "capturing"
	stateShedding  = "shedding"
	stateStopping  = "stopping"
)

// open opens everything that takes privileges or can be wrong.
func (l *live) open() error {
	l.setState(stateStarting)
	var err error
	if l.notifier, err = systemd.New(l.environ, os.Getpid()); err != nil {
		return err
	}
	registry, err := l.WholeRegistry()
	if err != nil {
		return err
	}
	if l.dest, err = openDestination(l.soft, l.settled, l.process, l.log); err != nil {
		return err
	}
	l.publisher, err = publish.New(l.Publish, publish.Options{
		Sensor: l.Sensor.Name, Run: l.run, Registry: registry, Workers: l.Workers, Live: true,
		Ledger: l.ledger, Log: l.log, Trouble: l.dest.trouble(),
	}, l.dest.transport)
	if err != nil {
		return err
	}
	l.capturing = captured{filter: l.Capture.Filter, ownTraffic: l.Capture.OwnTraffic}
	l.capturing.own = l.ownExpression(l.soft, l.Capture.OwnTraffic)
	l.capture, err = ingest.OpenLive(ingest.LiveConfig{
		Config: l.Capture, Workers: l.Workers, Filter: l.filterFor, Spread: flow.SpreadProgram, Log: l.log,
		Changed: func(i ingest.InterfaceChange) { l.publisher.TellInterface(i.Name, i.Up, i.Unseen, i.Detail) },
	})
	if err != nil {
		return err
	}
	if own := l.captured().own; own != "" {
		l.tellOwn(own)
	}
	l.pipeline, err = pipeline.NewLive(pipeline.Config{
		Sensor: l.Sensor.Name, Run: l.run, Workers: l.Workers,
		Flow: l.Flow, Session: l.Session, Registry: registry, Stuck: l.stuck,
	}, l.capture.Sources(), l.publisher)
	if err == nil && l.Monitor.Listen != "" {
		l.monitor, err = monitor.Listen(l.Monitor, l.status)
	}
	if err == nil {
		l.tellPlaces()
	}
	return err
}

// filterFor compiles the configured filter, and what leaves out our own traffic.
func (l *live) filterFor(link ingest.LinkType) ([]bpf.RawInstruction, error) {
	wanted := l.captured()
	e, err := filter.Parse(wanted.expression())
	if err != nil {
		return nil, err
	}
	p, err := e.Compile(uint32(link), true)
	return p, err
}

// joined makes one expression of two, of which the second must not be.
func joined(wanted, not string) string {
	switch {
	case not == "":
		return wanted
	case strings.TrimSpace(wanted) == "":
		return "not (" + not + ")"
	}
	return "(" + wanted + ") and not (" + not + ")"
}

// unlessInterrupted hides the trouble that a stop makes in setting up.
func (l *live) unlessInterrupted(err error) error {
	if l.soft.Err() != nil {
		return errInterrupted
	}
	return err
}

// serve runs the stages until the first signal, or until one fails; then it stops
// them from the first to the last. The second signal gives up waiting.
func (l *live) serve(hangups <-chan os.Signal) error {
	capturing, stop := context.WithCancel(l.soft)
	defer stop()
	watching, unwatch := context.WithCancel(l.hard) // until all is delivered
	defer unwatch()
	var publishing, beside, watched sync.WaitGroup
	publishing.Go(func() {
		if l.publisher.Run(l.hard) != nil {
			stop()
		}
	})
	beside.Go(func() { l.follow(capturing) })
	beside.Go(func() { l.reloads(capturing, hangups) })
	watched.Go(func() { l.supervise(watching) })
	if l.Monitor.Service && l.dest.connect != nil {
		beside.Go(func() { l.offer(capturing) })
	}
	if l.monitor != nil {
		watched.Go(func() {
			if err := l.monitor.Run(watching); err != nil {
				l.log.Error("monitoring has ended", "error", err)
			}
		})
	}
	l.setState(stateCapturing)
	err := l.pipeline.Run(capturing)
	l.setState(stateStopping)
	l.tell(l.notifier.Stopping())
	stop()
	beside.Wait()
	l.log.Info("capture stopped", "cause", cause(err))
	if errors.Is(err, context.Canceled) {
		err = nil
	}

	drain, cancel := context.WithTimeout(l.hard, l.loaded.Publish.DrainTimeout)
	defer cancel()
	errs := []error{err, l.publisher.Flush(drain)}
	if errs[1] == nil && l.dest.connect != nil {
		errs = append(errs, l.publisher.PublishSensor(l.ledger()))
	}
	closeErr := l.publisher.Close(drain)
	publishing.Wait()
	if errs[1] == nil {
		errs = append(errs, closeErr)
	}
	unwatch()
	watched.Wait()
	errs = append(errs, l.close())
	ledger := l.ledger()
	errs = append(errs, balance(ledger))
	l.farewell(ledger)
	if l.soft.Err() != nil {
		errs = append(errs, errInterrupted)
	}
	return join(errs)
}

// farewell logs the last ledger, and what the interfaces say.
func (l *live) farewell(ledger *publish.Ledger) {
	for _, i := range l.capture.Interfaces() {
		l.log.Info("interface", "name", i.Name, "received", i.Received, "dropped", i.Dropped, "unseen", i.Unseen, "rx_dropped", i.CardDropped, "rx_missed", i.CardMissed)
	}
	wrong := uint64(0)
	for _, w := range l.pipeline.Workers() {
		wrong += w.WrongWorker
	}
	l.log.Info(
		"ledger", "seconds", ledger.Seconds, "packets", ledger.Packets.Received, "dropped_kernel", ledger.Packets.DroppedKernel, "unseen", ledger.Packets.Unseen,
		"flows", ledger.Flows.Started, "events", ledger.Events.Made, "acknowledged", ledger.Events.Acknowledged,
		"pending", ledger.Events.Pending, "dropped", ledger.Events.Dropped.Sum(), "wrong_worker", wrong,
	)
}

func cause(err error) string {
	if err == nil || errors.Is(err, context.Canceled) {
		return "asked to"
	}
	return err.Error()
}

// close releases what is open, whatever that is.
func (l *live) close() error {
	var errs []error
	if l.capture != nil {
		errs = append(errs, l.capture.Close())
	}
	if l.publisher != nil {
		ctx, cancel := context.WithCancel(l.hard)
		cancel()
		_ = l.publisher.Close(ctx) // what it has to say was said
	}
	if l.dest != nil {
		errs = append(errs, l.dest.close())
	}
	if l.monitor != nil {
		errs = append(errs, l.monitor.Close())
	}
	if l.notifier != nil {
		errs = append(errs, l.notifier.Close())
	}
	return errors.Join(errs...)
}

// stuck ends the process because of a parser that does not return.
func (l *live) stuck(err error) {
	l.log.Error("a parser does not return", "error", err)
	panic(err)
}

// ledger is the account of the run so far. It may be called from any goroutine,
// also while the run is being set up.
func (l *live) ledger() *publish.Ledger {
	ledger := l.pipeline.Ledger()
	ledger.Seconds = time.Since(l.began).Seconds()
	ledger.PeakRSS = peakMemory()
	return ledger
}

func (l *live) setState(s string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state = s
}

// status is the sensor at this moment, for whoever looks at it from outside.
func (l *live) status() *status.Status {
	l.mu.Lock()
	state := l.state
	l.mu.Unlock()
	if state == stateCapturing && l.pipeline.Shedding() {
		state = stateShedding
	}
	now := time.Now()
	s := &status.Status{
		Sensor: l.Sensor.Name, Run: l.run, Version: moduleVersion(), Time: now.UTC(), Started: l.began.UTC(),
		State: state, Ledger: l.ledger(), Subjects: l.publisher.Subjects(), Goroutines: runtime.NumGoroutine(),
	}
	s.Ledger.Last = nil // is for audits
	err := l.publisher.Ready()
	s.Ready = err == nil && (state == stateCapturing || state == stateShedding)
	switch {
	case err != nil:
		s.Trouble = err.Error()
	case !s.Ready:
		s.Trouble = "the sensor is " + state
	}
	made := l.publisher.Made()
	for i, w := range l.pipeline.Workers() {
		s.Workers = append(s.Workers, status.Worker{
			Packets: w.Packets, WrongWorker: w.WrongWorker, FlowsActive: w.FlowsActive, Events: made[i],
			Dropped: l.capture.Sources()[i].(ingest.Lossy).Losses().DroppedKernel,
		})
	}
	for _, i := range l.capture.Interfaces() {
		s.Interfaces = append(s.Interfaces, status.Interface{
			Name: i.Name, Received: i.Received, Dropped: i.Dropped, Unseen: i.Unseen, RxDropped: i.CardDropped, RxMissed: i.CardMissed,
		})
		if !i.Up {
			s.Ready = false
			s.Trouble = fmt.Sprintf("interface %s is down", i.Name)
		}
	}
	s.Protocols = map[string]status.Protocol{}
	for _, p := range l.pipeline.Protocols() {
		s.Protocols[p.Name] = status.Protocol{Messages: p.Messages, Errors: p.Errors + p.Panics, Gaps: p.Gaps, Bytes: p.Bytes}
	}
	s.HeapBytes = heapBytes()
	s.Queue.InFlight = uint64(l.publisher.InFlight())
	s.Queue.Bytes, s.Queue.MaxBytes = l.publisher.Heartbeat().QueueBytes, uint64(l.publisher.QueueBytes())
	return s
}
