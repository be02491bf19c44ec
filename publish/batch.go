package publish

// Batch is a run of encoded events of one worker, in order. It is what crosses
// from a worker to the publisher; whoever holds it owns it.
type Batch struct {
	// Worker is the number of the worker that made it, from 0.
	Worker int
	// Buf holds the payloads one after another.
	Buf []byte
	// Records describe the payloads.
	Records []Record

	left int // messages in a transport's window
}

// Record is one encoded event in a Batch.
type Record struct {
	// Start and End bound the payload in Batch.Buf.
	Start, End uint32
	// IDStart and IDEnd bound the event's id in Batch.Buf; a single event's
	// stands inside the payload.
	IDStart, IDEnd uint32
	// Topic is the registry's number of the subject.
	Topic int32
	// Sensor says that the event is about the sensor itself and thus outside
	// of the ledger's account of events.
	Sensor bool
	// N counts the events of this run, worker and subject from 1; of several
	// events it is the first one's.
	N uint64
	// Count is the number of events in the payload, which stand one after
	// another; 0 is one event.
	Count uint32
}

// events is the number of events in the payload.
func (r *Record) events() uint64 { return max(uint64(r.Count), 1) }

// Payload returns the encoded event, borrowed from the batch.
func (b *Batch) Payload(r *Record) []byte { return b.Buf[r.Start:r.End:r.End] }

// ID returns the event's id, borrowed from the batch.
func (b *Batch) ID(r *Record) []byte { return b.Buf[r.IDStart:r.IDEnd:r.IDEnd] }

// Reset empties the batch and keeps its memory.
func (b *Batch) Reset() { b.Buf, b.Records = b.Buf[:0], b.Records[:0] }
