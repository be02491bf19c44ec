package publish

import "context"

// discard throws events away and counts them as written.
type discard struct{ p *Publisher }

// NewDiscard returns a Transport that throws everything away, to measure what
// comes before it.
func NewDiscard() Transport { return &discard{} }

var _ Transport = (*discard)(nil)

func (d *discard) bind(p *Publisher)           { d.p = p }
func (d *discard) run(context.Context)         {}
func (d *discard) flush(context.Context) error { return nil }
func (d *discard) cause() error                { return nil }
func (d *discard) ready() error                { return nil }
func (d *discard) reload() error               { return nil }
func (d *discard) close() error                { return nil }

func (d *discard) publish(_ context.Context, b *Batch) error {
	d.p.account.settle(written, eventsIn(b.Records))
	d.p.queue.recycle(b)
	return nil
}
