//go:build race

package session

import "sync/atomic"

// callNumber is as without the race detector, but orders what was written before
// a call before what the watchdog reads of it.
type callNumber struct{ n atomic.Uint64 }

func (c *callNumber) store(n uint64) { c.n.Store(n) }
func (c *callNumber) load() uint64   { return c.n.Load() }
