package cmd

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
)

// startProfiles starts what the flags ask for; stop ends it and writes the files.
func (c *replayCommand) startProfiles() (stop func() error, err error) {
	if c.CPUProfile == "" {
		return c.writeHeap, nil
	}
	f, err := os.Create(c.CPUProfile)
	if err != nil {
		return nil, fmt.Errorf("write CPU profile: %w", err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(fmt.Errorf("write CPU profile: %w", err), f.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return errors.Join(f.Close(), c.writeHeap())
	}, nil
}

func (c *replayCommand) writeHeap() error {
	if c.MemProfile == "" {
		return nil
	}
	f, err := os.Create(c.MemProfile)
	if err != nil {
		return fmt.Errorf("write memory profile: %w", err)
	}
	runtime.GC() // what is alive, not what was not collected yet
	return errors.Join(pprof.Lookup("allocs").WriteTo(f, 0), f.Close())
}
