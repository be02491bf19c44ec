package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
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
	defer func() { err = errors.Join(err, stop()) }()
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
		Flow: r.Flow, Session: r.Session, Registry: registry,
	}, r.paced(), r.publisher)
	if err != nil {
		return errors.Join(err, r.publisher.Close(r.hard), r.tail.close(), r.dest.close())
	}
	return r.report(r.execute())
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
	if r.speed > 0 {
		return input.Pace(r.reading, r.watcher, r.speed)
	}
	return r.watcher
}

// execute runs the stages, first to last, and stops them in the same order. The
// ledger is complete whatever the error says.
func (r *replay) execute() (*publish.Ledger, error) {
	var publishing sync.WaitGroup
	publishing.Go(func() {
		// What ended it, Close tells; a publisher that has failed takes no
		// more events.
		if r.publisher.Run(r.hard) != nil {
			r.stopReading()
		}
	})
	r.startBar()
	readErr := r.pipeline.Run(r.reading)
	r.stopBar()
	if errors.Is(readErr, context.Canceled) {
		readErr = nil
		if r.soft.Err() != nil {
			readErr = errInterrupted
		}
	}
	drain, cancel := context.WithTimeout(r.hard, r.Publish.DrainTimeout)
	defer cancel()
	ledger, err := r.drain(drain)
	publishing.Wait()
	errs := []error{readErr, r.watcher.Unsupported(), err}
	if err == nil {
		errs = append(errs, r.linger(drain))
	}
	errs = append(errs, r.tail.close(), r.dest.close(), balance(ledger))
	return ledger, join(errs)
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

// linger lets the tail receive what was stored, and serves it until interrupted.
func (r *replay) linger(ctx context.Context) error {
	err := r.tail.finish(ctx)
	if !r.serve {
		return err
	}
	fmt.Fprintf(r.notes, "flowscope: serving %s until interrupted\n", r.dest.server.URL())
	<-r.soft.Done()
	return errors.Join(err, errInterrupted)
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
