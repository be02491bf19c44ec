package publish

import "time"

// limits are what may change while the transport runs.
type limits struct {
	ack, stall time.Duration
	inFlight   int // bytes
	batch      int // bytes of a message of many events; 0 is one each
}

// reconfigure takes up the limits of another configuration.
func (t *jetStream) reconfigure(cfg *Config) {
	t.limits.Store(&limits{ack: cfg.AckTimeout, stall: cfg.StallTimeout, inFlight: cfg.InFlight.Bytes, batch: cfg.BatchBytes})
	t.wake()
}
