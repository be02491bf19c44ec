package publish

import (
	"context"
	"errors"
	"fmt"
)

// Transport takes batches to where events go. There are three: NewDiscard,
// NewWriter, NewJetStream; each belongs to one Publisher. Publish and Flush are
// called from one goroutine, Run from another.
type Transport interface {
	// bind is called once, before everything else.
	bind(p *Publisher)
	// run does what goes on beside Publish until ctx ends.
	run(ctx context.Context)
	// publish takes a batch over and recycles it when all of its events are
	// settled. It waits while too much is under way. An error is final.
	publish(ctx context.Context, b *Batch) error
	// flush returns when everything taken over is settled. An error of ctx
	// leaves the rest under way; any other is final.
	flush(ctx context.Context) error
	// ready says why nothing can be delivered yet, nil if it can.
	ready() error
	// reload takes up files of the login that have changed.
	reload() error
	// cause is the latest trouble, for whoever asks why something is pending.
	cause() error
	// close releases what the transport holds. It is called once, last.
	close() error
}

// ErrClosedPipe says that whoever reads the output has stopped reading. It is no
// failure: the command ends quietly.
var ErrClosedPipe = errors.New("the reader of the output has closed it")

// NotAcknowledgedError says that events were made and are not known to be
// stored.
type NotAcknowledgedError struct {
	// N is the number of events, those about the sensor not counted.
	N uint64
	// Last is the trouble that was met first since the last acknowledgement,
	// nil if there was only silence.
	Last error
}

// Error says how many, and why.
func (e *NotAcknowledgedError) Error() string {
	noun := "events are"
	switch e.N {
	case 0:
		return fmt.Sprintf("the sensor's own events are not acknowledged%s", because(e.Last))
	case 1:
		noun = "event is"
	}
	return fmt.Sprintf("%d %s not acknowledged%s", e.N, noun, because(e.Last))
}

// Unwrap returns Last.
func (e *NotAcknowledgedError) Unwrap() error { return e.Last }

func because(err error) string {
	if err == nil {
		return ": the server does not answer"
	}
	return ": " + err.Error()
}

// eventsIn counts the events of a batch that the ledger knows.
func eventsIn(records []Record) uint64 {
	var n uint64
	for i := range records {
		if !records[i].Sensor {
			n += records[i].events()
		}
	}
	return n
}
