package publish

import (
	"context"
	"fmt"
	"sync"
	"time"

	"flowscope/session"
	"flowscope/session/pack"
)

// maxLetters bounds the dead letters that wait for being reported; more of them
// are only counted.
const maxLetters = 1000

// DeadLetter is the message of sensor.dead_letter events: an event that was
// refused for good.
type DeadLetter struct {
	// ID and Subject are those of the refused event.
	ID      string `msgpack:"id" json:"id"`
	Subject string `msgpack:"subject" json:"subject"`
	// Size is the length of its payload in bytes.
	Size uint64 `msgpack:"size" json:"size"`
	// Events is the number of events in a batch, which ID then names; 0 is one.
	Events uint64 `msgpack:"events,omitempty" json:"events,omitempty"`
	// Reason is max_payload, refused or rendering; Detail is for people.
	Reason string `msgpack:"reason" json:"reason"`
	Detail string `msgpack:"detail,omitempty" json:"detail,omitempty"`
}

var _ session.Message = (*DeadLetter)(nil)

// Kind is dead_letter.
func (d *DeadLetter) Kind() string { return "dead_letter" }

// AppendMsgpack appends the message as one map.
func (d *DeadLetter) AppendMsgpack(b []byte) []byte {
	m := pack.BeginMap(b)
	m.String("id", d.ID)
	m.String("subject", d.Subject)
	m.Uint("size", d.Size)
	if d.Events != 0 {
		m.Uint("events", d.Events)
	}
	m.String("reason", d.Reason)
	if d.Detail != "" {
		m.Key("detail")
		m.B = pack.TextString(m.B, d.Detail)
	}
	return m.End()
}

// sensorEvents makes the events about the sensor itself. For Flowscope-Seq it
// is one worker more.
type sensorEvents struct {
	p   *Publisher
	mu  sync.Mutex
	enc appender
	n   map[int]uint64 // per topic
	seq uint64

	lettersMu sync.Mutex
	waiting   []DeadLetter

	refused errorLog
}

func (s *sensorEvents) init(p *Publisher) {
	s.p, s.enc, s.n = p, p.newEnc(), map[int]uint64{}
	s.refused.log, s.refused.message = p.opts.Log, "event about the sensor refused"
}

// nextSensorSeq numbers the run's events about the sensor.
func (p *Publisher) nextSensorSeq() uint64 {
	p.sensor.mu.Lock()
	defer p.sensor.mu.Unlock()
	return p.sensor.next()
}

func (s *sensorEvents) next() uint64 {
	s.seq++
	return s.seq - 1
}

// PublishSensor sends an event about the sensor, kind one of sensor.*; it never
// waits. The ledger does not count these events. It is an error when the
// publisher has stopped.
func (p *Publisher) PublishSensor(m session.Message) error {
	s := &p.sensor
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.batch(m)
	if err != nil {
		return err
	}
	if !p.queue.force(item{batch: b}) {
		return fmt.Errorf("publish sensor.%s: the publisher has stopped", m.Kind())
	}
	return nil
}

// batch encodes one event; s.mu is held.
func (s *sensorEvents) batch(m session.Message) (*Batch, error) {
	topic, ok := s.p.opts.Registry.TopicOf(session.SensorProtocol, m.Kind())
	if !ok {
		return nil, fmt.Errorf("publish sensor.%s: no such kind", m.Kind())
	}
	e := session.SessionEvent{
		Type: session.Sensor, Topic: topic, Protocol: session.SensorProtocol, Kind: m.Kind(),
		Sensor: s.p.opts.Sensor, Run: s.p.opts.Run, Seq: s.next(), Message: m,
	}
	// Add converts to the type of Time, whose package is below this one's reach.
	e.Time = e.Time.Add(time.Duration(time.Now().UnixNano()))
	b := &Batch{Buf: make([]byte, 0, 2*envelopeSpace)}
	b.Worker = s.p.opts.Workers
	s.n[topic]++
	var idStart, idEnd int
	b.Buf, idStart, idEnd = s.enc.Append(b.Buf, &e)
	b.Records = append(b.Records, Record{
		End: uint32(len(b.Buf)), IDStart: uint32(idStart), IDEnd: uint32(idEnd),
		Topic: int32(topic), Sensor: true, N: s.n[topic],
	})
	return b, nil
}

// refuse ends an event that can never be delivered, and has it reported. It is
// called from any goroutine of a transport; b is borrowed.
func (p *Publisher) refuse(b *Batch, r *Record, reason, detail string) {
	if r.Sensor {
		// Reporting it would be refused likewise, for ever.
		p.sensor.refused.tell(fmt.Errorf("%s: %s: %s", p.subjects[r.Topic], reason, detail))
		return
	}
	p.account.settle(deadLetter, r.events())
	s := &p.sensor
	s.lettersMu.Lock()
	defer s.lettersMu.Unlock()
	if len(s.waiting) < maxLetters {
		s.waiting = append(s.waiting, DeadLetter{
			ID: string(b.ID(r)), Subject: p.subjects[r.Topic],
			Size: uint64(r.End - r.Start), Events: uint64(r.Count), Reason: reason, Detail: detail,
		})
	}
}

// letters says whether dead letters wait for being reported.
func (s *sensorEvents) letters() bool {
	s.lettersMu.Lock()
	defer s.lettersMu.Unlock()
	return len(s.waiting) > 0
}

// publishDeadLetters reports what was refused, from the publisher's goroutine.
func (p *Publisher) publishDeadLetters(ctx context.Context) error {
	s := &p.sensor
	s.lettersMu.Lock()
	letters := s.waiting
	s.waiting = nil
	s.lettersMu.Unlock()
	for i := range letters {
		s.mu.Lock()
		b, err := s.batch(&letters[i])
		s.mu.Unlock()
		if err != nil {
			return err
		}
		if err := p.transport.publish(ctx, b); err != nil {
			return err
		}
	}
	return nil
}
