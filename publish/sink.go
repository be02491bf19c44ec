package publish

import (
	"time"
	"unsafe"

	"flowscope/session"
)

const recordSize = int(unsafe.Sizeof(Record{}))

// maxAge is how old the first event of a batch may grow, in packet time, before
// a tick hands the batch over.
const maxAge = 50 * time.Millisecond

// appender encodes events: Encoder, or something trivial in benchmarks. The
// bounds of the id count from the start of out.
type appender interface {
	Append(b []byte, e *session.SessionEvent) (out []byte, idStart, idEnd int)
}

// sink is a worker's end of the publisher: it filters, encodes and gathers
// events. One goroutine uses it; nothing in it is shared but the queue and the
// account, which it touches once per batch.
type sink struct {
	p      *Publisher
	worker int
	enc    appender
	rules  []rule
	counts workerCounts
	topics []uint64 // events encoded per topic, about the sensor too
	seen   []uint64 // the same without those, for the account
	batch  *Batch
	clock  time.Time // the latest tick
	born   time.Time // clock when the batch's first event came
	// published is counts.made as the account knows it.
	published uint64
	closed    bool
	// keep is the lowest class that is kept at present, classes has that of
	// each topic.
	keep    class
	classes []class
}

var _ session.Sink = (*sink)(nil)

// HandleEvent encodes one event into the batch.
func (s *sink) HandleEvent(e *session.SessionEvent) {
	if e.Type == session.Sensor {
		s.handleSensor(e)
		return
	}
	s.counts.made++
	if uint(e.Topic) >= uint(len(s.rules)) {
		s.counts.dropped[dropUnknownTopic]++
		return
	}
	if r := s.rules[e.Topic]; r != pass {
		s.counts.filtered[r]++
		return
	}
	s.seen[e.Topic]++
	if c := s.classes[e.Topic]; c < s.keep {
		s.topics[e.Topic]++ // the hole in the numbers shows it
		s.counts.dropped[shedReasons[c]]++
		return
	}
	s.counts.buffered++
	s.add(e, false)
}

// handleSensor takes an event about the sensor: it is numbered here, because
// the workers share one row of numbers.
func (s *sink) handleSensor(e *session.SessionEvent) {
	if uint(e.Topic) >= uint(len(s.rules)) {
		return
	}
	numbered := *e
	numbered.Seq = s.p.nextSensorSeq()
	s.add(&numbered, true)
}

func (s *sink) add(e *session.SessionEvent, sensor bool) {
	b := s.batch
	if len(b.Records) == 0 {
		s.born = s.clock
	}
	start := len(b.Buf)
	var idStart, idEnd int
	b.Buf, idStart, idEnd = s.enc.Append(b.Buf, e)
	if s.keep > classTick && len(b.Buf)-start > minBody && e.Type == session.Application {
		s.dropBody(start)
	}
	s.topics[e.Topic]++
	b.Records = append(b.Records, Record{
		Start: uint32(start), End: uint32(len(b.Buf)),
		IDStart: uint32(idStart), IDEnd: uint32(idEnd),
		Topic: int32(e.Topic), Sensor: sensor, N: s.topics[e.Topic],
	})
	if len(b.Buf) >= batchTarget {
		s.handOver()
	}
}

func (s *sink) dropBody(start int) {
	var dropped bool
	if s.batch.Buf, dropped = dropBody(s.batch.Buf, start); dropped {
		s.counts.bodies++
	}
}

// Tick hands the batch over when it has waited long enough and the publisher
// has nothing else to do: behind a full queue a batch may as well fill up.
func (s *sink) Tick(now time.Time) {
	s.rules = *s.p.rules.Load()
	s.clock = now
	if s.keep > classTick {
		s.lookAtQueue()
	}
	if len(s.batch.Records) > 0 && s.due(now) && s.p.queue.idle() {
		s.handOver()
		return
	}
	if s.counts.made != s.published {
		s.publishCounts(0)
	}
}

func (s *sink) due(now time.Time) bool {
	age := now.Sub(s.born)
	return s.p.live || age >= maxAge || age < 0
}

// Close hands over what is left.
func (s *sink) Close() {
	if s.closed {
		return
	}
	s.closed = true
	if len(s.batch.Records) > 0 {
		s.handOver()
	}
	s.publishCounts(0)
}

// handOver passes the batch to the publisher, a small one as a copy in memory of its
// own size: its events may wait for acknowledgements for seconds, and many such
// batches beside them. Without room it waits, or in live
// capture counts the batch as dropped. Once the publisher has failed the events
// stay pending for ever.
func (s *sink) handOver() {
	n := s.counts.buffered
	s.batch.Worker = s.worker
	s.counts.buffered = 0
	// Counted before the queue has it, so that nothing is settled that is not
	// pending yet.
	s.publishCounts(n)
	given := s.batch
	if len(given.Buf) <= smallBatch {
		given = s.p.queue.copyOf(given)
	}
	ok := s.p.queue.put(given, !s.p.live)
	if s.p.live {
		s.lookAtQueue()
	}
	if ok && given == s.batch {
		s.batch = s.p.queue.empty()
		return
	}
	s.batch.Reset()
	if ok {
		return
	}
	if s.p.live && !s.p.stopped() {
		s.p.account.dropPending(s.worker, dropQueueFull, n, &s.counts)
	}
}

// lookAtQueue decides what is kept until the next look.
func (s *sink) lookAtQueue() { s.keep = shedBelow(s.p.queue.fill()) }

func (s *sink) publishCounts(handedOver uint64) {
	s.published = s.counts.made
	s.p.account.snapshot(s.worker, &s.counts, s.seen, handedOver)
}
