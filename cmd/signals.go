package cmd

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// catchSignals returns a context that ends at the first interrupt, and one that
// ends at the second; a third one ends the process as if nobody had caught it. A
// write to a pipe that nobody reads becomes an error instead of a signal.
func catchSignals() (soft, hard context.Context, release func()) {
	hard, abort := context.WithCancel(context.Background())
	soft, stop := context.WithCancel(hard)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	pipe := make(chan os.Signal, 1)
	signal.Notify(pipe, syscall.SIGPIPE)
	done := make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() {
		for _, cancel := range []func(){stop, abort} {
			select {
			case <-signals:
				cancel()
			case <-done:
				return
			}
		}
		signal.Stop(signals)
		signal.Reset(os.Interrupt, syscall.SIGTERM)
	})
	return soft, hard, func() {
		signal.Stop(signals)
		signal.Stop(pipe)
		close(done)
		wait.Wait()
		abort()
	}
}
