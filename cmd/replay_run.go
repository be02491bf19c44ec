package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"flowscope/cmd/internal/input"
	"flowscope/cmd/internal/pipeline"
	"flowscope/cmd/internal/progress"
	"flowscope/ingest"
	"flowscope/publish"
)

// Run reads the files, publishes, and reports.
func (c *replayCommand) Run(p *process) (err error) {
	s, err := c.settle(p)
	if err != nil {
		return err
	}
	stop, err := c.startProfiles()
	if err != nil {
		return err
	}
	defer func() { err = join([]error{err, stop()}) }()
	r := &replay{settled: s, process: p, run: newRun(), began: time.Now(), notes: p.stderr}
	return r.do()
}

// replay is one run.
type replay struct {
	*settled
	*process
	run   string
	began time.Time
	notes io.Writer // standard error, or the progress bar before it

	// reading ends with soft, and when there is nobody to read for.
	reading     context.Context
	stopReading context.CancelFunc

	files     ingest.Source
	watcher   *input.Watcher
	dest      *destination
	publisher *publish.Publisher
	pipeline  *pipeline.Pipeline
	tail      *tail
	bar       *progress.Bar
}

// do opens everything, from the input, where users err most, to the stages, and
// runs it.
func (r *replay) do() (err error) {
	if r.files, err = ingest.OpenFiles(r.settled.files); err != nil {
		return err
	}
	defer r.files.Close()
	log := slog.New(slog.NewTextHandler(noteWriter{r}, &slog.HandlerOptions{Level: slog.LevelWarn}))
	registry, err := r.Registry()
	if err != nil {
		return err
	}
	if r.dest, err = openDestination(r.soft, r.settled, r.process, log); err != nil {
		return r.unlessInterrupted(err)
	}
	r.publisher, err = publish.New(r.Publish, publish.Options{
		Sensor: r.Sensor.Name, Run: r.run, Registry: registry, Workers: r.Workers, Log: log,
		Trouble: r.dest.trouble(),
	}, r.dest.transport)
	if err != nil {
		return errors.Join(err, r.dest.close())
	}
	r.reading, r.stopReading = context.WithCancel(r.soft)
	defer r.stopReading()
	if r.settled.tail {
		if r.tail, err = startTail(r); err != nil {
			return r.unlessInterrupted(errors.Join(err, r.publisher.Close(r.hard), r.dest.close()))
		}
	}
	r.watcher = input.Watch(r.files)
	r.pipeline, err = pipeline.New(pipeline.Config{
		Sensor: r.Sensor.Name, Run: r.run, Workers: r.Workers,
		Flow: r.Flow, Session: r.Session, Registry: registry, Stuck: r.stuck,
	}, r.paced(), r.publisher)
	if err != nil {
		return errors.Join(err, r.publisher.Close(r.hard), r.tail.close(), r.dest.close())
	}
	return r.execute()
}

// unlessInterrupted hides the trouble that an interrupt makes in setting up.
func (r *replay) unlessInterrupted(err error) error {
	if r.soft.Err() != nil {
		return errInterrupted
	}
	return err
}

// noteWriter writes to whatever standard error is at the moment.
type noteWriter struct{ r *replay }

func (w noteWriter) Write(p []byte) (int, error) { return w.r.notes.Write(p) }

func (r *replay) paced() ingest.Source {
	var src ingest.Source = r.watcher
	if r.expression != nil {
		src = input.Filter(src, r.expression)
	}
	if r.speed > 0 {
		return input.Pace(r.reading, src, r.speed)
	}
	return src
}

// stuck ends the process: a parser is in a loop, its worker will never stop, and
// what waits behind it cannot be published.
func (r *replay) stuck(err error) {
	complain(r.notes, err)
	os.Exit(exitFailed)
}

// execute runs the stages, first to last, stops them in the same order, and
// reports.
func (r *replay) execute() error {
	var publishing sync.WaitGroup
	publishing.Go(func() {
		// What ended it, Close tells; a publisher that has failed takes no
		// more events.
		if r.publisher.Run(r.hard) != nil {
			r.stopReading()
		}
	})
	readErr := r.read()
	drain, cancel := context.WithTimeout(r.hard, r.Publish.DrainTimeout)
	defer cancel()
	ledger, drainErr := r.drain(drain)
	publishing.Wait()
	errs := []error{readErr, r.watcher.Unsupported(), drainErr}
	if drainErr == nil {
		errs = append(errs, r.tail.finish(drain))
	}
	errs = append(errs, r.tail.close(), balance(ledger))
	if r.serve && drainErr == nil && r.soft.Err() == nil {
		return r.reportAndServe(ledger, join(errs))
	}
	return r.report(ledger, join(append(errs, r.dest.close())))
}

// read runs the workers until the input is over.
func (r *replay) read() error {
	r.startBar()
	err := r.pipeline.Run(r.reading)
	r.stopBar()
	if !errors.Is(err, context.Canceled) {
		return err
	}
	if r.soft.Err() != nil {
		return errInterrupted
	}
	return nil // whoever stopped the reading says why
}

// reportAndServe keeps the embedded server running until interrupted.
func (r *replay) reportAndServe(l *publish.Ledger, err error) error {
	fmt.Fprintf(r.notes, "flowscope: serving %s until interrupted\n", r.dest.server.URL())
	err = r.report(l, err)
	<-r.soft.Done()
	closeErr := r.dest.close()
	complain(r.notes, closeErr)
	return join([]error{err, errInterrupted, closeErr})
}

// drain waits until everything is settled, publishes the ledger of that, and
// closes the publisher.
func (r *replay) drain(ctx context.Context) (*publish.Ledger, error) {
	err := r.publisher.Flush(ctx)
	ledger := r.ledger()
	if err == nil && r.dest.connect != nil {
		err = r.publisher.PublishSensor(ledger)
	}
	closeErr := r.publisher.Close(ctx)
	if err != nil && closeErr == nil {
		return ledger, err
	}
	if closeErr != nil {
		ledger = r.ledger() // acknowledgements may have come meanwhile
	} else if n := ledger.Events.DeadLetter; n > 0 {
		closeErr = fmt.Errorf("%d events were refused for good: sensor.dead_letter events tell which and why", n)
	}
	return ledger, closeErr
}

func (r *replay) ledger() *publish.Ledger {
	l := r.pipeline.Ledger()
	l.Seconds = time.Since(r.began).Seconds()
	l.PeakRSS = peakMemory()
	return l
}

func balance(l *publish.Ledger) error {
	if err := l.Balance(); err != nil {
		return fmt.Errorf("internal error: %w", err)
	}
	return nil
}

func (r *replay) startBar() {
	files, ok := r.files.(ingest.Progress)
	printsHere := (r.to == toStdout || r.settled.tail) && isTerminal(r.stdout)
	if !ok || r.json || printsHere || !isTerminal(r.stderr) {
		return
	}
	r.bar = progress.Start(r.stderr, files.Progress)
	r.notes = r.bar
}

// stopBar leaves the bar in place as the writer of notes: it passes them on.
func (r *replay) stopBar() {
	if r.bar != nil {
		r.bar.Stop()
	}
}
