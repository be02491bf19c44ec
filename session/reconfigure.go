package session

import (
	"errors"
	"slices"
)

// Reconfigure gives the driver other limits and other options of the same
// protocols, which it takes up at the end of a batch: limits hold from then on,
// options and settings of a protocol for flows of which it is yet to be told what
// they are. Parsers that run keep theirs, and go on if their protocol is disabled. A
// registry of other protocols, or in another order, is refused. Any goroutine may call it; parsers are made on it to see
// whether that goes well.
func (d *Driver) Reconfigure(cfg Config, registry *Registry) error {
	if !slices.Equal(registry.topics, d.registry.topics) {
		return errors.New("session driver: other protocols than at the start: that needs a restart")
	}
	fresh, err := NewDriver(cfg, registry, d.id, nil)
	if err != nil {
		return err
	}
	d.coming.Store(fresh)
	return nil
}

// TakenUp says that no event will be handled by an earlier configuration than that of
// the latest Reconfigure. Any goroutine may call it.
func (d *Driver) TakenUp() bool { return d.coming.Load() == nil }

// takeUp changes the configuration if another has come. No parser may be running.
func (d *Driver) takeUp() {
	if d.coming.Load() == nil {
		return
	}
	fresh := d.coming.Swap(nil)
	d.cfg = fresh.cfg
	d.all, d.udp, d.tcp = fresh.all, fresh.udp, fresh.tcp
	d.datagrams, d.streams = fresh.datagrams, fresh.streams
	for i, c := range d.all {
		c.count = &d.counters.Protocols[i]
	}
	d.limiter.interval = fresh.limiter.interval
	for i := range d.states {
		d.states[i].outdated = true
	}
}
