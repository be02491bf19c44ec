//go:build !race

package session

// callNumber is the call that a driver is inside of, 0 for none. The worker writes
// it and the watchdog reads it, once a second and without any order between them:
// a word that is seconds old tells as much, and an atomic store for each call
// would cost every packet 5 to 50 ns.
type callNumber struct{ n uint64 }

func (c *callNumber) store(n uint64) { c.n = n }
func (c *callNumber) load() uint64   { return c.n }
